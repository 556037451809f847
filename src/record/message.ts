// Stored messages: open, list, set aside, and the inbox of an ordering key. Accepting new ones is
// accept.ts; applying them is write.ts, another try replay.ts.
import { entryText } from '../audit/entry.ts';
import { EngineError, type ErrorCode } from '../model/errors.ts';
import type { Issue } from '../model/issue.ts';
import type { Envelope, MessageOutcome, MessageState } from '../model/message.ts';
import type { Principal } from '../model/principal.ts';
import { CommitConflict, type IntakeFilter, type IntakeRow } from '../store/port.ts';
import { retryConflicts } from './commit.ts';
import type { ClinicalRecord } from './context.ts';
import { DamagedRecord } from './damage.ts';
import { compartmentOfKey, type SealingKey } from './keyring.ts';
import { emptyOutcome, openMessageBody, openOutcome, sealOutcome } from './message-body.ts';
import type { SealedLife } from './message-history.ts';
import { actor } from './trail.ts';

/** What is known of a message without opening it. */
export interface MessageHead {
  id: string;
  seq: number;
  channel: string;
  format: IntakeRow['format'];
  state: MessageState;
  attempts: number;
  /** ISO 8601 instants. */
  receivedAt: string;
  changedAt: string;
  /** Patient id, null = none or not known yet. */
  compartment: string | null;
}

/** A row as read, with its tenant; setAside and writeMapped need it. */
export type MessageRow = IntakeRow & { tenant: string };

export interface OpenedMessage {
  row: MessageRow;
  envelope: Envelope;
  raw: Uint8Array;
  /** What it was before each replay, oldest first; opened by message-history.ts. */
  history: readonly SealedLife[];
  /** null until it was processed or set aside. */
  outcome: MessageOutcome | null;
}

/** A waiting message whose body cannot be opened (its patient was forgotten, the disk lied). */
export interface UnreadableMessage {
  row: MessageRow;
  fault: EngineError;
}

/** Waiting messages of one key in arrival order, opened. Not audited: the engine's own work. */
export async function nextInbox(
  record: ClinicalRecord,
  wake: { tenant: string; orderingKey: string },
  limit: number,
): Promise<(OpenedMessage | UnreadableMessage)[]> {
  const rows = await record.store.intake.inbox(wake.tenant, wake.orderingKey, limit);
  return Promise.all(
    rows.map(async (row) => {
      try {
        return await openRow(record, wake.tenant, row);
      } catch (thrown) {
        if (thrown instanceof EngineError && thrown.retry === 'never') {
          return { row: { ...row, tenant: wake.tenant }, fault: thrown };
        }
        throw thrown;
      }
    }),
  );
}

/**
 * Opens one message for a person or a program; audited as a read. Throws NOT_FOUND, KEY_DESTROYED
 * (patient forgotten), STORE_CORRUPT, STORE_UNAVAILABLE.
 */
export async function openMessage(
  record: ClinicalRecord,
  principal: Principal,
  id: string,
): Promise<OpenedMessage> {
  const row = await findRow(record, principal.tenant, id);
  const opened = await openRow(record, principal.tenant, row);
  await noteOpened(record, principal, row);
  return opened;
}

/**
 * As openMessage, but a damaged body yields the row with its fault, and a damaged outcome the
 * message with the fault and no outcome.
 */
export async function inspectMessage(
  record: ClinicalRecord,
  principal: Principal,
  id: string,
): Promise<UnreadableMessage | (OpenedMessage & { damaged?: EngineError })> {
  try {
    return await openMessage(record, principal, id);
  } catch (thrown) {
    if (!(thrown instanceof DamagedRecord)) throw thrown;
    const found = { ...(await findRow(record, principal.tenant, id)), tenant: principal.tenant };
    if (thrown.damage.kind !== 'MESSAGE_OUTCOME') return { row: found, fault: thrown };
    const body = await openMessageBody(record, principal.tenant, found);
    await noteOpened(record, principal, found);
    return { row: found, ...body, outcome: null, damaged: thrown };
  }
}

async function noteOpened(
  record: ClinicalRecord,
  principal: Principal,
  { channel, id }: IntakeRow,
): Promise<void> {
  const entry = { action: 'message', outcome: 'success', channel, message: id } as const;
  await record.trail.note(principal.tenant, { ...entry, ...actor(principal) });
}

/** State of one message without its content; undefined = unknown id. Not audited. */
export async function messageHead(
  record: ClinicalRecord,
  tenant: string,
  id: string,
): Promise<MessageHead | undefined> {
  const row = await record.store.intake.get(tenant, id);
  return row === undefined ? undefined : headOf(row);
}

