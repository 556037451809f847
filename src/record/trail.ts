// Audit entries of reads: handed to the store before the answer leaves, without waiting for the
// disk, within a bound. What a store that refuses (a full disk) did not take is held and repeated;
// once the bound is reached, nothing more is shown until it is taken.
import { type AuditEntry, entryText } from '../audit/entry.ts';
import { EngineError } from '../model/errors.ts';
import type { Principal } from '../model/principal.ts';
import type { AuditDraft, Store } from '../store/port.ts';

interface Waiting {
  tenant: string;
  draft: AuditDraft;
}

interface Fault {
  cause: unknown;
}

const RETRY_MS = 500;

export class Trail {
  readonly #store: Store;
  readonly #clock: () => number;
  readonly #backlogMax: number;
  readonly #outstanding = new Set<Promise<void>>();
  /** Entries whose commit failed, oldest first: they go before every later access. */
  #held: Waiting[] = [];
  /** Resolves to the fault that kept them from being committed, if there was one. */
  #recovering: Promise<Fault | undefined> | undefined;
  #timer: NodeJS.Timeout | undefined;

  /** `backlogMax`: entries that may be under way, and entries that may be held. */
  constructor(store: Store, clock: () => number, backlogMax: number) {
    this.#store = store;
    this.#clock = clock;
    this.#backlogMax = backlogMax;
  }

  /** Throws STORE_UNAVAILABLE when this access cannot be logged: then it must not be answered. */
  async note(tenant: string, entry: AuditEntry): Promise<void> {
    const waiting = { tenant, draft: { at: this.#clock(), entry: entryText(entry) } };
    if (this.#held.length >= this.#backlogMax) await this.#mustCatchUp();
    if (this.#held.length > 0) return this.#hold([waiting]);
    while (this.#outstanding.size >= this.#backlogMax) await Promise.race(this.#outstanding);
    const written = this.#commit([waiting]).catch(() => this.#hold([waiting]));
    this.#outstanding.add(written);
    void written.then(() => this.#outstanding.delete(written));
  }

  /** Waits until nothing is outstanding. Throws STORE_UNAVAILABLE when an entry was not kept. */
  async settle(): Promise<void> {
    await Promise.all(this.#outstanding);
    await this.#mustCatchUp();
    clearTimeout(this.#timer);
  }

  #hold(waiting: Waiting[]): void {
    this.#held.push(...waiting);
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      void this.#catchUp().then((fault) => fault && this.#hold([]));
    }, RETRY_MS).unref();
  }

  async #mustCatchUp(): Promise<void> {
    while (this.#held.length > 0) {
      const fault = await this.#catchUp();
      if (fault === undefined) continue;
      const detail = 'Access cannot be logged, so nothing is shown.';
      throw new EngineError('STORE_UNAVAILABLE', detail, fault);
    }
  }

  /** Those that come meanwhile stay held, behind these. */
  #catchUp(): Promise<Fault | undefined> {
    this.#recovering ??= this.#commitHeld().finally(() => {
      this.#recovering = undefined;
    });
    return this.#recovering;
  }

  async #commitHeld(): Promise<Fault | undefined> {
    const count = this.#held.length;
    try {
      await this.#commit(this.#held.slice(0, count));
      this.#held.splice(0, count);
      return undefined;
    } catch (cause) {
      return { cause };
    }
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
