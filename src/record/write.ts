// Applies one mapped message: merge, seal, index, transition, Provenance and audit entry, in one
// commit. Single writes of the FHIR API are update.ts.
import { entryText, versionRef } from '../audit/entry.ts';
import { EngineError } from '../model/errors.ts';
import { hasErrors, type Issue } from '../model/issue.ts';
import type { MessageOutcome, WrittenResource } from '../model/message.ts';
import type { PipelineOutput } from '../model/pipeline.ts';
import type { MappedResource } from '../model/resource.ts';
import type { ResourceRef, ResourceWrite, Transition, Unit } from '../store/port.ts';
import { AttemptKeys, retryConflicts } from './commit.ts';
import type { ClinicalRecord } from './context.ts';
import { compartmentOfKey, type SealingKey } from './keyring.ts';
import type { OpenedMessage } from './message.ts';
import { openOutcome, sealMessage, sealOutcome } from './message-body.ts';
import { resealHistory } from './message-history.ts';
import { WritePlan } from './plan.ts';
import { versionDigest } from './stored-digest.ts';
import type { TenantKeys } from './tenant-keys.ts';

/** One attempt's parts. */
interface Attempt {
  record: ClinicalRecord;
  tenant: TenantKeys;
  keys: AttemptKeys;
  plan: WritePlan;
  message: OpenedMessage;
  attempts: number;
  /** A race was lost before. */
  again: boolean;
}

export interface WriteResult {
  /**
   * Resources written or found unchanged, in the order of the pipeline's output, the message's
   * Provenance last; null = the output has errors, and nothing was done.
   */
  written: WrittenResource[] | null;
  issues: Issue[];
  mapHash: string;
}

/**
 * Writes what a message is mapped to, exactly once, and marks it processed; retries lost races.
 * `map` answers the pipeline's output, anew after each lost race: while a commit is waited for
 * nothing of it is kept. `attempts` counts this one. A message with errors is for setAside. Throws
 * KEY_DESTROYED (patient forgotten meanwhile), VERSION_CONFLICT (races lost too often, or the
 * message was set aside meanwhile), STORE_UNAVAILABLE.
 */
export async function writeMapped(
  record: ClinicalRecord,
  message: OpenedMessage,
  map: () => PipelineOutput,
  attempts: number,
): Promise<WriteResult> {
  const { tenant: name } = message.envelope;
  const tenant = await record.keyring.tenant(name);
  let told: Omit<WriteResult, 'written'> = { issues: [], mapHash: '' };
  let done: WrittenResource[] | undefined;
  let plan: WritePlan | undefined;
  const unpack = async (parts: Attempt) => {
    const endTurn = await record.turns.take();
    try {
      const output = map();
      told = { issues: output.issues, mapHash: output.mapHash };
      return hasErrors(output.issues) ? null : await prepare(parts, output);
    } finally {
      endTurn();
    }
  };
  const attempt = async (): Promise<WrittenResource[] | null> => {
    if (done !== undefined) return done;
    const keys = new AttemptKeys(record, name);
    const again = plan !== undefined;
    plan = new WritePlan(record, tenant, keys);
    const prepared = await unpack({ record, tenant, keys, plan, message, attempts, again });
    if (prepared === null) return null;
    await record.store.commit(prepared.unit);
    keys.keep();
    plan.keep();
    return prepared.written;
  };
  const written = await retryConflicts(record, name, attempt, async (conflict) => {
    plan?.forgetLoaded();
    if (conflict.kind === 'key-destroyed') record.resources.clear();
    if (conflict.kind === 'transition') done = await findDone(record, name, message.row.id);
  });
  return { ...told, written };
}

async function prepare(
  attempt: Attempt,
  output: PipelineOutput,
): Promise<{ unit: Unit; written: WrittenResource[] }> {
  const { tenant, plan, message } = attempt;
  await refuseForgotten(attempt, output);
  const own = tenant.ids('Provenance', message.envelope.id);
  const provenance = output.resources.find(({ resource }) => resource.id === own);
  const mapped = output.resources.filter((item) => item !== provenance);
  const refs = mapped.map(refOf);
  if (provenance === undefined || attempt.again) await plan.load(output.resources.map(refOf));
  else {
    await plan.load(refs);
    plan.presumeAbsent(refOf(provenance));
  }
  await plan.apply(mapped);
  const { written, writes } = finishAll(plan, refs);
  if (provenance !== undefined) {
    const patients = mapped.filter(({ compartment }) => compartment !== null).map(refOf);
    const about = new Set(patients.map(({ type, id }) => `${type}/${id}`));
    await finishProvenance(plan, provenance, about, { written, writes });
  }
  return { unit: await makeUnit(attempt, output, written, writes), written };
}

function refOf({ resource }: MappedResource): ResourceRef {
  return { type: resource.resourceType, id: resource.id };
}

/** A message from before its patient was forgotten must not bring the patient back. */
async function refuseForgotten({ keys, message }: Attempt, output: PipelineOutput): Promise<void> {
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
  output: PipelineOutput,
  written: WrittenResource[],
  writes: ResourceWrite[],
): Promise<Unit> {
  const { record, tenant, keys, plan, message } = attempt;
  const at = record.clock();
  const transition = await makeTransition(attempt, output, at, written);
  const entry = entryText({
    action: 'transform',
    outcome: 'success',
    who: `channel:${message.envelope.channel}`,
    channel: message.envelope.channel,
    message: message.envelope.id,
    map: output.mapHash,
    input: tenant.blinder.digest('message', message.raw),
    resources: writes.map(({ type, id, version }) => versionRef(type, id, version)),
    wrote: writes.map(versionDigest),
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
  { record, keys, message, attempts }: Attempt,
  output: PipelineOutput,
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
  if (!reseal) return transition;
  const history = await resealHistory(record, envelope, message.history, key);
  return { ...transition, body: sealMessage(record, key, envelope, raw, history) };
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