/** Newest first, without content; `beforeSeq` pages backwards. Not audited. */
export async function listMessages(
  record: ClinicalRecord,
  tenant: string,
  filter: IntakeFilter,
  limit: number,
  beforeSeq?: number,
): Promise<MessageHead[]> {
  const rows = await record.store.intake.list(tenant, filter, limit, beforeSeq);
  return rows.map(headOf);
}

/**
 * Counts `attempts` of a waiting message in the store, where a restart finds them; answers its row
 * as it is then. No audit entry: nothing of a patient changes. Throws VERSION_CONFLICT when the
 * message was moved since it was read.
 */
export async function countAttempts(
  record: ClinicalRecord,
  row: MessageRow,
  attempts: number,
): Promise<MessageRow> {
  const { tenant, id, changedAt: since, compartment } = row;
  const at = momentAfter(record, row);
  const moved = { id, from: 'received', to: 'received', since, at, attempts } as const;
  try {
    const transition = { ...moved, compartment, detail: null };
    await record.store.commit({ tenant, transitions: [transition] });
  } catch (thrown) {
    throw thrown instanceof CommitConflict ? movedMeanwhile(id, thrown) : thrown;
  }
  return { ...row, attempts, changedAt: at };
}

/**
 * Gives up on a waiting message: received -> set-aside with its issues. No-op if it is not waiting.
 * `attempts` counts the failed ones. Throws VERSION_CONFLICT when it waits, but was moved since it
 * was read.
 */
export async function setAside(
  record: ClinicalRecord,
  row: MessageRow,
  failure: { issues: Issue[]; attempts: number; mapHash?: string },
): Promise<void> {
  const { tenant, id, channel, digest } = row;
  const outcome = emptyOutcome(failure.issues, failure.mapHash);
  const entry = entryText({
    action: 'set-aside',
    outcome: 'failure',
    who: 'artery',
    channel,
    message: id,
    map: outcome.mapHash,
    input: digest,
  });
  let waiting = true;
  const attempt = async (): Promise<void> => {
    if (!waiting) return;
    const at = momentAfter(record, row);
    const key = await keyLike(record, tenant, row);
    const transition = {
      id,
      from: 'received',
      to: 'set-aside',
      since: row.changedAt,
      at,
      attempts: failure.attempts,
      compartment: row.compartment ?? compartmentOfKey(row.body.keyId),
      detail: sealOutcome(record, key, { tenant, id }, outcome),
    } as const;
    await record.store.commit({ tenant, transitions: [transition], audit: [{ at, entry }] });
  };
  await retryConflicts(record, tenant, attempt, (conflict) => {
    if (conflict.kind !== 'transition') return;
    if (conflict.state === 'received') throw movedMeanwhile(id);
    waiting = false;
  });
}

async function findRow(record: ClinicalRecord, tenant: string, id: string): Promise<IntakeRow> {
  const row = await record.store.intake.get(tenant, id);
  if (row === undefined) throw new EngineError('NOT_FOUND', `No message has the id ${id}.`);
  return row;
}

async function openRow(
  record: ClinicalRecord,
  tenant: string,
  row: IntakeRow,
): Promise<OpenedMessage> {
  const body = await openMessageBody(record, tenant, row);
  const outcome = await openOutcome(record, tenant, row);
  return { row: { ...row, tenant }, ...body, outcome };
}

/** Later than the row's last change, whatever the clock does: see Transition.since. */
function momentAfter(record: ClinicalRecord, { changedAt }: IntakeRow): number {
  return Math.max(record.clock(), changedAt + 1);
}

function movedMeanwhile(id: string, cause?: unknown): EngineError {
  const text = `Message ${id} was moved by somebody else meanwhile.`;
  return new EngineError('VERSION_CONFLICT', text, { cause });
}

function headOf(row: IntakeRow): MessageHead {
  const { id, seq, channel, format, state, attempts, compartment } = row;
  const receivedAt = new Date(row.receivedAt).toISOString();
  const changedAt = new Date(row.changedAt).toISOString();
  return { id, seq, channel, format, state, attempts, receivedAt, changedAt, compartment };
}

/** The key of the message itself; the tenant key when that is destroyed or does not open. */
async function keyLike(
  record: ClinicalRecord,
  tenant: string,
  row: IntakeRow,
): Promise<Pick<SealingKey, 'id' | 'key'>> {
  try {
    return { id: row.body.keyId, key: await record.keyring.forOpening(tenant, row.body.keyId) };
  } catch (thrown) {
    const codes: readonly ErrorCode[] = ['KEY_DESTROYED', 'KEY_UNAVAILABLE', 'STORE_CORRUPT'];
    if (!(thrown instanceof EngineError) || !codes.includes(thrown.code)) throw thrown;
    return record.keyring.forSealing(tenant, null);
  }
}
