// Intake: makes received messages durable, sealed, once. Knows nothing of their content but the
// envelope; what to answer to whom is decided by flow/receive.ts.
import { entryText } from '../audit/entry.ts';
import { EngineError } from '../model/errors.ts';
import type { Issue } from '../model/issue.ts';
import type { Envelope, MessageState } from '../model/message.ts';
import type { Principal } from '../model/principal.ts';
import type { AuditDraft, Conflict, IntakeRow, IntakeWrite, Transition } from '../store/port.ts';
import { AttemptKeys, retryConflicts } from './commit.ts';
import type { ClinicalRecord } from './context.ts';
import { DamagedRecord } from './damage.ts';
import {
  dedupeToken,
  emptyOutcome,
  openOutcome,
  orderingToken,
  reuseToken,
  sealMessage,
  sealOutcome,
  subjectCompartment,
} from './message-body.ts';
import { countRepeats, findKept, ID_REUSED, type KeptRow, withRepeats } from './reused-ids.ts';
import type { TenantKeys } from './tenant-keys.ts';
import { actor } from './trail.ts';

export interface Arrival {
  envelope: Envelope;
  raw: Uint8Array;
  /** `set-aside`: stored and never processed by itself (refused, or not readable). */
  verdict: 'received' | 'set-aside';
  /** Why it is set aside; kept sealed. Not kept for `received`: the pipeline finds them again. */
  issues: Issue[];
}

export type Receipt =
  | {
      kind: 'accepted';
      seq: number;
      /** Blind token of the ordering key: `queue.wake({ tenant, orderingKey })`. */
      orderingKey: string;
    }
  /** Same channel, sender and control id, same bytes: nothing was stored, answer as the first. */
  | { kind: 'duplicate'; first: FirstMessage }
  /** Same channel, sender and control id, other bytes: kept once, set aside, as `kept`. */
  | {
      kind: 'id-reused';
      seq: number;
      first: FirstMessage;
      kept: Pick<FirstMessage, 'id' | 'receivedAt'>;
    };

export interface FirstMessage {
  id: string;
  /** ISO 8601. */
  receivedAt: string;
  state: MessageState;
  /** Set aside at intake, before any attempt at it: its sender was told so. */
  refused: boolean;
  /** Issues of its outcome; empty while it waits, and when its patient was forgotten. */
  issues: Issue[];
}

/** An arrival with its tokens; `first` is set once an earlier message of the same id is known. */
interface Prepared {
  arrival: Arrival;
  orderingKey: string;
  dedupe: string | null;
  digest: string;
  first: (FirstMessage & { digest: string }) | null;
  /** The id is reused: the stored row of this content, once it is known. */
  kept: KeptRow | null;
  /** The id is reused: the earliest of this batch with this content, often itself. */
  lead: Prepared | null;
  /** Of a lead: how many of this batch repeat it, and when the last one came. */
  repeats: { times: number; lastAt: string };
}

/**
 * Stores all items in one commit; durable when the promise resolves, one receipt per item in
 * order. All items are of the tenant of `principal`. `who` of the audit entry is the principal.
 * Throws STORE_UNAVAILABLE (nothing was stored).
 */
export async function acceptMessages(
  record: ClinicalRecord,
  principal: Principal,
  items: Arrival[],
): Promise<Receipt[]> {
  const tenant = await record.keyring.tenant(principal.tenant);
  const prepared = items.map((arrival) => prepare(tenant, arrival));
  markTwins(prepared);
  return retryConflicts(
    record,
    principal.tenant,
    () => commitArrivals(record, tenant, principal, prepared),
    (conflict) => markKnown(record, tenant, prepared, conflict),
  );
}

function prepare(tenant: TenantKeys, arrival: Arrival): Prepared {
  const { envelope, raw } = arrival;
  if (envelope.tenant !== tenant.tenant) {
    throw new EngineError('FORBIDDEN', 'A message is of another tenant than its sender.');
  }
  return {
    arrival,
    orderingKey: orderingToken(tenant, envelope),
    dedupe: dedupeToken(tenant, envelope),
    digest: tenant.blinder.digest('message', raw),
    first: null,
    kept: null,
    lead: null,
    repeats: { times: 0, lastAt: envelope.receivedAt },
  };
}

