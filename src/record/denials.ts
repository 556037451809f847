// Refused calls and noise in the audit log: counted by caller and minute, one entry for all that
// are equal, so that nobody without a credential makes the log grow with each call. Of a caller
// with a credential the first denial is written at once.
import { ANONYMOUS, type AuditEntry, entryText } from '../audit/entry.ts';
import type { Principal } from '../model/principal.ts';
import type { Store } from '../store/port.ts';
import type { ClinicalRecord } from './context.ts';

export interface Denial {
  /** `deny`: a call that its caller may not make. `refuse`: bytes that are no message. */
  action: 'deny' | 'refuse';
  /** Short technical words: an error code and what was asked for. No value of a patient. */
  detail: string;
  channel?: string;
}

interface Counted {
  tenant: string;
  entry: AuditEntry;
  /** ms since the epoch. */
  first: number;
  last: number;
  count: number;
}

/** Equal denials of so long become one entry. */
const WINDOW_MS = 60_000;
/** Different callers and details of one window; what is beyond is counted as `other callers`. */
const DIFFERENT_MAX = 1_000;

export class DenialLog {
  readonly #store: Pick<Store, 'commit'>;
  readonly #clock: () => number;
  #counted = new Map<string, Counted>();
  #timer: NodeJS.Timeout | undefined;
  #flushing: Promise<void> = Promise.resolve();

  constructor(store: Pick<Store, 'commit'>, clock: () => number) {
    this.#store = store;
    this.#clock = clock;
  }

  /** Counts it; answers whether it is the first of its kind in this window. */
  count(tenant: string, entry: AuditEntry, times: number): boolean {
    const known = this.#counted.size < DIFFERENT_MAX || this.#counted.has(keyOf(tenant, entry));
    const { peer: _, ...anybody } = entry;
    const kept = known ? entry : { ...anybody, who: ANONYMOUS, detail: 'other callers' };
    const key = keyOf(tenant, kept);
    const now = this.#clock();
    const row = this.#counted.get(key);
    if (row === undefined) {
      this.#counted.set(key, { tenant, entry: kept, first: now, last: now, count: times });
    } else {
      row.count += times;
      row.last = now;
    }
    this.#timer ??= setTimeout(() => void this.flush().catch(() => undefined), WINDOW_MS).unref();
    return known && row === undefined;
  }

  /** Writes what is counted. What the store does not take is held; then it rejects. */
  flush(): Promise<void> {
    this.#flushing = this.#flushing.catch(() => undefined).then(() => this.#write());
    return this.#flushing;
  }

  async #write(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const counted = this.#counted;
    this.#counted = new Map();
    const rows = [...counted.values()].filter(({ count }) => count > 0);
    for (const tenant of new Set(rows.map((row) => row.tenant))) {
      const own = rows.filter((row) => row.tenant === tenant);
      try {
        await this.#store.commit({ tenant, audit: own.map(draftOf) });
      } catch (thrown) {
        for (const row of own) this.#hold(row);
        throw thrown;
      }
    }
  }

  #hold(row: Counted): void {
    this.count(row.tenant, row.entry, row.count);
    const held = this.#counted.get(keyOf(row.tenant, row.entry));
    if (held !== undefined) held.first = Math.min(held.first, row.first);
  }
}

function keyOf(tenant: string, { action, who, peer, channel, detail }: AuditEntry): string {
  return JSON.stringify([tenant, action, who, peer, channel, detail]);
}

function draftOf({ entry, first, last, count }: Counted): { at: number; entry: string } {
  return { at: first, entry: entryText({ ...entry, count, until: last }) };
}

/**
 * A caller without a credential is counted; of one with a credential the first denial in a minute
 * is durable when the promise resolves, and its repetitions are counted.
 */
export async function recordDenial(
  record: ClinicalRecord,
  principal: Principal,
  denial: Denial,
): Promise<void> {
  const { tenant } = principal;
  const entry = entryOf(principal, denial);
  if (entry.who === ANONYMOUS) {
    record.denials.count(tenant, entry, 1);
    return;
  }
  // Counted with 0, so that the entry of this one is not written a second time.
  if (!record.denials.count(tenant, entry, 0)) {
    record.denials.count(tenant, entry, 1);
    return;
  }
  await record.store.commit({ tenant, audit: [{ at: record.clock(), entry: entryText(entry) }] });
}

/** A caller without a credential belongs to no tenant: it is written down under this one. */
const NOBODYS_TENANT = 'default';

/** A call without a valid credential to a surface of no tenant. Never waits. */
export function countUnknownCaller(record: ClinicalRecord, peer: string, detail: string): void {
  const nobody = { tenant: NOBODYS_TENANT, id: '', scopes: [], peer, patient: null };
  countNoise(record, nobody, { action: 'deny', detail });
}

/** Noise of a peer that has no credential: `times` frames or pieces of it. Never waits. */
export function countNoise(
  record: ClinicalRecord,
  principal: Principal,
  denial: Denial,
  times = 1,
): void {
  record.denials.count(principal.tenant, entryOf(principal, denial), times);
}

function entryOf({ id, peer }: Principal, { action, detail, channel }: Denial): AuditEntry {
  return {
    action,
    outcome: 'failure',
    who: id === '' ? ANONYMOUS : id,
    peer: hostOf(peer),
    ...(channel === undefined ? {} : { channel }),
    detail,
  };
}

/** The address without the port, which is another one with each connection. */
function hostOf(peer: string): string {
  const [, host = peer] = /^\[?([^\]]*?)\]?:\d+$/.exec(peer) ?? [];
  return /^[0-9a-f:]*:[0-9a-f:]*$/i.test(peer) && !peer.startsWith('[') ? peer : host;
}
