// What one transaction knows of a tenant and what it will write. Units are checked and staged here
// one after another, so that a refused unit leaves nothing and later ones see the earlier ones.
import type { MessageState } from '../../model/message.ts';
import type { AuditDoc, CheckpointDoc, CredentialDoc, IntakeDoc, KeyDoc } from './records.ts';
import { LIVE, type ResourceDoc, type TenantDoc, type VersionDoc } from './records.ts';

/** A message as the checks need it; `fresh` is its document while this transaction inserts it. */
export interface KnownIntake {
  id: string;
  once: string;
  digest: string;
  channel: string;
  state: MessageState;
  changedAt: number;
  fresh?: IntakeDoc;
}

/** A head without its index entries, as it is read to be superseded. */
export type StoredHead = Omit<ResourceDoc, 'tokens' | 'ranges' | 'lows'>;

export interface KnownHead {
  /** As it is in the database; undefined = there is none. */
  stored: StoredHead | undefined;
  /** As it will be; undefined = not written by this transaction. */
  next: ResourceDoc | undefined;
}

export interface KnownKey {
  destroyedAt: number | null;
  fresh?: KeyDoc;
}

/** Everything that `flush` writes; documents are complete. */
export interface Staged {
  intake: IntakeDoc[];
  moves: Map<string, { once: string; set: Partial<IntakeDoc> }>;
  heads: Map<string, KnownHead>;
  versions: VersionDoc[];
  keys: KeyDoc[];
  rewraps: Map<string, { wrappedBy: string; wrapped: Uint8Array }>;
  destroyed: string[];
  credentials: Map<string, CredentialDoc>;
  audit: AuditDoc[];
  checkpoints: CheckpointDoc[];
  /** Only in a unit that is committed alone. */
  forget: string | undefined;
}

/** One per attempt at a transaction; thrown away with it. */
export class BatchState {
  readonly tenant: string;
  /** Its own copy: written back whole at the end. */
  readonly head: TenantDoc;
  readonly intake = new Map<string, KnownIntake>();
  readonly once = new Map<string, { id: string; digest: string }>();
  readonly heads = new Map<string, KnownHead>();
  /** Versions of resources that no unit of the batch writes. */
  readonly versions = new Map<string, number>();
  readonly keys = new Map<string, KnownKey>();
  readonly staged: Staged = {
    intake: [],
    moves: new Map(),
    heads: new Map(),
    versions: [],
    keys: [],
    rewraps: new Map(),
    destroyed: [],
    credentials: new Map(),
    audit: [],
    checkpoints: [],
    forget: undefined,
  };

  constructor(tenant: string, head: TenantDoc) {
    this.tenant = tenant;
    this.head = head;
  }

  addIntake(row: KnownIntake): void {
    this.intake.set(row.id, row);
    this.once.set(row.once, { id: row.id, digest: row.digest });
  }

  /** The newest version: staged, else stored; undefined = never existed. */
  newest(id: string): StoredHead | undefined {
    const head = this.heads.get(id);
    return head?.next ?? head?.stored;
  }

  /** 0 = never existed. */
  versionOf(id: string): number {
    return this.newest(id)?.version ?? this.versions.get(id) ?? 0;
  }

  countLive(type: string, from: number | undefined, to: number): void {
    const delta = (to === LIVE ? 1 : 0) - (from === LIVE ? 1 : 0);
    if (delta === 0) return;
    const row = this.head.live.find((known) => known.type === type);
    if (row) row.count += delta;
    else this.head.live.push({ type, count: delta });
  }

  countIntake(channel: string, state: MessageState, delta: number): void {
    const same = (row: { channel: string; state: MessageState }): boolean =>
      row.channel === channel && row.state === state;
    const row = this.head.tallies.find(same);
    if (row) row.count += delta;
    else this.head.tallies.push({ channel, state, count: delta });
  }
}

/** `intake.once` of a message. */
export function onceOf(row: { id: string; dedupe: string | null }): string {
  return row.dedupe === null ? `i${row.id}` : `d${row.dedupe}`;
}
