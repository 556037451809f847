// One entry of the audit log: its shape and its canonical text. It holds ids, versions and codes,
// never a value of a patient; what a search asked for is in it sealed only.
import { EngineError } from '../model/errors.ts';
import { tableOf } from '../model/table.ts';

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
  'damaged',
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
  /** Digests of what was written as it is stored: of each of `resources`, or of the credential. */
  wrote?: string[];
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
  /** The entry stands for so many equal events. */
  count?: number;
  /** The last one of them, ms since the epoch; the first one is the time of the entry. */
  until?: number;
}

/** Who acted where nobody said who: a caller without a credential. */
export const ANONYMOUS = 'anonymous';

type Form = (value: unknown) => boolean;

const isText: Form = (value) => typeof value === 'string' && value !== '';
const isTexts: Form = (value) => Array.isArray(value) && value.length > 0 && value.every(isText);
const isWhole: Form = (value) => Number.isSafeInteger(value) && Number(value) >= 0;
const isAction: Form = (value) => AUDIT_ACTIONS.some((action) => action === value);
const isOutcome: Form = (value) => value === 'success' || value === 'failure';

function isQuery(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const { keyId, sealed } = value as Record<string, unknown>;
  return isText(keyId) && isText(sealed);
}

/**
 * The form of each member, in the order in which they stand in the canonical text. The writer and
 * the reader both keep to it: what one of them refuses, the other one does not make.
 */
const MEMBERS = tableOf({
  action: isAction,
  outcome: isOutcome,
  who: isText,
  peer: isText,
  channel: isText,
  message: isText,
  map: isText,
  input: isText,
  resources: isTexts,
  wrote: isTexts,
  unchanged: isTexts,
  subject: isText,
  query: isQuery,
  type: isText,
  detail: isText,
  count: isWhole,
  until: isWhole,
} as const satisfies Record<keyof AuditEntry, Form>);

const NAMES = Object.keys(MEMBERS) as (keyof AuditEntry)[];

/** Longest free text of an entry; what is longer is cut. */
const DETAIL_CHARS_MAX = 300;

/**
 * Canonical JSON: members in a fixed order, absent and empty ones left out; an empty `who` is
 * anonymous. Throws INTERNAL for what parseEntry would refuse, so that it is never committed.
 */
export function entryText(entry: AuditEntry): string {
  const ordered: Partial<Record<keyof AuditEntry, unknown>> = {};
  for (const member of NAMES) {
    const value = entry[member];
    if (value === undefined || value === '' || (Array.isArray(value) && value.length === 0)) {
      if (member === 'who') ordered.who = ANONYMOUS;
      continue;
    }
    ordered[member] = value;
  }
  if (entry.detail !== undefined && entry.detail.length > DETAIL_CHARS_MAX) {
    ordered.detail = entry.detail.slice(0, DETAIL_CHARS_MAX);
  }
  const wrong = faultOf(ordered);
  if (wrong !== undefined) {
    throw new EngineError('INTERNAL', `The member ${wrong} of an audit entry is not of its form.`);
  }
  return JSON.stringify(ordered);
}

/**
 * Reads the text back. An entry without `who` was written for a caller without a credential, by a
 * version that left an empty one out. Throws EngineError STORE_CORRUPT when it is not an entry.
 */
export function parseEntry(text: string): AuditEntry {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (cause) {
    throw new EngineError('STORE_CORRUPT', 'An audit entry is not JSON.', { cause });
  }
  if (typeof parsed !== 'object' || parsed === null) {
    throw new EngineError('STORE_CORRUPT', 'An audit entry is no JSON object.');
  }
  const entry = { who: ANONYMOUS, ...parsed };
  const wrong = faultOf(entry);
  if (wrong === undefined) return entry as AuditEntry;
  throw new EngineError('STORE_CORRUPT', `The member ${wrong} of an audit entry has no such form.`);
}

/** Name of the first member that is not of its form. */
function faultOf(entry: Partial<Record<keyof AuditEntry, unknown>>): string | undefined {
  const { action, who, outcome } = entry;
  if (action === undefined || who === undefined || outcome === undefined) return 'action or who';
  return NAMES.find((name) => entry[name] !== undefined && !MEMBERS[name](entry[name]));
}

/** `Patient/<id>/_history/<version>` as entries name resources. */
export function versionRef(type: string, id: string, version: number): string {
  return `${type}/${id}/_history/${version}`;
}
