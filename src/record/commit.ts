// Commits that may lose a race: tries again with what is true by then, a bounded number of times.
import { setTimeout as sleep } from 'node:timers/promises';
import { EngineError } from '../model/errors.ts';
import { CommitConflict, type Conflict } from '../store/port.ts';
import type { ClinicalRecord } from './context.ts';
import type { SealingKey } from './keyring.ts';

const FIRST_WAIT_MS = 2;
const LOST_RACE_MS_MAX = 50;

/**
 * Calls `attempt` until it does not throw CommitConflict. After a conflict the keys it names are
 * looked at anew and `recover` is called (it may throw to give up), then a random short wait.
 * Throws VERSION_CONFLICT when `limits.commitAttempts` attempts were lost.
 */
export async function retryConflicts<T>(
  record: ClinicalRecord,
  tenant: string,
  attempt: () => Promise<T>,
  recover: (conflict: Conflict) => Promise<void> | void,
): Promise<T> {
  let last: unknown;
  for (let lost = 0; lost < record.limits.commitAttempts; lost += 1) {
    try {
      return await attempt();
    } catch (thrown) {
      if (!(thrown instanceof CommitConflict)) throw thrown;
      last = thrown;
      const { conflict } = thrown;
      if (conflict.kind === 'key-exists' || conflict.kind === 'key-destroyed') {
        record.keyring.drop(tenant, [conflict.id]);
      }
      await recover(conflict);
      if (lost > 0) {
        const most = Math.min(LOST_RACE_MS_MAX, FIRST_WAIT_MS * 2 ** lost);
        await sleep(Math.random() * most);
      }
    }
  }
  throw new EngineError('VERSION_CONFLICT', 'Other writers were faster each time.', {
    cause: last,
  });
}

/** The keys that one attempt seals with: each compartment's key is looked up, or made, once. */
export class AttemptKeys {
  readonly #record: ClinicalRecord;
  readonly #tenant: string;
  readonly #keys = new Map<string | null, SealingKey>();

  constructor(record: ClinicalRecord, tenant: string) {
    this.#record = record;
    this.#tenant = tenant;
  }

  async of(compartment: string | null): Promise<SealingKey> {
    const known = this.#keys.get(compartment);
    if (known !== undefined) return known;
    const key = await this.#record.keyring.forSealing(this.#tenant, compartment);
    this.#keys.set(compartment, key);
    return key;
  }

  /** A key that `of` has given before. */
  given(compartment: string | null): SealingKey {
    const known = this.#keys.get(compartment);
    if (known === undefined) throw new EngineError('INTERNAL', 'A key was not asked for.');
    return known;
  }

  /** `unit.keys`: the new ones. */
  writes(): NonNullable<SealingKey['write']>[] {
    return [...this.#keys.values()].flatMap(({ write }) => (write === undefined ? [] : [write]));
  }

  /** After the commit: the new keys are real now. */
  keep(): void {
    const made = [...this.#keys.values()].filter(({ write }) => write !== undefined);
    this.#record.keyring.keep(this.#tenant, made);
  }
}
