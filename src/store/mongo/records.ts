// The documents of each collection. Times are whole milliseconds; bodies are ciphertext.
import type { MessageFormat, MessageState } from '../../model/message.ts';
import type { Checkpoint, CredentialWrite, KeyWrite } from '../port.ts';

/** One per tenant: the ends of its chains and its counts. Every commit of the tenant writes it. */
export interface TenantDoc {
  _id: string;
  /** Distinguishes the sequence numbers of tenants: seq = counter * TENANTS_MAX + number. */
  number: number;
  /** Transactions that took the tenant. */
  commits: number;
  /** Last counter given to a message. */
  intake: number;
  auditSeq: number;
  auditHash: string;
  live: { type: string; count: number }[];
  tallies: { channel: string; state: MessageState; count: number }[];
  /** The last committed group of each open store: how a commit without a reply is looked up. */
  writers: { writer: string; group: number; at: number }[];
}

export const TENANTS_MAX = 65_536;

export interface IntakeDoc {
  _id: string;
  tenant: string;
  id: string;
  seq: number;
  channel: string;
  format: MessageFormat;
  receivedAt: number;
  state: MessageState;
  orderingKey: string;
  /** `d` and the dedupe token, or `i` and the id where there is none: unique in any case. */
  once: string;
  digest: string;
  attempts: number;
  changedAt: number;
  compartment: string | null;
  bodyKey: string;
  body: Uint8Array;
  detailKey: string | null;
  detail: Uint8Array | null;
}

export const LIVE = 0;
export const DELETED = 1;
export const FORGOTTEN = 2;

/** A version of a resource: the newest is in `resources`, the older ones are in `versions`. */
export interface VersionDoc {
  _id: string;
  tenant: string;
  type: string;
  id: string;
  version: number;
  lastUpdated: number;
  deleted: boolean;
  compartment: string | null;
  fingerprint: string;
  keyId: string;
  body: Uint8Array;
}

export interface ResourceDoc extends VersionDoc {
  /** LIVE, DELETED or FORGOTTEN; only live ones have index entries. */
  state: number;
  tokens: string[];
  ranges: { p: string; l: number; h: number }[];
  /** Lowest `l` of each range parameter, by `lowField`. */
  lows: Record<string, number>;
}

/** Name of a range parameter as a field of `lows`. */
export function lowField(param: string): string {
  return /^[A-Za-z0-9_-]+$/.test(param) ? param : `x${Buffer.from(param).toString('hex')}`;
}

export interface AuditDoc {
  _id: string;
  tenant: string;
  seq: number;
  at: number;
  hash: string;
  entry: string;
}

export interface CheckpointDoc extends Checkpoint {
  _id: string;
  tenant: string;
}

export interface KeyDoc extends Omit<KeyWrite, 'rewrap'> {
  _id: string;
  tenant: string;
  destroyedAt: number | null;
}

export interface CredentialDoc extends CredentialWrite {
  _id: string;
  tenant: string;
}

/** The session of a process that commits for a tenant; see dead-writers.ts. */
export interface WriterDoc {
  _id: string;
  tenant: string;
  /** Of its lsid. */
  session: Uint8Array;
  at: number;
  /** Grows while it waits for the tenant, or holds it for long. */
  beats?: number;
}

/**
 * `schema` { version }; `tenants` { next, intake: counter that a new tenant begins with };
 * `copy` { step, progress: JSON, session }: a move into this database is not finished; `session` of
 * the process that moves.
 */
export interface MetaDoc {
  _id: string;
  version?: number;
  next?: number;
  intake?: number;
  step?: number;
  progress?: string;
  session?: Uint8Array;
}
