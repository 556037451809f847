// Commits groups of units of one tenant, one group at a time: takes the tenant's document, checks,
// stages and writes in one transaction, and runs it again until its fate is known.
//
// The first write of every transaction is the tenant's document. Whoever has it is alone with the
// tenant until commit or abort, so the checks cannot be overtaken, on servers with snapshot
// isolation and on those that only read what is committed. It also carries the number of the last
// group of each writer: a commit whose reply was lost is looked up there, under the same lock,
// before it is run again. A unit is neither lost nor applied twice, whatever the server forgot.
import { setTimeout as sleep } from 'node:timers/promises';
import type { ClientSession, MongoClient, TransactionOptions } from 'mongodb';
import { EngineError } from '../../model/errors.ts';
import { CommitConflict, type Committed, type Unit } from '../port.ts';
import type { BatchState } from './batch-state.ts';
import { checkUnit } from './check-unit.ts';
import type { Collections } from './collections.ts';
import { DeadWriters } from './dead-writers.ts';
import { isTransient, isUnknownCommit, isVague, isWriteConflict } from './errors.ts';
import { flush } from './flush.ts';
import { loadState } from './load-state.ts';
import type { TenantDoc } from './records.ts';
import { stageUnit } from './stage-unit.ts';
import { ensureTenant } from './tenant-number.ts';

export type Outcome =
  | { kind: 'done'; value: Committed }
  | { kind: 'refused'; error: CommitConflict | EngineError };

/**
 * Waits for the turn of this store among those that write the same tenant; the answer ends the
 * turn. A courtesy: without it writers ask the tenant's document until they find it free.
 */
export type TakeTurn = (tenant: string) => Promise<() => void>;

export interface CommitterOptions {
  client: MongoClient;
  collections: Collections;
  /** Id of the open store; no other has it. */
  writer: string;
  /** How long a group is tried before it fails with STORE_UNAVAILABLE. */
  commitWaitMs: number;
  /** A tenant that is held this long without a commit is taken from whoever holds it. */
  stuckMs: number;
  takeTurn: TakeTurn | undefined;
}

/**
 * Manual, "Transactions": snapshot reads are of majority-committed data only if the transaction
 * commits with w:majority. So a group of refused units is committed too, never only read.
 */
const TRANSACTION: TransactionOptions = {
  readConcern: { level: 'snapshot' },
  writeConcern: { w: 'majority' },
  readPreference: 'primary',
};
const COMMIT_TRIES = 3;
const VAGUE_TRIES = 3;
const FIRST_WAIT_MS = 2;
const RETRY_MS_MAX = 250;
const HELD_DELAY_MS_MAX = 40;
/** Between two groups, where others committed lately: they would never find the tenant free. */
const YIELD_MS = 2;
const ACTIVE_MS = 2_000;
/** Entries of writers that were closed or killed leave the tenant's document after a day. */
const WRITER_KEPT_MS = 24 * 3600 * 1000;

/** What the group's transaction would answer, once its commit was sent. */
interface Sent {
  outcomes: Outcome[] | undefined;
}

/** One per tenant and open store; its calls must not overlap. */
export class TenantCommitter {
  readonly #options: CommitterOptions;
  readonly #tenant: string;
  /** One for all its transactions: starting the next one ends what is left of the last one. */
  readonly #session: ClientSession;
  readonly #dead: DeadWriters;
  #ready = false;
  #shared = false;
  #group = 0;

  constructor(options: CommitterOptions, tenant: string) {
    this.#options = options;
    this.#tenant = tenant;
    this.#session = options.client.startSession({ causalConsistency: false });
    this.#dead = new DeadWriters(options, tenant, this.#session);
  }

