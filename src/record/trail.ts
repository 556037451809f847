// Audit entries of reads: handed to the store before the answer leaves, without waiting for the
// disk, within a bound. Once an entry could not be kept, nothing more is shown until it is.
import { type AuditEntry, entryText } from '../audit/entry.ts';
import { EngineError } from '../model/errors.ts';
import type { Principal } from '../model/principal.ts';
import type { AuditDraft, Store } from '../store/port.ts';

interface Waiting {
  tenant: string;
  draft: AuditDraft;
}

export class Trail {
  readonly #store: Store;
  readonly #clock: () => number;
  readonly #backlogMax: number;
  readonly #outstanding = new Set<Promise<void>>();
  /** Entries whose commit failed, oldest first: they go before every later access. */
  #failed: Waiting[] = [];
  #recovering: Promise<void> | undefined;

  constructor(store: Store, clock: () => number, backlogMax: number) {
    this.#store = store;
    this.#clock = clock;
    this.#backlogMax = backlogMax;
  }

  /** Throws STORE_UNAVAILABLE when this access cannot be logged: then it must not be answered. */
  async note(tenant: string, entry: AuditEntry): Promise<void> {
    const waiting = { tenant, draft: { at: this.#clock(), entry: entryText(entry) } };
    if (await this.#catchUp(waiting)) return;
    while (this.#outstanding.size >= this.#backlogMax) await Promise.race(this.#outstanding);
    const written = this.#commit([waiting]).catch(() => {
      this.#failed.push(waiting);
    });
    this.#outstanding.add(written);
    void written.then(() => this.#outstanding.delete(written));
  }

  /** Waits until nothing is outstanding. Throws STORE_UNAVAILABLE when an entry was not kept. */
  async settle(): Promise<void> {
    await Promise.all(this.#outstanding);
    await this.#catchUp();
  }

  /** Writes what failed before, and `next` with it; false when nothing had failed. */
  async #catchUp(next?: Waiting): Promise<boolean> {
    while (this.#recovering !== undefined) await this.#recovering;
    if (this.#failed.length === 0) return false;
    const late = this.#failed;
    this.#failed = [];
    const recovery = this.#commit(next === undefined ? late : [...late, next]);
    this.#recovering = recovery.catch(() => {
      this.#failed = [...late, ...this.#failed];
    });
    try {
      await recovery;
    } catch (cause) {
      const detail = 'Access cannot be logged, so nothing is shown.';
      throw new EngineError('STORE_UNAVAILABLE', detail, { cause });
    } finally {
      await this.#recovering;
      this.#recovering = undefined;
    }
    return true;
  }

  async #commit(waiting: Waiting[]): Promise<void> {
    for (const tenant of new Set(waiting.map((each) => each.tenant))) {
      const audit = waiting.filter((each) => each.tenant === tenant).map((each) => each.draft);
      await this.#store.commit({ tenant, audit });
    }
  }
}

/** The members of an entry that say who acted. */
export function actor(principal: Principal): { who: string; peer?: string } {
  return principal.peer === ''
    ? { who: principal.id }
    : { who: principal.id, peer: principal.peer };
}
