// Single writes of a FHIR client: the same commit as a message's, without the queue. The content
// has been validated by the caller; who may do it has been decided by access/.
import { type AuditEntry, entryText, versionRef } from '../audit/entry.ts';
import { uuid7 } from '../crypto/uuid.ts';
import { patientCompartment } from '../fhir/compartment.ts';
import { EngineError } from '../model/errors.ts';
import type { Principal } from '../model/principal.ts';
import type { MappedResource, Resource } from '../model/resource.ts';
import type { Head, ResourceRef, ResourceWrite } from '../store/port.ts';
import { headOf, withMeta } from './body.ts';
import { AttemptKeys, retryConflicts } from './commit.ts';
import type { ClinicalRecord } from './context.ts';
import { WritePlan } from './plan.ts';
import type { StoredResource } from './read.ts';
import { versionDigest } from './stored-digest.ts';
import { actor } from './trail.ts';

export interface SavedResource extends StoredResource {
  outcome: 'created' | 'updated' | 'unchanged';
}

/** Creates it under a fresh id (an id in `resource` is ignored, FHIR R4 http.html#create). */
export async function createResource(
  record: ClinicalRecord,
  principal: Principal,
  resource: Resource,
): Promise<SavedResource> {
  const id = uuid7(record.clock(), record.random(10));
  return save(record, principal, { ...resource, id }, 0);
}

/**
 * Replaces the resource `resource.resourceType/resource.id`; creates it when it is unknown;
 * identical content makes no new version. `ifMatch` is the version that must be stored (0 = none).
 * Throws PRECONDITION_FAILED (ifMatch), BAD_REQUEST (no id), VERSION_CONFLICT (races lost too
 * often), STORE_UNAVAILABLE.
 */
export async function updateResource(
  record: ClinicalRecord,
  principal: Principal,
  resource: Resource,
  options: { ifMatch?: number } = {},
): Promise<SavedResource> {
  const { id } = resource;
  if (id === undefined) throw new EngineError('BAD_REQUEST', 'The resource has no id.');
  return save(record, principal, { ...resource, id }, options.ifMatch);
}

async function save(
  record: ClinicalRecord,
  principal: Principal,
  resource: Resource & { id: string },
  ifMatch: number | undefined,
): Promise<SavedResource> {
  const tenant = await record.keyring.tenant(principal.tenant);
  const compartment = patientCompartment(resource);
  const mapped: MappedResource = { resource, mode: 'replace', cleared: [], compartment };
  const ref = { type: resource.resourceType, id: resource.id };
  let plan: WritePlan | undefined;
  const attempt = async (): Promise<SavedResource> => {
    const keys = new AttemptKeys(record, principal.tenant);
    plan = new WritePlan(record, tenant, keys);
    // What the cache says decides an answer here: always look.
    await plan.loadAnew(ref);
    checkMatch(plan.versionOf(ref), ifMatch);
    await plan.apply([mapped]);
    const { written, write, content } = plan.finish(ref);
    const head = write === undefined ? plan.headOf(ref) : headOf(write);
    if (write !== undefined) {
      const unit = { tenant: principal.tenant, resources: [write], keys: keys.writes() };
      await record.store.commit({ ...unit, audit: [draftOf(record, principal, write)] });
      keys.keep();
      plan.keep();
    } else {
      await record.trail.note(principal.tenant, noteOf(principal, ref, head));
    }
    return { resource: withMeta(content ?? resource, head), head, outcome: written.outcome };
  };
  return retryConflicts(record, principal.tenant, attempt, ({ kind }) => {
    plan?.forgetLoaded();
    if (kind === 'key-destroyed') record.resources.clear();
  });
}

function checkMatch(stored: number, ifMatch: number | undefined): void {
  if (ifMatch === undefined || ifMatch === stored) return;
  const what = stored === 0 ? 'Nothing is stored there' : `Version ${stored} is stored`;
  throw new EngineError('PRECONDITION_FAILED', `${what}, not version ${ifMatch}.`);
}

function draftOf(
  record: ClinicalRecord,
  principal: Principal,
  write: ResourceWrite,
): { at: number; entry: string } {
  const entry = entryText({
    action: write.version === 1 ? 'create' : 'update',
    outcome: 'success',
    ...actor(principal),
    resources: [versionRef(write.type, write.id, write.version)],
    wrote: [versionDigest(write)],
  });
  return { at: record.clock(), entry };
}

/** An update that changed nothing has shown the client that it knew the content. */
function noteOf(principal: Principal, ref: ResourceRef, head: Head): AuditEntry {
  return {
    action: 'update',
    outcome: 'success',
    ...actor(principal),
    unchanged: [versionRef(ref.type, ref.id, head.version)],
  };
}
