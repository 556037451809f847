// Replay: puts a message back to `received`, with its own bytes or corrected ones. What it was
// until then is kept (message-history.ts). A replay that would go back in time is refused.
import { entryText } from '../audit/entry.ts';
import { EngineError } from '../model/errors.ts';
import type { Envelope } from '../model/message.ts';
import type { Principal } from '../model/principal.ts';
import type { IntakeFilter, IntakeRow } from '../store/port.ts';
import { AttemptKeys, retryConflicts } from './commit.ts';
import type { ClinicalRecord } from './context.ts';
import { compartmentOfKey } from './keyring.ts';
import { openMessageBody, openOutcome, sealMessage, subjectCompartment } from './message-body.ts';
import { addLife, type SealedLife } from './message-history.ts';
import { actor } from './trail.ts';

export interface ReplayOptions {
  /** Corrected bytes, and the envelope read from them where given (id and ordering key stay). */
  correction?: { raw: Uint8Array; envelope?: Envelope };
  /** Why; kept sealed with the message. */
  reason?: string;
  /** Also where a newer message of the same patient was processed already. */
  force?: boolean;
  /** Newer messages that are replayed after this one: they do not hold it back. */
  followedBy?: ReadonlySet<string>;
}

type Target = { tenant: string; orderingKey: string };

/**
 * Puts a set-aside or processed message back to `received` (attempts 0); audited. Answers the
 * wake-up that the queue must get. Throws NOT_FOUND, KEY_DESTROYED, VERSION_CONFLICT when it waits
 * already, PRECONDITION_FAILED when it would put back what is older, TOO_LARGE.
 */
export async function replayMessage(
  record: ClinicalRecord,
  principal: Principal,
  id: string,
  options: ReplayOptions = {},
): Promise<Target> {
  const attempt = () => replayOnce(record, principal, id, options);
  return retryConflicts(record, principal.tenant, attempt, () => undefined);
}

/**
 * A newer message of the same patient that was processed already, undefined = none. It is found by
 * the patient; a message that names none is not compared.
 */
export async function newerProcessed(
  record: ClinicalRecord,
  tenant: string,
  row: IntakeRow,
  followedBy: ReadonlySet<string> = new Set(),
): Promise<string | undefined> {
  const compartment = row.compartment ?? compartmentOfKey(row.body.keyId);
  if (compartment === null) return undefined;
  const filter: IntakeFilter = { compartment, state: 'processed' };
  const [newest] = await record.store.intake.list(tenant, filter, 1);
  if (newest === undefined || newest.seq <= row.seq || followedBy.has(newest.id)) return undefined;
  return newest.id;
}

async function replayOnce(
  record: ClinicalRecord,
  principal: Principal,
  id: string,
  { correction, reason = '', force = false, followedBy }: ReplayOptions,
): Promise<Target> {
  const { tenant } = principal;
  const tenantKeys = await record.keyring.tenant(tenant);
  const row = await record.store.intake.get(tenant, id);
  if (row === undefined) throw new EngineError('NOT_FOUND', `No message has the id ${id}.`);
  const stored = await openMessageBody(record, tenant, row);
  if (row.state === 'received') {
    throw new EngineError('VERSION_CONFLICT', `Message ${id} is waiting already.`);
  }
  const newer = force ? undefined : await newerProcessed(record, tenant, row, followedBy);
  if (newer !== undefined) throw goesBack(id, newer);
  const keys = new AttemptKeys(record, tenant);
  const at = Math.max(record.clock(), row.changedAt + 1);
  const envelope = { ...stored.envelope, ...correction?.envelope, id, tenant };
  const key = await keys.of(subjectCompartment(tenantKeys, envelope) ?? row.compartment);
  const history = await endLife(record, principal, row, stored, { key, at, reason, correction });
  const body = sealMessage(record, key, envelope, correction?.raw ?? stored.raw, history);
  const entry = entryText({
    action: 'replay',
    outcome: 'success',
    ...actor(principal),
    channel: row.channel,
    message: id,
    input: correction ? tenantKeys.blinder.digest('message', correction.raw) : row.digest,
    ...(correction ? { detail: 'corrected' } : {}),
  });
  const { state: from, compartment } = row;
  const moved = { id, from, to: 'received', since: row.changedAt, at, attempts: 0 } as const;
  await record.store.commit({
    tenant,
    transitions: [{ ...moved, compartment, detail: null, body }],
    keys: keys.writes(),
    audit: [{ at, entry }],
  });
  keys.keep();
  return { tenant, orderingKey: row.orderingKey };
}

interface Ending {
  key: Awaited<ReturnType<AttemptKeys['of']>>;
  at: number;
  reason: string;
  correction: ReplayOptions['correction'];
}

async function endLife(
  record: ClinicalRecord,
  principal: Principal,
  row: IntakeRow,
  stored: { raw: Uint8Array; history: readonly SealedLife[] },
  { key, at, reason, correction }: Ending,
): Promise<SealedLife[]> {
  const { tenant } = principal;
  // The bytes stay under the key of their own patient, whomever the correction names.
  const own = compartmentOfKey(row.body.keyId);
  const lifeKey =
    own === null
      ? key
      : { id: row.body.keyId, key: await record.keyring.forOpening(tenant, row.body.keyId) };
  const { state, attempts } = row;
  const since = new Date(row.changedAt).toISOString();
  const outcome = await openOutcome(record, tenant, row);
  return addLife(record, { tenant, id: row.id }, lifeKey, stored.history, {
    at: new Date(at).toISOString(),
    who: principal.id,
    reason,
    corrected: correction !== undefined,
    life: { state, attempts, since, outcome },
    raw: stored.raw,
  });
}

function goesBack(id: string, newer: string): EngineError {
  const text =
    `Message ${id} is older than ${newer}, which was processed for the same patient: a replay ` +
    'would put back what is older. Replay with force if that is meant.';
  return new EngineError('PRECONDITION_FAILED', text);
}
