// Logical clock, open transactions and sessions: snapshot, first writer wins, and the rules for
// transaction numbers of the manual (Transactions; Retryable Writes). Knows no command.
import type { Collection } from './collection.ts';
import { noSuchTransaction, ServerError } from './errors.ts';
import type { DocRecord } from './record.ts';
import type { Doc } from './values.ts';

export interface Txn {
  session: string;
  number: number;
  /** What was committed up to this time is seen. */
  snapshot: number;
  state: 'open' | 'committed' | 'aborted';
  startedAt: number;
  touched: Map<DocRecord, Collection>;
  ended: Promise<void>;
  end: () => void;
}

/** The document is held by an open transaction: a write outside transactions waits for its end. */
export class Busy extends Error {
  readonly txn: Txn;
  constructor(txn: Txn) {
    super('held by a transaction');
    this.txn = txn;
  }
}

interface Session {
  number: number;
  txn: Txn | undefined;
  /** The answer to the retryable write `number`, given again when it is repeated. */
  reply: Doc | undefined;
}

/** minSnapshotHistoryWindowInSeconds. */
const SNAPSHOT_HISTORY_MS = 300_000;

export class Transactions {
  clock = 0;
  readonly open = new Set<Txn>();
  readonly lifetimeMs: number;
  /** Times that snapshot sessions read at, and when each was first asked for (ms). */
  readonly #pins = new Map<number, number>();
  readonly #sessions = new Map<string, Session>();
  readonly #stale = new Map<DocRecord, Collection>();

  constructor(lifetimeMs: number) {
    this.lifetimeMs = lifetimeMs;
  }

  /** Oldest snapshot that is still read; infinity when there is none. */
  oldest(): number {
    let oldest = Number.POSITIVE_INFINITY;
    for (const txn of this.open) oldest = Math.min(oldest, txn.snapshot);
    for (const pin of this.#pins.keys()) oldest = Math.min(oldest, pin);
    return oldest;
  }

  /** A reader of one moment (readConcern snapshot outside transactions); `at` absent = now. */
  pin(at: number | undefined): Txn {
    const moment = at ?? this.clock;
    if (at === undefined) this.#pins.set(moment, Date.now());
    else if (!this.#pins.has(at)) throw new ServerError(239, 'SnapshotTooOld', 'too old');
    return newTxn('', 0, moment);
  }

  /** The record keeps old versions or a deletion that some snapshot still needs. */
  keepForLater(record: DocRecord, collection: Collection): void {
    this.#stale.set(record, collection);
  }

  /** The transaction of a statement with `autocommit: false`; throws 251, 225 or 117. */
  statement(sessionId: string, number: number, start: boolean): Txn {
    const session = this.#at(sessionId, number);
    if (start) return this.#begin(session, sessionId, number);
    if (session.txn?.state === 'open') return session.txn;
    if (session.txn?.state === 'committed') {
      throw new ServerError(256, 'TransactionCommitted', 'the transaction was committed');
    }
    throw noSuchTransaction(number);
  }

  /** Safe to repeat: a transaction that is committed stays so. */
  commit(sessionId: string, number: number): void {
    const { txn } = this.#at(sessionId, number);
    if (txn === undefined || txn.state === 'aborted') throw noSuchTransaction(number);
    if (txn.state === 'committed') return;
    this.clock++;
    for (const [record, collection] of txn.touched) collection.commitPending(record, this.clock);
    this.#close(txn, 'committed');
  }

  abort(sessionId: string, number: number): void {
    const { txn } = this.#at(sessionId, number);
    if (txn === undefined || txn.state === 'aborted') throw noSuchTransaction(number);
    if (txn.state === 'committed') {
      throw new ServerError(256, 'TransactionCommitted', 'the transaction was committed');
    }
    this.abortTxn(txn);
  }

  abortTxn(txn: Txn): void {
    if (txn.state !== 'open') return;
    for (const [record, collection] of txn.touched) collection.abortPending(record);
    this.#close(txn, 'aborted');
  }

  abortAll(): void {
    for (const txn of [...this.open]) this.abortTxn(txn);
  }

  /** transactionLifetimeLimitSeconds: what is open for longer is aborted. */
  abortExpired(now: number): void {
    for (const txn of [...this.open]) {
      if (now - txn.startedAt > this.lifetimeMs) this.abortTxn(txn);
    }
    for (const [pin, since] of this.#pins) {
      if (now - since > SNAPSHOT_HISTORY_MS) this.#pins.delete(pin);
    }
  }

  endSession(sessionId: string): void {
    const txn = this.#sessions.get(sessionId)?.txn;
    if (txn !== undefined) this.abortTxn(txn);
    this.#sessions.delete(sessionId);
  }

  /** The remembered answer, if this write was done already. */
  repeated(sessionId: string, number: number): Doc | undefined {
    const session = this.#at(sessionId, number);
    if (session.txn !== undefined) {
      throw new ServerError(50911, 'Location50911', 'the number belongs to a transaction');
    }
    return session.reply;
  }

  remember(sessionId: string, number: number, reply: Doc): void {
    const session = this.#sessions.get(sessionId);
    if (session?.number === number) session.reply = reply;
  }

  /** A higher number ends what the session did before; a lower one is too old. */
  #at(sessionId: string, number: number): Session {
    let session = this.#sessions.get(sessionId);
    if (session === undefined) {
      session = { number, txn: undefined, reply: undefined };
      this.#sessions.set(sessionId, session);
    }
    if (number < session.number) {
      throw new ServerError(225, 'TransactionTooOld', `${number} is below ${session.number}`);
    }
    if (number > session.number) {
      if (session.txn !== undefined) this.abortTxn(session.txn);
      session.number = number;
      session.txn = undefined;
      session.reply = undefined;
    }
    return session;
  }

  #begin(session: Session, sessionId: string, number: number): Txn {
    if (session.txn !== undefined || session.reply !== undefined) {
      throw new ServerError(117, 'ConflictingOperationInProgress', `${number} was used already`);
    }
    const txn = newTxn(sessionId, number, this.clock);
    session.txn = txn;
    this.open.add(txn);
    return txn;
  }

  #close(txn: Txn, state: 'committed' | 'aborted'): void {
    txn.state = state;
    this.open.delete(txn);
    for (const [record, collection] of txn.touched) this.#stale.set(record, collection);
    txn.touched.clear();
    const settled = [...this.#stale];
    this.#stale.clear();
    for (const [record, collection] of settled) collection.settle(record);
    txn.end();
  }
}

function newTxn(session: string, number: number, snapshot: number): Txn {
  let end = () => {};
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  const startedAt = Date.now();
  const touched = new Map<DocRecord, Collection>();
  return { session, number, snapshot, state: 'open', startedAt, touched, ended, end };
}