/** Two arrivals with one id in the same batch: the earlier one is the first. */
function markTwins(prepared: Prepared[]): void {
  if (prepared.length < 2) return;
  const seen = new Map<string, Prepared>();
  for (const each of prepared) {
    if (each.dedupe === null) continue;
    const earlier = seen.get(each.dedupe);
    if (earlier === undefined) {
      seen.set(each.dedupe, each);
      continue;
    }
    const { envelope, verdict, issues } = earlier.arrival;
    each.first = {
      id: envelope.id,
      receivedAt: envelope.receivedAt,
      state: verdict,
      refused: verdict === 'set-aside',
      issues: verdict === 'set-aside' ? issues : [],
      digest: earlier.digest,
    };
  }
}

async function commitArrivals(
  record: ClinicalRecord,
  tenant: TenantKeys,
  principal: Principal,
  prepared: Prepared[],
): Promise<Receipt[]> {
  markLeads(prepared);
  const keys = new AttemptKeys(record, tenant.tenant);
  const intake: IntakeWrite[] = [];
  const transitions: Transition[] = [];
  const stored = new Map<Prepared, number>();
  for (const each of prepared) {
    if (isDuplicate(each) || (each.lead !== null && each.lead !== each)) continue;
    if (each.kept === null) {
      stored.set(each, intake.length);
      intake.push(await sealArrival(record, tenant, keys, each));
    } else {
      transitions.push(...(await countAgain(record, tenant, keys, each, each.kept)));
    }
  }
  const audit = prepared.map((each) => draftEntry(record, principal, each));
  const unit = { tenant: tenant.tenant, intake, transitions, keys: keys.writes(), audit };
  const { intakeSeqs } = await record.store.commit(unit);
  keys.keep();
  return prepared.map((each) => {
    if (isDuplicate(each)) return { kind: 'duplicate', first: firstOf(each) };
    const lead = each.lead ?? each;
    const seq = lead.kept?.row.seq ?? intakeSeqs[stored.get(lead) ?? 0] ?? 0;
    if (each.first === null) return { kind: 'accepted', seq, orderingKey: each.orderingKey };
    return { kind: 'id-reused', seq, first: firstOf(each), kept: keptOf(lead) };
  });
}

/** Of those in one batch that reuse an id with the same content, the earliest is kept. */
function markLeads(prepared: Prepared[]): void {
  const leads = new Map<string, Prepared>();
  for (const each of prepared) {
    const { receivedAt } = each.arrival.envelope;
    each.repeats = { times: 0, lastAt: receivedAt };
    each.lead = null;
    if (each.first === null || isDuplicate(each)) continue;
    const content = `${each.dedupe}|${each.digest}`;
    const lead = leads.get(content);
    each.lead = lead ?? each;
    if (lead === undefined) leads.set(content, each);
    else lead.repeats = { times: lead.repeats.times + 1, lastAt: receivedAt };
  }
}

function countAgain(
  record: ClinicalRecord,
  tenant: TenantKeys,
  keys: AttemptKeys,
  { arrival, repeats }: Prepared,
  kept: KeptRow,
): Promise<Transition[]> {
  const compartment = subjectCompartment(tenant, arrival.envelope);
  const { times, lastAt } = repeats;
  return countRepeats(record, tenant, keys, kept, { compartment, times: times + 1, lastAt });
}

function keptOf({ kept, arrival }: Prepared): Pick<FirstMessage, 'id' | 'receivedAt'> {
  if (kept === null) return { id: arrival.envelope.id, receivedAt: arrival.envelope.receivedAt };
  return { id: kept.row.id, receivedAt: new Date(kept.row.receivedAt).toISOString() };
}

function isDuplicate({ first, digest }: Prepared): boolean {
  return first !== null && first.digest === digest;
}

function firstOf({ first }: Prepared): FirstMessage {
  if (first === null) throw new EngineError('INTERNAL', 'A duplicate without its first message.');
  const { digest: _, ...told } = first;
  return told;
}

