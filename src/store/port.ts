// The one durable truth: intake, resources, search index, audit, keys and credentials, and one
// commit over all of them. Below this line there is only ciphertext, blind tokens and metadata;
// no adapter sees a key of the key chain. Every body is opaque bytes.
import type { MessageFormat, MessageState } from '../model/message.ts';

export interface Store {
  readonly intake: IntakeStore;
  readonly resources: ResourceStore;
  readonly search: SearchStore;
  readonly audit: AuditStore;
  readonly keys: KeyStore;
  /**
   * Applies the whole unit or nothing, durably (on disk when the promise resolves). Checks are made
   * inside the commit. Units of one caller are applied in call order. Throws CommitConflict when a
   * check fails (nothing was applied), EngineError STORE_UNAVAILABLE when the store cannot answer.
   */
  commit(unit: Unit): Promise<Committed>;
  /**
   * Whether a commit would be taken now: makes a small durable write that nobody reads, and takes
   * it away again. Never throws; may take as long as a commit.
   */
  probe(): Promise<StoreCondition>;
  /** Copies a consistent state into a new folder while running. Throws if the folder exists. */
  backup(folder: string): Promise<void>;
  /** Finishes what was taken, then releases everything. Later calls throw CLOSING. */
  close(): Promise<void>;
}

/** Why a store takes no commit, in the words of the health pages. */
export type StoreCondition = 'ok' | 'disk full' | 'read only' | 'no primary' | 'no answer';

/** Ciphertext with its IV and tag, and the id of the data key that opens it. */
export interface Sealed {
  keyId: string;
  bytes: Uint8Array;
}

export interface Unit {
  tenant: string;
  intake?: IntakeWrite[];
  transitions?: Transition[];
  resources?: ResourceWrite[];
  /** Resources found as they should be: each must still be at that version (conflict `version`). */
  unchanged?: (ResourceRef & { version: number })[];
  keys?: KeyWrite[];
  credentials?: CredentialWrite[];
  /** Entries are linked to the tenant's chain in this order, inside the commit. */
  audit?: AuditDraft[];
  checkpoint?: Checkpoint;
  /**
   * Forgets a compartment: its index rows go (no search finds its resources as they are now), its
   * keys are overwritten with nothing, durably, before the commit resolves. Throws NOT_FOUND when a
   * key is not stored; a destroyed one may be named again.
   */
  forget?: { compartment: string; keyIds: string[] };
}

/** Answer of a commit: positions that only the commit could know. */
export interface Committed {
  /** One per unit.intake row: its place in the tenant's arrival order. */
  intakeSeqs: number[];
  /** Sequence number of the first entry of unit.audit, 0 = none. */
  auditSeq: number;
}

export type Conflict =
  /** The dedupe token (or the id) is taken: what is known of the first message. */
  | { kind: 'duplicate-message'; id: string; digest: string }
  /** The stored version is `stored` (0 = absent), not the expected one. */
  | { kind: 'version'; type: string; id: string; stored: number }
  /** The message is not in the state `from`, or was moved after `since` (it may be back in it). */
  | { kind: 'transition'; id: string; state: MessageState | null }
  | { kind: 'key-exists'; id: string }
  /** The key was destroyed: it cannot be written, and nothing sealed under it is taken. */
  | { kind: 'key-destroyed'; id: string };

/** A check of a commit failed, nothing of the unit was applied: the caller reads anew, retries. */
export class CommitConflict extends Error {
  readonly conflict: Conflict;
  constructor(conflict: Conflict) {
    super(`commit refused: ${conflict.kind}`);
    this.name = 'CommitConflict';
    this.conflict = conflict;
  }
}

// ---- intake

export interface IntakeWrite {
  id: string;
  channel: string;
  format: MessageFormat;
  /** ms since the epoch. */
  receivedAt: number;
  state: 'received' | 'set-aside';
  /** Blind token of the ordering key; work of one key is done in arrival order. */
  orderingKey: string;
  /**
   * Blind token of (channel, sender, MSH-10), with the content where another content had it before;
   * null = the message has no id of its own.
   */
  dedupe: string | null;
  /** Keyed digest of the raw bytes, hex. */
  digest: string;
  /** Envelope and raw bytes. */
  body: Sealed;
  /** Outcome, when the state is set-aside already. */
  detail: Sealed | null;
}

