// The units of one tenant on their way into transactions: what arrives while one runs goes together
// into the next. No unit suffers from another's fault, and their order is kept.
import { EngineError } from '../../model/errors.ts';
import type { Committed, Unit } from '../port.ts';
import { translateError } from './errors.ts';
import type { Outcome, TenantCommitter } from './tenant-committer.ts';

export interface GroupLimits {
  /** Units of one transaction. */
  unitsMax: number;
  /** Bytes of one transaction, as `unitBytes` counts them; a larger unit still goes alone. */
  bytesMax: number;
}

interface Job {
  unit: Unit;
  bytes: number;
  resolve(value: Committed): void;
  reject(error: Error): void;
}

export class Lane {
  readonly #committer: TenantCommitter;
  readonly #limits: GroupLimits;
  #jobs: Job[] = [];
  #running = false;

  constructor(committer: TenantCommitter, limits: GroupLimits) {
    this.#committer = committer;
    this.#limits = limits;
  }

  take(unit: Unit, bytes: number): Promise<Committed> {
    return new Promise((resolve, reject) => {
      this.#jobs.push({ unit, bytes, resolve, reject });
      if (this.#running) return;
      this.#running = true;
      // After the units of this turn of the event loop: they belong to the same group.
      setImmediate(() => this.#run());
    });
  }

  close(): Promise<void> {
    return this.#committer.close();
  }

  async #run(): Promise<void> {
    while (this.#jobs.length > 0) {
      const endTurn = await this.#committer.takeTurn();
      // After the wait: what came in meanwhile belongs to this group.
      const group = this.#jobs.splice(0, this.#groupSize());
      const outcomes = await this.#commitGroup(group.map(({ unit }) => unit)).finally(endTurn);
      for (const [index, job] of group.entries()) settle(job, outcomes[index]);
    }
    this.#running = false;
  }

  /** A unit that forgets goes alone: it counts resources that no check has read. */
  #groupSize(): number {
    let bytes = 0;
    let size = 0;
    for (const job of this.#jobs) {
      bytes += job.bytes;
      const full = size >= this.#limits.unitsMax || bytes > this.#limits.bytesMax;
      if (size > 0 && (full || job.unit.forget)) break;
      size += 1;
      if (job.unit.forget) break;
    }
    return size;
  }

  async #commitGroup(units: Unit[]): Promise<Outcome[]> {
    try {
      return await this.#committer.commit(units);
    } catch (cause) {
      const error = translateError(cause);
      const hopeless = error instanceof EngineError && error.code === 'STORE_UNAVAILABLE';
      if (units.length === 1 || hopeless) return units.map(() => ({ kind: 'refused', error }));
      // A fault that no check foresaw: each unit gets a transaction of its own.
      const outcomes: Outcome[] = [];
      for (const unit of units) outcomes.push(...(await this.#commitGroup([unit])));
      return outcomes;
    }
  }
}

function settle(job: Job, outcome: Outcome | undefined): void {
  if (outcome?.kind === 'done') job.resolve(outcome.value);
  else job.reject(outcome?.error ?? new Error('a unit got no outcome'));
}

const ENTRY_BYTES = 40;
const ROW_BYTES = 500;

/** Bytes that a unit puts into its transaction, roughly. */
export function unitBytes(unit: Unit): number {
  const { intake = [], transitions = [], resources = [], keys = [], audit = [] } = unit;
  let total = 0;
  for (const { body, detail } of [...intake, ...transitions]) {
    total += ROW_BYTES + (body?.bytes.byteLength ?? 0) + (detail?.bytes.byteLength ?? 0);
  }
  for (const { body, tokens, ranges } of resources) {
    total += ROW_BYTES + body.bytes.byteLength + ENTRY_BYTES * (tokens.length + ranges.length);
  }
  for (const { wrapped } of keys) total += ROW_BYTES + wrapped.byteLength;
  for (const { entry } of audit) total += ROW_BYTES + entry.length;
  return total;
}

/** Nothing to do: no transaction is made for it. */
export function isEmpty({ tenant: _, forget, checkpoint, ...lists }: Unit): boolean {
  return !forget && !checkpoint && Object.values(lists).every((list) => !list?.length);
}
