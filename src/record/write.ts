// Applies one mapped message: merge, seal, index, transition, Provenance and audit entry, in one
// commit. Single writes of the FHIR API are update.ts.
import { entryText, versionRef } from '../audit/entry.ts';
import { EngineError } from '../model/errors.ts';
import { hasErrors } from '../model/issue.ts';
import type { MessageOutcome, WrittenResource } from '../model/message.ts';
import type { PipelineOutput } from '../model/pipeline.ts';
import type { MappedResource } from '../model/resource.ts';
import type { ResourceRef, ResourceWrite, Transition, Unit } from '../store/port.ts';
import { AttemptKeys, retryConflicts } from './commit.ts';
import type { ClinicalRecord } from './context.ts';
import { compartmentOfKey, type SealingKey } from './keyring.ts';
import type { OpenedMessage } from './message.ts';
import { openOutcome, sealMessage, sealOutcome } from './message-body.ts';
import { WritePlan } from './plan.ts';
import type { TenantKeys } from './tenant-keys.ts';

/** One attempt's parts. */
interface Attempt {
  record: ClinicalRecord;
  tenant: TenantKeys;
  keys: AttemptKeys;
  plan: WritePlan;
  message: OpenedMessage;
  output: PipelineOutput;
  attempts: number;
}

/**
 * Writes what a message was mapped to, exactly once, and marks it processed; retries lost races.
 * `attempts` counts this one. Answers the resources written or found unchanged, in the order of
 * `output.resources`, the message's Provenance last. `output.issues` must hold no error: setAside
 * is for those. Throws KEY_DESTROYED (patient forgotten meanwhile), VERSION_CONFLICT (races lost
 * too often, or the message was set aside meanwhile), STORE_UNAVAILABLE.
 */
export async function writeMapped(
  record: ClinicalRecord,
  message: OpenedMessage,
  output: PipelineOutput,
  attempts: number,
): Promise<WrittenResource[]> {
  if (hasErrors(output.issues)) {
    throw new EngineError('INTERNAL', 'A message with errors cannot be written.');
  }
  const { tenant: name } = message.envelope;
  const tenant = await record.keyring.tenant(name);
  let done: WrittenResource[] | undefined;
  let plan: WritePlan | undefined;
  const attempt = async (): Promise<WrittenResource[]> => {
    if (done !== undefined) return done;
    const keys = new AttemptKeys(record, name);
    plan = new WritePlan(record, tenant, keys);
    return attemptWrite({ record, tenant, keys, plan, message, output, attempts });
  };
  return retryConflicts(record, name, attempt, async (conflict) => {
    plan?.forgetLoaded();
    if (conflict.kind === 'key-destroyed') record.resources.clear();
    if (conflict.kind === 'transition') done = await findDone(record, name, message.row.id);
  });
}

async function attemptWrite(attempt: Attempt): Promise<WrittenResource[]> {
  const { record, tenant, keys, plan, message, output } = attempt;
  await refuseForgotten(attempt);
  const own = tenant.ids('Provenance', message.envelope.id);
  const provenance = output.resources.find(({ resource }) => resource.id === own);
  const mapped = output.resources.filter((item) => item !== provenance);
  await plan.load(output.resources.map(refOf));
  await plan.apply(mapped);
  const { written, writes } = finishAll(plan, mapped.map(refOf));
  if (provenance !== undefined) {
    const patients = mapped.filter(({ compartment }) => compartment !== null).map(refOf);
    const about = new Set(patients.map(({ type, id }) => `${type}/${id}`));
    await finishProvenance(plan, provenance, about, { written, writes });
  }
  const unit = await makeUnit(attempt, written, writes);
  await record.store.commit(unit);
  keys.keep();
  plan.keep();
  return written;
}

function refOf({ resource }: MappedResource): ResourceRef {
  return { type: resource.resourceType, id: resource.id };
}

/** A message from before its patient was forgotten must not bring the patient back. */
async function refuseForgotten({ keys, message, output }: Attempt): Promise<void> {
  const compartments = new Set(output.resources.map(({ compartment }) => compartment));
  for (const compartment of compartments) {
    if (compartment === null) continue;
    const key = await keys.of(compartment);
    if (isBefore(message, compartment, key)) throw new EngineError('KEY_DESTROYED');
  }
}