export interface Transition {
  id: string;
  /** May be the same as `to`: an attempt is counted so. */
  from: MessageState;
  to: MessageState;
  /**
   * `changedAt` of the row as it was read: the row must not have been moved since, neither away and
   * back (conflict `transition`). It is the fence between two that work on one message.
   */
  since?: number;
  /** ms since the epoch. */
  at: number;
  attempts: number;
  /** Compartment (Patient id) that the message was found to belong to, null = none or unknown. */
  compartment: string | null;
  detail: Sealed | null;
  /** A corrected body, when an operator replays a message with other bytes. */
  body?: Sealed;
}

export interface IntakeRow extends Omit<IntakeWrite, 'state'> {
  seq: number;
  state: MessageState;
  attempts: number;
  changedAt: number;
  compartment: string | null;
}

export interface IntakeFilter {
  channel?: string;
  state?: MessageState;
  compartment?: string;
  dedupe?: string;
  receivedFrom?: number;
  receivedTo?: number;
}

export interface IntakeStore {
  get(tenant: string, id: string): Promise<IntakeRow | undefined>;
  /** Rows in state `received` of one ordering key, in arrival order. */
  inbox(tenant: string, orderingKey: string, limit: number): Promise<IntakeRow[]>;
  /**
   * Ordering keys that have rows in state `received` with seq > afterSeq, oldest first, over all
   * tenants; `seq` is the key's last such row within this page: pass the last one on to get the
   * next page (a key may come again). Fewer than `limit` keys = the last page.
   */
  waiting(
    afterSeq: number,
    limit: number,
  ): Promise<{ tenant: string; orderingKey: string; seq: number }[]>;
  /** Newest first; `beforeSeq` pages backwards. */
  list(
    tenant: string,
    filter: IntakeFilter,
    limit: number,
    beforeSeq?: number,
  ): Promise<IntakeRow[]>;
  /** From counters that commits keep: it costs what it answers. */
  counts(): Promise<{ tenant: string; channel: string; state: MessageState; count: number }[]>;
  /** When (ms) the first in arrival order of the messages in `received` came, 0 = none waits. */
  oldestWaiting(): Promise<number>;
}

// ---- resources

export interface ResourceRef {
  type: string;
  id: string;
}

export interface ResourceWrite extends ResourceRef {
  /** Must be expected + 1. */
  version: number;
  /** 0 = must not exist. */
  expected: number;
  /** ms since the epoch. */
  lastUpdated: number;
  deleted: boolean;
  /** Patient id whose compartment it is in, null = none. */
  compartment: string | null;
  /** Keyed digest of the content without meta.versionId and meta.lastUpdated, hex. */
  fingerprint: string;
  body: Sealed;
  /** Blind equality tokens (16 hex characters) of the new version; they replace the older ones. */
  tokens: string[];
  /** Values of range parameters of the new version; they replace the older ones. */
  ranges: RangeEntry[];
}

/** `param` is a short public name (`date`); low <= high, both finite (ms for dates). */
export interface RangeEntry {
  param: string;
  low: number;
  high: number;
}

export interface Head {
  version: number;
  deleted: boolean;
  lastUpdated: number;
  compartment: string | null;
  fingerprint: string;
}

export interface ResourceRow extends Head, ResourceRef {
  body: Sealed;
}

export interface ResourceStore {
  /** In the order of `refs`; undefined = never existed. */
  heads(tenant: string, refs: ResourceRef[]): Promise<(Head | undefined)[]>;
  /** The newest version, or the one named. Deleted versions are rows with `deleted`. */
  read(tenant: string, ref: ResourceRef, version?: number): Promise<ResourceRow | undefined>;
  /** The newest versions in the order of `refs`, in one trip. */
  readMany(tenant: string, refs: ResourceRef[]): Promise<(ResourceRow | undefined)[]>;
  /** Versions newest first: of one resource, or of a type where id is absent. */
  history(
    tenant: string,
    of: { type: string; id?: string },
    limit: number,
    before?: { lastUpdated: number; id: string; version: number },
  ): Promise<ResourceRow[]>;
  /** Resources per type, deleted ones left out. */
  counts(tenant: string): Promise<{ type: string; count: number }[]>;
}

