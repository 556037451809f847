// What the store's threads say to each other, and how results and errors cross a MessagePort.
import type { MessagePort } from 'node:worker_threads';
import { EngineError, type ErrorCode } from '../../model/errors.ts';
import { CommitConflict, type Committed, type Conflict, type Unit } from '../port.ts';

/** To a thread's parentPort: serve one more client, or finish and exit. */
export type ThreadOrder = { order: 'serve'; port: MessagePort } | { order: 'close' };

/** From a thread to its parent, once, after it has opened the folder or failed to. */
export type ThreadReady = { ready: true } | { ready: false; fault: Fault };

/** First message on a client's port: how it reaches the reader. */
export interface Welcome {
  reader: MessagePort;
}

/** Client to writer: the units of one tick, in call order. */
export type CommitBatch = { n: number; unit: Unit }[];

/** Writer to client. */
export type CommitResults = { n: number; outcome: Outcome<Committed> }[];

/** Client to reader, and back. */
export interface ReadRequest {
  n: number;
  method: string;
  args: unknown[];
}
export interface ReadResult {
  n: number;
  outcome: Outcome<unknown>;
}

export type Outcome<T> =
  | { kind: 'done'; value: T }
  | { kind: 'conflict'; conflict: Conflict }
  | { kind: 'fault'; fault: Fault };

/** An EngineError without its stack. `cause` is a vendor's text: it names tables, never values. */
export interface Fault {
  code: ErrorCode;
  text: string;
  cause: string;
}

export function toFault(error: EngineError): Fault {
  const { cause } = error;
  return {
    code: error.code,
    text: error.message,
    cause: cause instanceof Error ? cause.message : '',
  };
}

export function fromFault(fault: Fault): EngineError {
  const options = fault.cause === '' ? {} : { cause: new Error(fault.cause) };
  return new EngineError(fault.code, fault.text, options);
}

/** The value, or throws what the outcome says. */
export function settle<T>(outcome: Outcome<T>): T {
  if (outcome.kind === 'done') return outcome.value;
  if (outcome.kind === 'conflict') throw new CommitConflict(outcome.conflict);
  throw fromFault(outcome.fault);
}
