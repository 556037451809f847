// Audit entries of reads: handed to the store before the answer leaves, without waiting for the
// disk, within a bound. What a store that refuses (a full disk) did not take is held and repeated;
// once the bound is reached, nothing more is shown until it is taken. Each tenant has its own bound
// and its own commits: a tenant whose commit fails neither repeats nor delays entries of another.
import { type AuditEntry, entryText } from '../audit/entry.ts';
import { EngineError } from '../model/errors.ts';
import type { Principal } from '../model/principal.ts';
import type { AuditDraft, Store } from '../store/port.ts';

interface Fault {
  cause: unknown;
}

const RETRY_MS = 500;

export class Trail {
  readonly #clock: () => number;
  readonly #tenants = new Map<string, TenantTrail>();
  readonly #open: (tenant: string) => TenantTrail;

  /** `backlogMax`: entries of one tenant that may be under way, and that may be held. */
  constructor(store: Pick<Store, 'commit'>, clock: () => number, backlogMax: number) {
    this.#clock = clock;
    this.#open = (tenant) => new TenantTrail(store, tenant, backlogMax);
  }

  /** Throws STORE_UNAVAILABLE when this access cannot be logged: then it must not be answered. */
  async note(tenant: string, entry: AuditEntry): Promise<void> {
    const draft = { at: this.#clock(), entry: entryText(entry) };
    let trail = this.#tenants.get(tenant);
    if (trail === undefined) {
      trail = this.#open(tenant);
      this.#tenants.set(tenant, trail);
    }
    await trail.add(draft);
  }

  /**
   * Waits until nothing is outstanding, of any tenant. Throws STORE_UNAVAILABLE when an entry of
   * one was not kept; the entries of the others are written all the same.
   */
  async settle(): Promise<void> {
    const ends = await Promise.allSettled([...this.#tenants.values()].map((each) => each.settle()));
    for (const end of ends) if (end.status === 'rejected') throw end.reason;
  }
}

/** An entry is in one place only: under way (`#outstanding`), or held. */
class TenantTrail {
  readonly #store: Pick<Store, 'commit'>;
  readonly #tenant: string;
  readonly #backlogMax: number;
  readonly #outstanding = new Set<Promise<void>>();
  /** Entries whose commit failed, oldest first: they go before every later access. */
  readonly #held: AuditDraft[] = [];
  /** Resolves to the fault that kept them from being committed, if there was one. */
  #recovering: Promise<Fault | undefined> | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(store: Pick<Store, 'commit'>, tenant: string, backlogMax: number) {
    this.#store = store;
    this.#tenant = tenant;
    this.#backlogMax = backlogMax;
  }

  async add(draft: AuditDraft): Promise<void> {
    if (this.#held.length >= this.#backlogMax) await this.#mustCatchUp();
    if (this.#held.length > 0) return this.#hold([draft]);
    while (this.#outstanding.size >= this.#backlogMax) await Promise.race(this.#outstanding);
    const written = this.#commit([draft]).catch(() => this.#hold([draft]));
    this.#outstanding.add(written);
    void written.then(() => this.#outstanding.delete(written));
  }

  async settle(): Promise<void> {
    await Promise.all(this.#outstanding);
    await this.#mustCatchUp();
    clearTimeout(this.#timer);
  }

  #hold(drafts: AuditDraft[]): void {
    this.#held.push(...drafts);
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
    if (count === 0) return undefined;
    try {
      await this.#commit(this.#held.slice(0, count));
      this.#held.splice(0, count);
      return undefined;
    } catch (cause) {
      return { cause };
    }
  }

  async #commit(audit: AuditDraft[]): Promise<void> {
    await this.#store.commit({ tenant: this.#tenant, audit });
  }
}

/** The members of an entry that say who acted. */
export function actor(principal: Principal): { who: string; peer?: string } {
  return principal.peer === ''
    ? { who: principal.id }
    : { who: principal.id, peer: principal.peer };
}
