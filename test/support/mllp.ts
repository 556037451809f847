// An MLLP source on a free port with a scripted receiver, and raw connections to it.
import { connect, type Socket } from 'node:net';
import type { MllpSource } from '../../src/model/channel.ts';
import { type MllpContext, type MllpListener, open } from '../../src/source/mllp.ts';
import { connectMllp, type MllpClient } from '../../src/source/mllp-client.ts';
import type { Answer, Received } from '../../src/source/port.ts';

export interface TestSource {
  listener: MllpListener;
  port: number;
  received: string[];
  /** `name field=value ...` of every event, addresses left out. */
  events: string[];
  connect(): Promise<MllpClient>;
  /** A plain socket and everything that came back on it. */
  socket(options?: { allowHalfOpen?: boolean; localAddress?: string }): Promise<RawSocket>;
}

export interface RawSocket {
  socket: Socket;
  read(): string;
  ended: Promise<void>;
}

export const DEFAULTS: MllpSource = {
  kind: 'mllp',
  host: '127.0.0.1',
  port: 0,
  frameBytesMax: 10_000,
  idleTimeoutMs: 10_000,
  connectionsMax: 10,
  inflightMax: 4,
  tls: null,
};

/** Answers every message by `ack <message>` unless `receive` says otherwise. */
export async function openTestSource(
  options: Partial<MllpSource> = {},
  receive: (text: string) => Promise<Answer> = async (text) => answer(`ack ${text}`),
  context: Partial<MllpContext> = {},
): Promise<TestSource> {
  const received: string[] = [];
  const events: string[] = [];
  const listener = await open(
    { ...DEFAULTS, ...options },
    {
      channel: 'test',
      now: () => 0,
      certificatePollMs: 20,
      ...context,
      receive: ({ bytes }: Received) => {
        const text = Buffer.from(bytes).toString('latin1');
        received.push(text);
        return receive(text);
      },
      refuseOversize: async ({ bytes }) => answer(`too large ${bytes.length > 0}`),
      telemetry: {
        emit: (name, fields) => {
          const shown = Object.entries(fields).filter(([key]) => key !== 'address');
          events.push([name, ...shown.map(([key, value]) => `${key}=${value}`)].join(' '));
        },
      },
    },
  );
  const port = Number(/:(\d+)$/.exec(listener.address)?.[1]);
  return {
    listener,
    port,
    received,
    events,
    connect: () => connectMllp({ host: '127.0.0.1', port, timeoutMs: 5_000 }),
    socket: (socketOptions) => openRaw(port, socketOptions),
  };
}

export function answer(...texts: string[]): Answer {
  return { frames: texts.map((text) => Buffer.from(text, 'latin1')) };
}

function openRaw(port: number, options = {}): Promise<RawSocket> {
  return new Promise((resolve, reject) => {
    let text = '';
    const socket = connect({ host: '127.0.0.1', port, ...options });
    const ended = new Promise<void>((done) => {
      socket.once('close', () => done());
      socket.once('end', () => done());
    });
    socket.setEncoding('latin1');
    socket.on('data', (chunk: string) => {
      text += chunk;
    });
    socket.on('error', reject);
    socket.once('connect', () => resolve({ socket, read: () => text, ended }));
  });
}

/** Waits until `test` holds; fails by the test's own timeout. */
export async function until(test: () => boolean): Promise<void> {
  while (!test()) await new Promise((resolve) => setTimeout(resolve, 2));
}

/** A promise with its resolver. */
export function gate(): { open: () => void; passed: Promise<void> } {
  let open: () => void = () => undefined;
  const passed = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { open, passed };
}
