// A small MLLP client: sends messages, gives each its answer. Messages may be pipelined; answers
// are matched by their order. For the command line, the demo feed and tests.
import type { Socket } from 'node:net';
import { connect } from 'node:net';
import type { ConnectionOptions as TlsOptions } from 'node:tls';
import { connect as connectTls } from 'node:tls';
import { EngineError } from '../model/errors.ts';
import { FrameReader, writeFrame } from './mllp-frame.ts';

export interface MllpClientOptions {
  host: string;
  port: number;
  /** undefined = plain TCP. `ca`, `cert`, `key`, `servername` as node:tls takes them. */
  tls?: TlsOptions;
  /** ms to connect, and ms that an answer may take; default 30,000. */
  timeoutMs?: number;
  /** Default 16 MiB. */
  frameBytesMax?: number;
}

export interface MllpClient {
  /**
   * Sends one message and resolves with its answers: `answers` of them (default 1; 2 in enhanced
   * mode where both are asked for, 0 where none is). Rejects with PEER_UNAVAILABLE when the
   * connection ends or the answer is late; the connection is closed then.
   */
  send(message: Uint8Array, answers?: number): Promise<Uint8Array[]>;
  /** Ends the connection; what is not answered yet is rejected. */
  close(): Promise<void>;
}

/** Connects. Throws PEER_UNAVAILABLE. */
export async function connectMllp(options: MllpClientOptions): Promise<MllpClient> {
  const timeoutMs = options.timeoutMs ?? 30_000;
  const socket = await openSocket(options, timeoutMs);
  return new Client(socket, timeoutMs, options.frameBytesMax ?? 16 * 1024 * 1024);
}

interface Waiting {
  missing: number;
  got: Uint8Array[];
  deadline: number;
  resolve(answers: Uint8Array[]): void;
  reject(error: EngineError): void;
}

class Client implements MllpClient {
  private readonly socket: Socket;
  private readonly timeoutMs: number;
  private readonly reader: FrameReader;
  private readonly waiting: Waiting[] = [];
  private timer: NodeJS.Timeout | undefined;
  private ended: EngineError | undefined;

  constructor(socket: Socket, timeoutMs: number, frameBytesMax: number) {
    this.socket = socket;
    this.timeoutMs = timeoutMs;
    this.reader = new FrameReader({ frameBytesMax });
    socket.on('data', (chunk: Buffer) => this.receive(chunk));
    socket.on('error', (cause) => this.fail('The connection broke.', cause));
    socket.on('close', () => this.fail('The connection was closed.'));
  }

  send(message: Uint8Array, answers = 1): Promise<Uint8Array[]> {
    if (this.ended !== undefined) return Promise.reject(this.ended);
    this.socket.write(writeFrame(message));
    if (answers === 0) return Promise.resolve([]);
    return new Promise((resolve, reject) => {
      const deadline = performance.now() + this.timeoutMs;
      this.waiting.push({ missing: answers, got: [], deadline, resolve, reject });
      this.timer ??= setTimeout(() => this.checkDeadline(), this.timeoutMs);
    });
  }

  close(): Promise<void> {
    if (this.socket.destroyed) return Promise.resolve();
    return new Promise((resolve) => {
      this.socket.once('close', () => resolve());
      this.socket.end(() => this.socket.destroy());
    });
  }

  private receive(chunk: Buffer): void {
    this.reader.push(chunk);
    for (let frame = this.reader.next(); frame; frame = this.reader.next()) {
      const first = this.waiting[0];
      if (frame.oversize || first === undefined) {
        this.fail(first ? 'The answer is too large.' : 'An answer came that nothing asked for.');
        return;
      }
      first.got.push(frame.bytes);
      first.missing--;
      if (first.missing > 0) continue;
      this.waiting.shift();
      first.resolve(first.got);
    }
  }

  /** One timer for all: answers come in order, so the first one is the latest. */
  private checkDeadline(): void {
    this.timer = undefined;
    const first = this.waiting[0];
    if (first === undefined) return;
    const left = first.deadline - performance.now();
    if (left <= 0) this.fail('The answer did not come in time.');
    else this.timer = setTimeout(() => this.checkDeadline(), left + 1);
  }

  private fail(text: string, cause?: unknown): void {
    this.ended ??= new EngineError('PEER_UNAVAILABLE', text, { cause });
    clearTimeout(this.timer);
    for (const waiting of this.waiting.splice(0)) waiting.reject(this.ended);
    this.socket.destroy();
  }
}

function openSocket(options: MllpClientOptions, timeoutMs: number): Promise<Socket> {
  const { host, port, tls } = options;
  return new Promise((resolve, reject) => {
    const socket = tls === undefined ? connect({ host, port }) : connectTls({ ...tls, host, port });
    const fail = (cause?: NodeJS.ErrnoException) => {
      socket.destroy();
      const text = `${host}:${port} cannot be reached (${cause?.code ?? 'no answer in time'}).`;
      reject(new EngineError('PEER_UNAVAILABLE', text, { cause }));
    };
    socket.setNoDelay(true);
    socket.setTimeout(timeoutMs, fail);
    socket.once('error', fail);
    socket.once(tls === undefined ? 'connect' : 'secureConnect', () => {
      socket.setTimeout(0);
      socket.off('timeout', fail);
      socket.off('error', fail);
      resolve(socket);
    });
  });
}
