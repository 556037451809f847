// The audit log as seen from above: record an event, sign a checkpoint, verify, read. What an entry
// and a chain are is audit/; which access is logged is decided where it happens.
import { auditEventOf } from '../audit/auditevent.ts';
import {
  type AuditAction,
  type AuditEntry,
  entryText,
  parseEntry,
  versionRef,
} from '../audit/entry.ts';
import { type ChainFault, type KnownPoint, messageKey, walkChain } from '../audit/verify.ts';
import {
  publicKeyOf,
  publicKeyPem,
  signCheckpoint,
  thumbprint,
  verifyCheckpoint,
} from '../crypto/sign.ts';
import type { Principal } from '../model/principal.ts';
import type { Resource } from '../model/resource.ts';
import type { Checkpoint } from '../store/port.ts';
import type { ClinicalRecord } from './context.ts';
import { auditDamage, openGuarded, unlessDamaged } from './damage.ts';
import { signingKeyId } from './tenant-keys.ts';
import { actor } from './trail.ts';
import { WrittenCheck } from './written.ts';

/** Engine events that are no read or write of a resource. No value of a patient in `detail`. */
export interface EngineEvent {
  action: Extract<AuditAction, 'backup' | 'config' | 'start' | 'stop'>;
  outcome: 'success' | 'failure';
  /** Short technical words: an error code, a channel's or file's name. */
  detail?: string;
  channel?: string;
}

const WALK_PAGE = 500;
/** Contradictions that a report names. */
const FAULTS_TOLD = 100;
/** The newest messages, and versions of each type, that must have left an entry. */
const CROSS_CHECKED = 1_000;

/** Durable when the promise resolves. */
export async function recordEvent(
  record: ClinicalRecord,
  principal: Principal,
  event: EngineEvent,
): Promise<void> {
  const entry = entryText({ ...event, ...actor(principal) });
  await record.store.commit({ tenant: principal.tenant, audit: [{ at: record.clock(), entry }] });
}

/** A checkpoint with all that is needed to check it without the database: append it to a file. */
export interface Anchor extends Checkpoint {
  tenant: string;
  /** Ed25519 public key, SPKI PEM. */
  publicKey: string;
}

/** Signs the chain as it stands; undefined when nothing was added since the last one. */
export async function checkpointAudit(
  record: ClinicalRecord,
  tenant: string,
): Promise<Anchor | undefined> {
  const { signing } = await record.keyring.tenant(tenant);
  const { seq, hash } = await record.store.audit.head(tenant);
  if (seq === 0 || seq === (await lastCheckpoint(record, tenant))) return undefined;
  const body = { tenant, seq, hash, at: record.clock() };
  const signature = signCheckpoint(signing.privateKey, body);
  const checkpoint = { seq, hash, at: body.at, signature, keyId: signing.id };
  await record.store.commit({ tenant, checkpoint });
  record.checkpointed.set(tenant, seq);
  return { ...checkpoint, tenant, publicKey: publicKeyPem(signing.publicKey) };
}

/** Entries since the last checkpoint. */
export async function countUnsigned(record: ClinicalRecord, tenant: string): Promise<number> {
  const { seq } = await record.store.audit.head(tenant);
  return seq - (await lastCheckpoint(record, tenant));
}

async function lastCheckpoint(record: ClinicalRecord, tenant: string): Promise<number> {
  const known = record.checkpointed.get(tenant);
  if (known !== undefined) return known;
  const stored = await record.store.audit.checkpoints(tenant);
  const last = stored.reduce((most, { seq }) => Math.max(most, seq), 0);
  record.checkpointed.set(tenant, last);
  return last;
}

export interface AuditReport {
  /** `unknown`: nothing is wrong as far as it can be checked, `doubt` says what cannot be. */
  verdict: 'whole' | 'broken' | 'unknown';
  /** The verdict is not `broken`. */
  ok: boolean;
  /** Entries that were walked and are good, and the last link of them. */
  entries: number;
  head: { seq: number; hash: string };
  /** Checkpoints and anchors that were compared. */
  checkpoints: number;
  /** The first bad place: its seq, and what is wrong with it. */
  fault?: { seq: number; reason: string };
  /** What the store contradicts, in the order of the log: the first ones of `contradicted`. */
  faults: { seq: number; reason: string }[];
  contradicted: number;
  doubt?: string;
}

export interface VerifyOptions {
  /** Checkpoints that were kept outside. */
  anchors?: Anchor[];
  /** A log with entries older than twice this must have a checkpoint; absent = not asked for. */
  checkpointIntervalMs?: number;
}

/**
 * Walks the whole chain: links, checkpoints, given anchors. Looks from the log to the store: every
 * version, message and credential that an entry names must be stored as it was left. Looks back:
 * the newest messages and versions, and all credentials, must have their entry (a cut-off tail
 * shows there). Throws STORE_UNAVAILABLE.
 */
export async function verifyAudit(
  record: ClinicalRecord,
  tenant: string,
  options: VerifyOptions = {},
): Promise<AuditReport> {
  // Before the walk: what is committed meanwhile has its entry further on than these.
  const mustAppear = await newestWrites(record, tenant);
  const anchors = (options.anchors ?? []).filter((anchor) => anchor.tenant === tenant);
  const stored = await storedPoints(record, tenant);
  const kept = anchors.map(anchorPoint);
  const points = [...stored, ...kept];
  const walk = walkChain(points, mustAppear);
  const written = await WrittenCheck.begin(record, tenant);
  const chainFault = await walkAll(record, tenant, walk, written);
  const head = walk.position();
  if (chainFault === undefined) await written.finish(head.seq);
  const faults = [...written.faults, ...lostPoints(stored, kept)].toSorted(bySeq);
  const fault = [...faults, ...(chainFault ? [chainFault] : [])].toSorted(bySeq)[0];
  const report = { entries: head.seq, head, checkpoints: points.length };
  const told = { faults: faults.slice(0, FAULTS_TOLD), contradicted: faults.length };
  if (fault !== undefined) return { verdict: 'broken', ok: false, ...report, ...told, fault };
  const doubt = await doubtOf(record, tenant, options, points.length, written.undigested);
  if (doubt === undefined) return { verdict: 'whole', ok: true, ...report, ...told };
  return { verdict: 'unknown', ok: true, ...report, ...told, doubt };
}

