// Calls over a MessagePort: numbered, answered in any order, bounded, and all failed when the
// thread at the other end goes away.
import type { MessagePort } from 'node:worker_threads';
import { EngineError } from '../../model/errors.ts';
import { type Outcome, settle } from './protocol.ts';

/** What may be under way at once; beyond it calls throw OVERLOADED. */
export interface CallLimits {
  callsMax: number;
  bytesMax: number;
}

interface Waiting<T> {
  bytes: number;
  resolve(value: T): void;
  reject(error: Error): void;
}

/** One per port; owns it. `T` is what the answers hold. */
export class PortCalls<T> {
  readonly #port: MessagePort;
  readonly #limits: CallLimits;
  readonly #waiting = new Map<number, Waiting<T>>();
  #last = 0;
  #bytes = 0;
  #gone = false;
  #onSettled: (() => void)[] = [];

  constructor(
    port: MessagePort,
    limits: CallLimits,
    unwrap: (message: unknown) => { n: number; outcome: Outcome<T> }[],
  ) {
    this.#port = port;
    this.#limits = limits;
    port.on('message', (message: unknown) => {
      for (const { n, outcome } of unwrap(message)) this.#answer(n, outcome);
    });
    port.on('close', () => this.#failAll());
  }

  /** `send` gets the call's number and must post it, now or later; `bytes` is what it carries. */
  call(send: (n: number) => void, bytes = 0): Promise<T> {
    if (this.#gone) return Promise.reject(threadGone());
    const { callsMax, bytesMax } = this.#limits;
    // A single call is taken whatever its size: its own limits are the caller's.
    const full = this.#bytes > 0 && this.#bytes + bytes > bytesMax;
    if (full || this.#waiting.size >= callsMax) {
      return Promise.reject(new EngineError('OVERLOADED', 'Too many calls of the store wait.'));
    }
    return new Promise((resolve, reject) => {
      this.#last += 1;
      this.#waiting.set(this.#last, { resolve, reject, bytes });
      this.#bytes += bytes;
      send(this.#last);
    });
  }

  post(message: unknown, transfer: ArrayBuffer[]): void {
    this.#port.postMessage(message, transfer);
  }

  /** Resolves when no call waits any more. */
  settled(): Promise<void> {
    if (this.#waiting.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#onSettled.push(resolve));
  }

  close(): void {
    this.#gone = true;
    this.#port.close();
  }

  /** Ends one call that could not be posted. */
  fail(n: number, error: Error): void {
    this.#take(n)?.reject(error);
    this.#checkSettled();
  }

  #answer(n: number, outcome: Outcome<T>): void {
    const waiting = this.#take(n);
    try {
      waiting?.resolve(settle(outcome));
    } catch (cause) {
      waiting?.reject(cause as Error);
    }
    this.#checkSettled();
  }

  #take(n: number): Waiting<T> | undefined {
    const waiting = this.#waiting.get(n);
    this.#waiting.delete(n);
    this.#bytes -= waiting?.bytes ?? 0;
    return waiting;
  }

  #failAll(): void {
    this.#gone = true;
    for (const { reject } of this.#waiting.values()) reject(threadGone());
    this.#waiting.clear();
    this.#bytes = 0;
    this.#checkSettled();
  }

  #checkSettled(): void {
    if (this.#waiting.size > 0) return;
    for (const resolve of this.#onSettled.splice(0)) resolve();
  }
}

function threadGone(): EngineError {
  return new EngineError('STORE_UNAVAILABLE', 'The thread of the store has ended.');
}