async function sealArrival(
  record: ClinicalRecord,
  tenant: TenantKeys,
  keys: AttemptKeys,
  each: Prepared,
): Promise<IntakeWrite> {
  const { envelope, raw, verdict } = each.arrival;
  const key = await keys.of(subjectCompartment(tenant, envelope));
  const reused = each.first !== null;
  const issues = reused ? [ID_REUSED, ...each.arrival.issues] : each.arrival.issues;
  const state = reused ? 'set-aside' : verdict;
  const { times, lastAt } = each.repeats;
  const outcome = withRepeats(emptyOutcome(issues), times, lastAt);
  const { dedupe, digest } = each;
  return {
    id: envelope.id,
    channel: envelope.channel,
    format: envelope.format,
    receivedAt: Date.parse(envelope.receivedAt),
    state,
    orderingKey: each.orderingKey,
    dedupe: reused && dedupe !== null ? reuseToken(tenant, dedupe, digest) : dedupe,
    digest,
    body: sealMessage(record, key, envelope, raw),
    detail: state === 'received' ? null : sealOutcome(record, key, envelope, outcome),
  };
}

function draftEntry(record: ClinicalRecord, principal: Principal, each: Prepared): AuditDraft {
  const { envelope, verdict } = each.arrival;
  const duplicate = isDuplicate(each);
  const kept = each.first === null && verdict === 'received';
  const entry = entryText({
    action: duplicate ? 'duplicate' : 'receive',
    outcome: duplicate || kept ? 'success' : 'failure',
    ...actor(principal),
    channel: envelope.channel,
    message: duplicate ? firstOf(each).id : keptOf(each.lead ?? each).id,
    input: each.digest,
    ...(duplicate || kept ? {} : { detail: each.first === null ? 'set-aside' : 'id-reused' }),
  });
  return { at: record.clock(), entry };
}

/** After a duplicate: one look for all arrivals, so that a batch of repeats costs one retry. */
async function markKnown(
  record: ClinicalRecord,
  tenant: TenantKeys,
  prepared: Prepared[],
  conflict: Conflict,
): Promise<void> {
  // A transition: another counted a repeat in the same row, or an operator replayed it.
  if (conflict.kind !== 'duplicate-message' && conflict.kind !== 'transition') return;
  const found = await Promise.all(prepared.map((each) => markOne(record, tenant, each)));
  if (conflict.kind === 'transition' || found.includes(true)) return;
  throw new EngineError('INTERNAL', `The message id ${conflict.id} was given twice.`);
}

/** True when something is known of it that was not before. */
async function markOne(
  record: ClinicalRecord,
  tenant: TenantKeys,
  each: Prepared,
): Promise<boolean> {
  const { dedupe, digest } = each;
  if (dedupe === null) return false;
  const [row] = await record.store.intake.list(tenant.tenant, { dedupe }, 1);
  if (row === undefined) return false;
  const fresh = each.first === null || (each.kept === null && each.first.id !== row.id);
  // A twin too: the one before it in the batch turns out not to be the first.
  each.first = await tellFirst(record, tenant.tenant, row);
  if (isDuplicate(each)) return fresh;
  const kept = await findKept(record, tenant, dedupe, digest);
  if (kept === undefined) return fresh;
  const known = each.kept !== null;
  each.kept = kept;
  // Replayed since, by an operator: the same bytes have been taken.
  const taken = kept.row.state !== 'set-aside';
  if (taken) each.first = { ...(await tellFirst(record, tenant.tenant, kept.row)), digest };
  return fresh || !known;
}

async function tellFirst(
  record: ClinicalRecord,
  tenant: string,
  row: IntakeRow,
): Promise<FirstMessage & { digest: string }> {
  const receivedAt = new Date(row.receivedAt).toISOString();
  const { id, state, digest } = row;
  const refused = state === 'set-aside' && row.attempts === 0;
  return { id, receivedAt, state, refused, digest, issues: await issuesOf(record, tenant, row) };
}

async function issuesOf(record: ClinicalRecord, tenant: string, row: IntakeRow): Promise<Issue[]> {
  try {
    return (await openOutcome(record, tenant, row))?.issues ?? [];
  } catch (thrown) {
    // A damaged outcome was told where it was opened: the first answer is repeated without it.
    if (thrown instanceof DamagedRecord) return [];
    if (thrown instanceof EngineError && thrown.code === 'KEY_DESTROYED') return [];
    throw thrown;
  }
}
