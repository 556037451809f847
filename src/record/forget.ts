// Forgets one patient: destroys the data keys of the compartment, so that resources, history and
// raw messages cannot be opened by anyone any more.
import { entryText } from '../audit/entry.ts';
import { EngineError } from '../model/errors.ts';
import type { Principal } from '../model/principal.ts';
import type { IntakeRow, Transition } from '../store/port.ts';
import { AttemptKeys, retryConflicts } from './commit.ts';
import type { ClinicalRecord } from './context.ts';
import { compartmentOfKey, dataKeyId } from './keyring.ts';
import { sealMessage } from './message-body.ts';
import { actor } from './trail.ts';

const PAGE = 500;

/**
 * Destroys the keys of the patient's compartment and drops its index rows, audited. Later reads
 * answer KEY_DESTROYED. Other threads see it within `limits.keyRecheckMs` or after
 * record.invalidate('patient'). `messages` counts those that were of this patient alone.
 * Throws NOT_FOUND when nothing is known of the patient, or all is forgotten already.
 */
export async function forgetPatient(
  record: ClinicalRecord,
  principal: Principal,
  patientId: string,
): Promise<{ keysDestroyed: number; messages: number }> {
  const { tenant } = principal;
  const messages = await overwriteForeign(record, tenant, patientId);
  const keyIds = await livingKeys(record, tenant, patientId);
  if (keyIds.length === 0) {
    throw new EngineError('NOT_FOUND', 'Nothing that could be forgotten is stored under that id.');
  }
  const entry = entryText({
    action: 'forget',
    outcome: 'success',
    ...actor(principal),
    subject: patientId,
  });
  const forget = { compartment: patientId, keyIds };
  // First: a kill in between leaves a key that no longer opens, and the next start destroys it.
  await record.keyring.markForgotten(tenant, keyIds);
  await record.store.commit({ tenant, forget, audit: [{ at: record.clock(), entry }] });
  record.invalidate('patient');
  return { keysDestroyed: keyIds.length, messages };
}

/**
 * Destroys again what the store has living although it was forgotten: a backup of before was
 * restored, a row was written back, or a kill came before the commit. Call it at each start.
 * Answers the compartments; one lookup for each key that was ever forgotten.
 */
export async function forgetAgain(record: ClinicalRecord, tenant: string): Promise<string[]> {
  const returned = new Set<string>();
  for (const id of await record.keyring.forgottenIds(tenant)) {
    const row = await record.store.keys.get(tenant, id);
    const compartment = compartmentOfKey(id);
    if (row !== undefined && row.destroyedAt === null && compartment !== null) {
      returned.add(compartment);
    }
  }
  const principal: Principal = { tenant, id: 'artery', scopes: [], peer: '', patient: null };
  for (const compartment of returned) await forgetPatient(record, principal, compartment);
  return [...returned];
}

/** Ids of the compartment's data keys that are not destroyed yet. */
async function livingKeys(
  record: ClinicalRecord,
  tenant: string,
  compartment: string,
): Promise<string[]> {
  const living: string[] = [];
  // After a restore a generation may be missing that was forgotten: the next one may stand.
  const forgotten = new Set(await record.keyring.forgottenIds(tenant));
  for (let generation = 0; ; generation += 1) {
    const id = dataKeyId(compartment, generation);
    const row = await record.store.keys.get(tenant, id);
    if (row?.destroyedAt === null) living.push(id);
    if (row === undefined && !forgotten.has(id)) return living;
  }
}

/**
 * Messages of the compartment that another key seals (their PID-3 names someone else): their bytes
 * are replaced by nothing, sealed under the key that is destroyed next. Answers how many messages
 * the compartment has.
 */
async function overwriteForeign(
  record: ClinicalRecord,
  tenant: string,
  compartment: string,
): Promise<number> {
  let count = 0;
  let before: number | undefined;
  for (;;) {
    const rows = await record.store.intake.list(tenant, { compartment }, PAGE, before);
    count += rows.length;
    for (const row of rows) {
      if (compartmentOfKey(row.body.keyId) === compartment) continue;
      await overwrite(record, tenant, compartment, row.id);
    }
    before = rows.at(-1)?.seq;
    if (rows.length < PAGE) return count;
  }
}

async function overwrite(
  record: ClinicalRecord,
  tenant: string,
  compartment: string,
  id: string,
): Promise<void> {
  const attempt = async (): Promise<void> => {
    const row = await record.store.intake.get(tenant, id);
    if (row === undefined) return;
    const keys = new AttemptKeys(record, tenant);
    const body = sealMessage(
      record,
      await keys.of(compartment),
      emptyEnvelope(tenant, row),
      new Uint8Array(0),
    );
    const transition: Transition = {
      id,
      from: row.state,
      to: row.state === 'received' ? 'set-aside' : row.state,
      at: record.clock(),
      attempts: row.attempts,
      compartment,
      detail: null,
      body,
    };
    await record.store.commit({ tenant, transitions: [transition], keys: keys.writes() });
    keys.keep();
  };
  await retryConflicts(record, tenant, attempt, () => undefined);
}

function emptyEnvelope(tenant: string, row: IntakeRow) {
  const receivedAt = new Date(row.receivedAt).toISOString();
  const { id, channel, format } = row;
  const nothing = { sender: '', controlId: '', type: '', subject: '', orderingKey: '' };
  return { id, tenant, channel, format, receivedAt, ...nothing };
}