/** Why the log cannot be vouched for although nothing in it is wrong. */
async function doubtOf(
  record: ClinicalRecord,
  tenant: string,
  { checkpointIntervalMs = Number.POSITIVE_INFINITY }: VerifyOptions,
  points: number,
  undigested: number,
): Promise<string | undefined> {
  const [first] = await record.store.audit.entries(tenant, 1, 1);
  const age = first === undefined ? 0 : record.clock() - first.at;
  if (points === 0 && age > 2 * checkpointIntervalMs) {
    return 'there is no checkpoint, though entries are older than the time between two of them';
  }
  if (undigested === 0) return undefined;
  return `${undigested} entries of an older release do not say what the rows they wrote were like`;
}

/** Genuine checkpoints that were kept outside and are not in the store any more. */
function lostPoints(stored: KnownPoint[], kept: KnownPoint[]): ChainFault[] {
  const known = new Set(stored.map(({ seq }) => seq));
  const lost = kept.filter(({ seq, signatureValid }) => signatureValid && !known.has(seq));
  return lost.map(({ seq }) => ({ seq, reason: `the checkpoint at entry ${seq} is not stored` }));
}

function bySeq(a: ChainFault, b: ChainFault): number {
  return a.seq - b.seq;
}

async function walkAll(
  record: ClinicalRecord,
  tenant: string,
  walk: ReturnType<typeof walkChain>,
  written: WrittenCheck,
): Promise<ChainFault | undefined> {
  const { audit } = record.store;
  for (;;) {
    const head = await audit.head(tenant);
    const from = walk.position().seq + 1;
    const rows = await audit.entries(tenant, from, WALK_PAGE);
    for (const [index, row] of rows.entries()) {
      const fault = walk.take(row);
      if (fault === undefined) continue;
      await written.take(rows.slice(0, index));
      return fault;
    }
    await written.take(rows);
    // Entries that came after `head` was read belong to a later verification.
    const reached = walk.position();
    if (rows.length === 0 || reached.seq >= head.seq) {
      return walk.finish(reached.seq > head.seq ? reached : head);
    }
  }
}

/** Keys of the entries that the newest messages and resource versions must have left. */
async function newestWrites(record: ClinicalRecord, tenant: string): Promise<Set<string>> {
  const { intake, resources } = record.store;
  const messages = await intake.list(tenant, {}, CROSS_CHECKED);
  const keys = new Set(messages.map(({ id }) => messageKey(id)));
  for (const { type } of await resources.counts(tenant)) {
    const versions = await resources.history(tenant, { type }, CROSS_CHECKED);
    for (const { id, version } of versions) keys.add(versionRef(type, id, version));
  }
  return keys;
}

async function storedPoints(record: ClinicalRecord, tenant: string): Promise<KnownPoint[]> {
  const checkpoints = await record.store.audit.checkpoints(tenant);
  const points: KnownPoint[] = [];
  for (const { seq, hash, at, signature, keyId } of checkpoints) {
    const key = await record.keyring.forOpening(tenant, keyId).catch(() => undefined);
    const body = { tenant, seq, hash, at };
    const signatureValid = key !== undefined && verifyCheckpoint(publicKeyOf(key), body, signature);
    points.push({ seq, hash, signatureValid });
  }
  return points;
}

/** An anchor vouches for itself: its key must be the one that its id names. */
function anchorPoint({ tenant, seq, hash, at, signature, keyId, publicKey }: Anchor): KnownPoint {
  let signatureValid = false;
  try {
    const key = publicKeyOf(publicKey);
    const named = signingKeyId(thumbprint(key)) === keyId;
    signatureValid = named && verifyCheckpoint(key, { tenant, seq, hash, at }, signature);
  } catch {
    // Not a key at all: the anchor is not genuine, and the report says so.
  }
  return { seq, hash, signatureValid };
}

/**
 * Entries as FHIR AuditEvent resources, seq >= from, in order; one that does not read is shown as
 * a failure that says so. The reading is itself audited.
 */
export async function readAuditEvents(
  record: ClinicalRecord,
  principal: Principal,
  from: number,
  limit: number,
): Promise<Resource[]> {
  const { tenant } = principal;
  const { ids } = await record.keyring.tenant(tenant);
  await record.denials.flush();
  const rows = await record.store.audit.entries(tenant, from, limit);
  const entry = { action: 'search', outcome: 'success', type: 'AuditEvent' } as const;
  await record.trail.note(tenant, { ...entry, ...actor(principal) });
  const events: Resource[] = [];
  for (const { seq, at, entry: text } of rows) {
    const damage = auditDamage(tenant, seq);
    let stands: AuditEntry = { action: 'damaged', outcome: 'failure', who: 'artery' };
    const opened = openGuarded(record.damage, damage, async () => parseEntry(text));
    const found = await unlessDamaged(opened, ({ message }) => {
      stands = { ...stands, subject: damage.name, detail: message };
    });
    events.push(auditEventOf(ids('AuditEvent', String(seq)), seq, at, found ?? stands));
  }
  return events;
}