  /** Before each group. Without a line to stand in, the others are given a moment. */
  async takeTurn(): Promise<() => void> {
    const { takeTurn } = this.#options;
    if (takeTurn !== undefined) return takeTurn(this.#tenant);
    if (this.#shared) await sleep(YIELD_MS);
    return () => undefined;
  }

  /** Outcomes in the order of `units`. Throws what the driver threw when no commit was reached. */
  async commit(units: Unit[]): Promise<Outcome[]> {
    this.#group += 1;
    const sent: Sent = { outcomes: undefined };
    const deadline = Date.now() + this.#options.commitWaitMs;
    let vague = 0;
    for (let lost = 0; ; lost += 1) {
      try {
        await this.#prepare();
        return await this.#attempt(units, sent).finally(() => this.#dead.released());
      } catch (cause) {
        if (isVague(cause)) vague += 1;
        const worth = isTransient(cause) || (isVague(cause) && vague < VAGUE_TRIES);
        const again = sent.outcomes !== undefined || worth;
        if (!again || Date.now() >= deadline) throw cause;
        await this.#dead.notice(isWriteConflict(cause));
        await sleep(this.#delay(lost, isWriteConflict(cause)));
      }
    }
  }

  /** Others' transactions are short; a server that is away is asked less and less often. */
  #delay(lost: number, held: boolean): number {
    const most = held ? HELD_DELAY_MS_MAX : RETRY_MS_MAX;
    return Math.random() * Math.min(most, FIRST_WAIT_MS * 2 ** Math.min(lost, 8));
  }

  async close(): Promise<void> {
    await this.#dead.leave();
    await this.#session.endSession();
  }

  async #prepare(): Promise<void> {
    if (this.#ready) return;
    await ensureTenant(this.#options.collections, this.#tenant);
    await this.#dead.join();
    this.#ready = true;
  }

  async #attempt(units: Unit[], sent: Sent): Promise<Outcome[]> {
    const session = this.#session;
    const { collections } = this.#options;
    session.startTransaction(TRANSACTION);
    try {
      const head = await this.#takeTenant();
      this.#dead.taken();
      if (sent.outcomes && this.#isCommitted(head)) {
        await session.abortTransaction();
        return sent.outcomes;
      }
      sent.outcomes = undefined;
      const now = Date.now();
      const state = await loadState({ collections, session }, head, units);
      const outcomes = units.map((unit) => applyUnit(state, unit, now));
      this.#mark(head, now);
      await flush({ collections, session }, state, now);
      sent.outcomes = outcomes;
    } catch (cause) {
      if (session.inTransaction()) await session.abortTransaction();
      throw cause;
    }
    await this.#sendCommit();
    return sent.outcomes;
  }

  async #takeTenant(): Promise<TenantDoc> {
    const head = await this.#options.collections.tenants.findOneAndUpdate(
      { _id: this.#tenant },
      { $inc: { commits: 1 } },
      { session: this.#session, returnDocument: 'after' },
    );
    if (head) return head;
    throw new EngineError('STORE_CORRUPT', 'The document of a tenant has vanished from MongoDB.');
  }

  #isCommitted(head: TenantDoc): boolean {
    const { writer } = this.#options;
    return head.writers.some((row) => row.writer === writer && row.group === this.#group);
  }

  #mark(head: TenantDoc, now: number): void {
    const { writer } = this.#options;
    const others = head.writers.filter(
      (row) => row.writer !== writer && row.at > now - WRITER_KEPT_MS,
    );
    this.#shared = others.some((row) => row.at > now - ACTIVE_MS);
    head.writers = [...others, { writer, group: this.#group, at: now }];
  }

  /** The server answers a repeated commit as the first one, as long as it remembers it. */
  async #sendCommit(): Promise<void> {
    for (let tries = 1; ; tries += 1) {
      try {
        await this.#session.commitTransaction();
        return;
      } catch (cause) {
        if (!isUnknownCommit(cause) || tries >= COMMIT_TRIES) throw cause;
        await sleep(FIRST_WAIT_MS * 10 ** tries);
      }
    }
  }
}

/** A refusal is an outcome and has staged nothing; whatever else is thrown ends the attempt. */
function applyUnit(state: BatchState, unit: Unit, now: number): Outcome {
  try {
    checkUnit(state, unit);
  } catch (error) {
    if (error instanceof CommitConflict || error instanceof EngineError) {
      return { kind: 'refused', error };
    }
    throw error;
  }
  return { kind: 'done', value: stageUnit(state, unit, now) };
}