function isBefore({ row }: OpenedMessage, compartment: string, key: SealingKey): boolean {
  if (key.forgottenAt === null) return false;
  if (compartmentOfKey(row.body.keyId) === compartment) return row.body.keyId !== key.id;
  return row.receivedAt <= key.forgottenAt;
}

function finishAll(
  plan: WritePlan,
  refs: ResourceRef[],
): { written: WrittenResource[]; writes: ResourceWrite[] } {
  const byRef = new Map<string, WrittenResource>();
  const writes: ResourceWrite[] = [];
  for (const ref of refs) {
    const name = `${ref.type}/${ref.id}`;
    if (byRef.has(name)) continue;
    const { written, write } = plan.finish(ref);
    byRef.set(name, written);
    if (write !== undefined) writes.push(write);
  }
  return { written: [...byRef.values()], writes };
}

/**
 * Only now are the versions known that the message's Provenance points to. Directory resources
 * (practitioners, places) that were there already as the message names them are no work of it.
 */
async function finishProvenance(
  plan: WritePlan,
  provenance: MappedResource,
  about: ReadonlySet<string>,
  { written, writes }: { written: WrittenResource[]; writes: ResourceWrite[] },
): Promise<void> {
  const made = written.filter(
    ({ outcome, type, id }) => outcome !== 'unchanged' || about.has(`${type}/${id}`),
  );
  const targets = made.length > 0 ? made : written;
  const target = refsOf(targets).map((reference) => ({ reference }));
  const resource = { ...provenance.resource, target };
  await plan.apply([{ ...provenance, resource, text: undefined }]);
  const finished = plan.finish(refOf(provenance));
  if (finished.write !== undefined) writes.push(finished.write);
  written.push(finished.written);
}

async function makeUnit(
  attempt: Attempt,
  written: WrittenResource[],
  writes: ResourceWrite[],
): Promise<Unit> {
  const { record, tenant, keys, plan, message, output } = attempt;
  const at = record.clock();
  const transition = await makeTransition(attempt, at, written);
  const entry = entryText({
    action: 'transform',
    outcome: 'success',
    who: `channel:${message.envelope.channel}`,
    channel: message.envelope.channel,
    message: message.envelope.id,
    map: output.mapHash,
    input: tenant.blinder.digest('message', message.raw),
    resources: refsOf(written.filter(({ outcome }) => outcome !== 'unchanged')),
    unchanged: refsOf(written.filter(({ outcome }) => outcome === 'unchanged')),
  });
  return {
    tenant: tenant.tenant,
    transitions: [transition],
    resources: writes,
    unchanged: plan.unchanged(),
    keys: keys.writes(),
    audit: [{ at, entry }],
  };
}

async function makeTransition(
  { record, keys, message, output, attempts }: Attempt,
  at: number,
  resources: WrittenResource[],
): Promise<Transition> {
  const { row, envelope, raw } = message;
  const bodyCompartment = compartmentOfKey(row.body.keyId);
  const compartment = output.compartment ?? bodyCompartment;
  const key = await keys.of(compartment);
  const outcome: MessageOutcome = {
    issues: output.issues,
    resources,
    mapHash: output.mapHash,
  };
  const transition: Transition = {
    id: envelope.id,
    from: 'received',
    to: 'processed',
    since: row.changedAt,
    at: Math.max(at, row.changedAt + 1),
    attempts,
    compartment,
    detail: sealOutcome(record, key, envelope, outcome),
  };
  // Sealed under the tenant key for want of a subject: now that the patient is known, the bytes
  // must be forgotten with the patient.
  const reseal = bodyCompartment === null && compartment !== null;
  return reseal ? { ...transition, body: sealMessage(record, key, envelope, raw) } : transition;
}

function refsOf(written: WrittenResource[]): string[] {
  return written.map(({ type, id, version }) => versionRef(type, id, version));
}

/** Another worker was faster: its result is the result. */
async function findDone(
  record: ClinicalRecord,
  tenant: string,
  id: string,
): Promise<WrittenResource[]> {
  const row = await record.store.intake.get(tenant, id);
  if (row?.state === 'processed') {
    return (await openOutcome(record, tenant, row))?.resources ?? [];
  }
  throw new EngineError('VERSION_CONFLICT', `Message ${id} is not waiting any more.`);
}
