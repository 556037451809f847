// A well-behaved sender beside the floods: so many messages a second on one connection from an
// address of its own, each with its acknowledgement timed.
import { connect, type Socket } from 'node:net';
import { FrameReader, writeFrame } from '../../src/source/mllp-frame.ts';
import { adt } from '../support/messages.ts';

const ADDRESS = '127.0.0.2';
const PATIENTS = 20;
const ANSWER_MS = 30_000;

export interface GoodFeed {
  /** Sends for so long; answers the latencies (ms) and what was not acknowledged positively. */
  run(ms: number): Promise<{ latenciesMs: number[]; refused: number }>;
  /** Family name of the last acknowledged message of each patient, and how many there were. */
  acknowledged(): Map<string, { family: string; count: number }>;
  close(): void;
}

export async function openGoodFeed(port: number, perSecond: number): Promise<GoodFeed> {
  const run = `G${process.pid}-${Date.now().toString(36)}`;
  const known = new Map<string, { family: string; count: number }>();
  const connection = await openConnection(port);
  let sequence = 0;
  const sendOne = async (): Promise<number | undefined> => {
    sequence += 1;
    const pid = `${run}-${sequence % PATIENTS}`;
    const family = `Family${sequence}`;
    const message = adt({ id: `${run}-${sequence}`, pid, family, event: 'A08' });
    const begun = performance.now();
    const answer = await connection.send(Buffer.from(message.replaceAll('\n', '\r')));
    if (!/\rMSA\|(AA|CA)\|/.test(answer)) return undefined;
    known.set(pid, { family, count: (known.get(pid)?.count ?? 0) + 1 });
    return performance.now() - begun;
  };
  return {
    acknowledged: () => known,
    close: connection.close,
    async run(ms) {
      const end = performance.now() + ms;
      const answers: Promise<number | undefined>[] = [];
      for (let due = performance.now(); due < end; due += 1_000 / perSecond) {
        await new Promise((resolve) => setTimeout(resolve, Math.max(0, due - performance.now())));
        answers.push(sendOne().catch(() => undefined));
      }
      const all = await Promise.all(answers);
      const latenciesMs = all.filter((one) => one !== undefined);
      return { latenciesMs, refused: all.length - latenciesMs.length };
    },
  };
}

/** Answers come in the order of the messages. Opened again where it was closed. */
async function openConnection(port: number) {
  const waiting: { resolve(answer: string): void; reject(reason: Error): void }[] = [];
  let socket: Socket | undefined;
  const open = (): Socket => {
    const opened = connect({ port, host: '127.0.0.1', localAddress: ADDRESS, noDelay: true });
    const reader = new FrameReader({ frameBytesMax: 1 << 20 });
    opened.on('data', (chunk: Buffer) => {
      reader.push(chunk);
      for (let frame = reader.next(); frame; frame = reader.next()) {
        waiting.shift()?.resolve(Buffer.from(frame.bytes).toString('latin1'));
      }
    });
    opened.on('error', () => undefined);
    opened.on('close', () => {
      if (socket === opened) socket = undefined;
      for (const one of waiting.splice(0)) one.reject(new Error('the connection was closed'));
    });
    return opened;
  };
  return {
    send(message: Uint8Array): Promise<string> {
      socket ??= open();
      const to = socket;
      return new Promise((resolve, reject) => {
        const timer = setTimeout(() => to.destroy(), ANSWER_MS);
        const settle = () => clearTimeout(timer);
        waiting.push({
          resolve: (answer) => [settle(), resolve(answer)],
          reject: (reason) => [settle(), reject(reason)],
        });
        to.write(writeFrame(message));
      });
    },
    close: () => void socket?.destroy(),
  };
}