// ---- search

/** All groups must match; a group matches when any of its tokens is present. */
export interface SearchPlan {
  tenant: string;
  type: string;
  tokens: string[][];
  /** All must hold: the resource has an entry of `param` that satisfies the bounds. */
  ranges: RangeTest[];
  ids?: string[];
  /** All must hold; bounds are inclusive. */
  lastUpdated?: { low: number; high: number }[];
  /** Only resources of these compartments; undefined = no restriction. */
  compartments?: string[];
  /** Default: lastUpdated descending, then id. `param` sorts by its lowest `low`; missing last. */
  sort: { by: 'lastUpdated' | 'id' | { param: string }; descending: boolean };
  limit: number;
  /** `cursor` of an earlier answer with the same plan. */
  after?: string;
}

/** overlaps: entry.high >= low and entry.low <= high. Infinities are allowed here. */
export interface RangeTest {
  param: string;
  low: number;
  high: number;
  /** `within`: entry.low >= low and entry.high <= high. `missing`: no entry at all. */
  test: 'overlaps' | 'within' | 'missing' | 'present';
}

export interface SearchStore {
  /** `cursor` is absent on the last page. Deleted resources are never found. */
  find(plan: SearchPlan): Promise<{ rows: ResourceRow[]; cursor?: string }>;
  /** How many match, by the index alone; counting stops at `max`. */
  count(plan: SearchPlan, max: number): Promise<number>;
}

// ---- audit

/** `entry` is canonical JSON without patient data; the store links it and numbers it. */
export interface AuditDraft {
  /** ms since the epoch. */
  at: number;
  entry: string;
}

export interface AuditRow extends AuditDraft {
  seq: number;
  /** hex SHA-256 as audit/chain.ts computes it over the previous hash, seq, at and entry. */
  hash: string;
}

export interface Checkpoint {
  seq: number;
  hash: string;
  at: number;
  /** Ed25519, base64url, and the id of the public key. */
  signature: string;
  keyId: string;
}

export interface AuditStore {
  /** Last link; seq 0 and the zero hash before the first entry. */
  head(tenant: string): Promise<{ seq: number; hash: string }>;
  /** Entries with seq >= from, in order. */
  entries(tenant: string, from: number, limit: number): Promise<AuditRow[]>;
  checkpoints(tenant: string): Promise<Checkpoint[]>;
  tenants(): Promise<string[]>;
}

// ---- keys and credentials

export interface KeyWrite {
  id: string;
  kind: 'tenant' | 'index' | 'data' | 'signing';
  compartment: string | null;
  /** Id of the key that wraps it. */
  wrappedBy: string;
  wrapped: Uint8Array;
  createdAt: number;
  /** true replaces the wrapping of an existing key (else NOT_FOUND); false must be new. */
  rewrap: boolean;
}

export interface KeyRow extends Omit<KeyWrite, 'rewrap'> {
  tenant: string;
  /** ms since the epoch, null = alive. A destroyed key has an empty `wrapped`. */
  destroyedAt: number | null;
}

/** A bearer token, known by its SHA-256 only. */
export interface CredentialWrite {
  id: string;
  tokenHash: string;
  label: string;
  scopes: string[];
  createdAt: number;
  expiresAt: number | null;
  revokedAt: number | null;
  /** Binds all the others, and the tenant; '' in a row of before there were any. */
  mac: string;
}

export interface CredentialRow extends CredentialWrite {
  tenant: string;
  /** What is stored of its scopes does not read: it has none. */
  damaged?: true;
}

export interface KeyStore {
  get(tenant: string, id: string): Promise<KeyRow | undefined>;
  list(tenant: string, kind: KeyWrite['kind'], limit: number, afterId?: string): Promise<KeyRow[]>;
  credentialByHash(tokenHash: string): Promise<CredentialRow | undefined>;
  credentials(tenant: string): Promise<CredentialRow[]>;
}
