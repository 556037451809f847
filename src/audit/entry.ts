// One entry of the audit log: its shape and its canonical text. It holds ids, versions and codes,
// never a value of a patient; what a search asked for is in it sealed only.
import { EngineError } from '../model/errors.ts';

export const AUDIT_ACTIONS = [
  'receive',
  'duplicate',
  'refuse',
  'transform',
  'set-aside',
  'replay',
  'create',
  'update',
  'read',
  'vread',
  'history',
  'search',
  'message',
  'deny',
  'forget',
  'keys',
  'rotate',
  'token',
  'revoke',
  'backup',
  'config',
  'start',
  'stop',
] as const;

export type AuditAction = (typeof AUDIT_ACTIONS)[number];

/** Actions whose `resources` are versions that the same commit wrote. */
export const WRITING_ACTIONS: readonly AuditAction[] = ['transform', 'create', 'update'];

export interface AuditEntry {
  action: AuditAction;
  outcome: 'success' | 'failure';
  /** Principal id. */
  who: string;
  /** Peer address, absent for the engine itself. */
  peer?: string;
  channel?: string;
  /** Message id. */
  message?: string;
  /** SHA-256 (hex) of the compiled map. */
  map?: string;
  /** Keyed digest (hex) of the message's bytes. */
  input?: string;
  /** `Patient/<id>/_history/<version>`: written, or shown. */
  resources?: string[];
  /** Found already as they would have been written. */
  unchanged?: string[];
  /** Id of the credential, key or compartment that the action is about. */
  subject?: string;
  /** Parameters of a search: base64url ciphertext, and the id of the key that opens it. */
  query?: { keyId: string; sealed: string };
  /** Type that was searched. */
  type?: string;
  /** Short technical words: an error code, a file's name. */
  detail?: string;
}

/** The members in the order in which they stand in the canonical text. */
const MEMBERS = [
  'action',
  'outcome',
  'who',
  'peer',
  'channel',
  'message',
  'map',
  'input',
  'resources',
  'unchanged',
  'subject',
  'query',
  'type',
  'detail',
] as const satisfies readonly (keyof AuditEntry)[];

/** Longest free text of an entry; what is longer is cut. */
const DETAIL_CHARS_MAX = 300;

/** Canonical JSON: members in a fixed order, absent and empty ones left out. */
export function entryText(entry: AuditEntry): string {
  const ordered: Partial<Record<keyof AuditEntry, unknown>> = {};
  for (const member of MEMBERS) {
    const value = entry[member];
    if (value === undefined || value === '' || (Array.isArray(value) && value.length === 0)) {
      continue;
    }
    ordered[member] = value;
  }
  if (entry.detail !== undefined && entry.detail.length > DETAIL_CHARS_MAX) {
    ordered.detail = entry.detail.slice(0, DETAIL_CHARS_MAX);
  }
  return JSON.stringify(ordered);
}

/** Reads the text back. Throws EngineError STORE_CORRUPT when it is not an entry. */
export function parseEntry(text: string): AuditEntry {
  let parsed: Partial<AuditEntry> | null;
  try {
    parsed = JSON.parse(text);
  } catch (cause) {
    throw new EngineError('STORE_CORRUPT', 'An audit entry is not JSON.', { cause });
  }
  const known = AUDIT_ACTIONS.find((action) => action === parsed?.action);
  if (known === undefined || typeof parsed?.who !== 'string') {
    throw new EngineError('STORE_CORRUPT', 'An audit entry has no action or no actor.');
  }
  return { ...parsed, action: known, who: parsed.who, outcome: parsed.outcome ?? 'success' };
}

/** `Patient/<id>/_history/<version>` as entries name resources. */
export function versionRef(type: string, id: string, version: number): string {
  return `${type}/${id}/_history/${version}`;
}
