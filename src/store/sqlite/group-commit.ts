// Many units, one transaction: what arrives while a transaction runs goes together into the next.
// A unit is answered only after COMMIT returned, and no unit suffers from another's fault.
import { EngineError } from '../../model/errors.ts';
import { CommitConflict, type Committed, type Unit } from '../port.ts';
import { checkUnit, writeUnit } from './apply-unit.ts';
import { sqliteCode, translateError } from './connection.ts';
import { unitBytes } from './pack.ts';
import { isProbe, writeProbe } from './probe.ts';
import { type Outcome, toFault } from './protocol.ts';
import type { WriterState } from './writer-state.ts';

export interface GroupLimits {
  /** Units of one transaction. */
  unitsMax: number;
  /** Bytes of bodies in one transaction; a larger unit still goes alone. */
  bytesMax: number;
}

export interface Job {
  unit: Unit;
  answer(outcome: Outcome<Committed>): void;
}

/** The queue before the writer. `take` never blocks; `drain` commits all that was taken. */
export class GroupCommit {
  readonly #state: WriterState;
  readonly #limits: GroupLimits;
  readonly #afterGroup: () => void;
  #jobs: Job[] = [];
  #scheduled = false;

  /** `afterGroup` is called when a group was answered: the moment to send the answers. */
  constructor(state: WriterState, limits: GroupLimits, afterGroup: () => void) {
    this.#state = state;
    this.#limits = limits;
    this.#afterGroup = afterGroup;
  }

  take(jobs: Job[]): void {
    for (const job of jobs) this.#jobs.push(job);
    this.#schedule();
  }

  drain(): void {
    while (this.#jobs.length > 0) this.#runGroup();
  }

  #schedule(): void {
    if (this.#scheduled || this.#jobs.length === 0) return;
    this.#scheduled = true;
    // After the messages that are waiting already: they belong to this group.
    setImmediate(() => {
      this.#scheduled = false;
      this.#runGroup();
      this.#schedule();
    });
  }

  #runGroup(): void {
    const group = this.#jobs.splice(0, this.#groupSize());
    const outcomes = commitGroup(
      this.#state,
      group.map((job) => job.unit),
    );
    group.forEach((job, index) => {
      const outcome = outcomes[index];
      if (outcome) job.answer(outcome);
    });
    this.#afterGroup();
  }

  #groupSize(): number {
    let bytes = 0;
    let size = 0;
    for (const job of this.#jobs) {
      bytes += unitBytes(job.unit);
      if (size > 0 && (size >= this.#limits.unitsMax || bytes > this.#limits.bytesMax)) break;
      size++;
    }
    return size;
  }
}

/**
 * Commits the units in their order, in one transaction. After an unexpected fault (a full disk, a
 * value that SQLite refuses) the transaction is rolled back and each unit gets one of its own.
 */
export function commitGroup(state: WriterState, units: Unit[]): Outcome<Committed>[] {
  if (units.some(erases)) state.eraseDue = true;
  try {
    if (state.eraseDue) state.db.exec('PRAGMA secure_delete = ON');
    const outcomes = runTransaction(state, units);
    eraseOldCopies(state);
    return outcomes;
  } catch (cause) {
    rollback(state);
    if (units.length === 1) return [{ kind: 'fault', fault: toFault(translateError(cause)) }];
    return units.flatMap((unit) => commitGroup(state, [unit]));
  }
}

/** Units after which an older value of a wrapped key must not be found on disk any more. */
function erases(unit: Unit): boolean {
  return Boolean(unit.forget ?? unit.keys?.some((key) => key.rewrap));
}

function runTransaction(state: WriterState, units: Unit[]): Outcome<Committed>[] {
  state.db.exec('BEGIN IMMEDIATE');
  const outcomes = units.map((unit) => applyUnit(state, unit));
  state.flushCounts();
  state.db.exec('COMMIT');
  return outcomes;
}

/** A refusal is an outcome, found before anything is written; all else is thrown. */
function applyUnit(state: WriterState, unit: Unit): Outcome<Committed> {
  if (isProbe(unit)) {
    writeProbe(state.db);
    return { kind: 'done', value: { intakeSeqs: [], auditSeq: 0 } };
  }
  let checked: ReturnType<typeof checkUnit>;
  try {
    checked = checkUnit(state, unit);
  } catch (cause) {
    if (cause instanceof CommitConflict) return { kind: 'conflict', conflict: cause.conflict };
    if (cause instanceof EngineError) return { kind: 'fault', fault: toFault(cause) };
    throw cause;
  }
  return { kind: 'done', value: writeUnit(state, checked) };
}

function rollback(state: WriterState): void {
  // SQLite has rolled back by itself after some faults (FULL, IOERR).
  if (state.db.db.isTransaction) state.db.exec('ROLLBACK');
  state.forgetAll();
}

/**
 * The WAL still holds the pages as they were: move it into the database and cut it off. The commit
 * stands whatever happens here; while a reader is in the way it stays due for the next group.
 */
export function eraseOldCopies(state: WriterState): void {
  if (!state.eraseDue) return;
  try {
    const result = state.db.one<{ busy: number }>('PRAGMA wal_checkpoint(TRUNCATE)');
    state.eraseDue = result?.busy !== 0;
    if (!state.eraseDue) state.db.exec('PRAGMA secure_delete = FAST');
  } catch (cause) {
    if (sqliteCode(cause) === 0) throw cause;
  }
}
