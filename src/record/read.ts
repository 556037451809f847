// Reads of one resource: the newest version, a named one, the history. Audited before the answer
// leaves. Search is search.ts.
import { versionRef } from '../audit/entry.ts';
import { EngineError } from '../model/errors.ts';
import type { Principal } from '../model/principal.ts';
import type { Resource } from '../model/resource.ts';
import type { Head, ResourceRef, ResourceRow } from '../store/port.ts';
import { headOf, openResource } from './body.ts';
import type { ClinicalRecord } from './context.ts';
import { DamagedRecord } from './damage.ts';
import { actor } from './trail.ts';

export interface StoredResource {
  /** With meta.versionId and meta.lastUpdated set from the row. */
  resource: Resource & { id: string };
  /** version, deleted, lastUpdated (ms), compartment. */
  head: Head;
}

/**
 * The newest version, or the one named. Throws NOT_FOUND, GONE (deleted), KEY_DESTROYED (patient
 * forgotten), STORE_CORRUPT, STORE_UNAVAILABLE (also when access cannot be logged).
 * `compartments`: answers NOT_FOUND for a resource outside of them.
 */
export async function readResource(
  record: ClinicalRecord,
  principal: Principal,
  ref: ResourceRef,
  options: { version?: number; compartments?: string[] } = {},
): Promise<StoredResource> {
  const { tenant } = principal;
  const row = await record.store.resources.read(tenant, ref, options.version);
  if (row === undefined || !isWithin(row, options.compartments)) {
    throw new EngineError('NOT_FOUND', `No ${ref.type} is known under that id and version.`);
  }
  if (row.deleted) throw new EngineError('GONE');
  const resource = await openResource(record, tenant, row);
  await record.trail.note(tenant, {
    action: options.version === undefined ? 'read' : 'vread',
    outcome: 'success',
    ...actor(principal),
    resources: [versionRef(row.type, row.id, row.version)],
  });
  return { resource, head: headOf(row) };
}

export interface HistoryPage {
  /**
   * Newest first; `resource` is null for a deleted version, for one whose key is destroyed, and for
   * one that is damaged: that has its fault.
   */
  entries: {
    ref: ResourceRef;
    head: Head;
    resource: (Resource & { id: string }) | null;
    damaged?: DamagedRecord;
  }[];
  /** Pass as `before` to get the next page; absent on the last. */
  next?: { lastUpdated: number; id: string; version: number };
}

/** Versions of one resource or of a type. Throws NOT_FOUND for an unknown id. */
export async function readHistory(
  record: ClinicalRecord,
  principal: Principal,
  of: { type: string; id?: string },
  options: { limit: number; before?: HistoryPage['next']; compartments?: string[] },
): Promise<HistoryPage> {
  const { tenant } = principal;
  const rows = await record.store.resources.history(tenant, of, options.limit, options.before);
  const seen = rows.filter((row) => isWithin(row, options.compartments));
  if (of.id !== undefined && options.before === undefined && seen.length === 0) {
    throw new EngineError('NOT_FOUND', `No ${of.type} is known under that id.`);
  }
  const entries = await Promise.all(seen.map((row) => openVersion(record, tenant, row)));
  const opened = entries.filter(({ resource }) => resource !== null);
  await record.trail.note(tenant, {
    action: 'history',
    outcome: 'success',
    ...actor(principal),
    type: of.type,
    resources: opened.map(({ ref, head }) => versionRef(ref.type, ref.id, head.version)),
  });
  const last = rows.at(-1);
  if (last === undefined || rows.length < options.limit) return { entries };
  const { lastUpdated, id, version } = last;
  return { entries, next: { lastUpdated, id, version } };
}

/** Resources per type, deleted ones left out. Not audited: no resource is seen. */
export async function countResources(
  record: ClinicalRecord,
  tenant: string,
): Promise<{ type: string; count: number }[]> {
  return record.store.resources.counts(tenant);
}

function isWithin(row: ResourceRow, compartments: string[] | undefined): boolean {
  if (compartments === undefined) return true;
  return row.compartment !== null && compartments.includes(row.compartment);
}

async function openVersion(
  record: ClinicalRecord,
  tenant: string,
  row: ResourceRow,
): Promise<HistoryPage['entries'][number]> {
  const ref = { type: row.type, id: row.id };
  const head = headOf(row);
  if (row.deleted) return { ref, head, resource: null };
  try {
    return { ref, head, resource: await openResource(record, tenant, row) };
  } catch (thrown) {
    if (thrown instanceof DamagedRecord) return { ref, head, resource: null, damaged: thrown };
    if (!(thrown instanceof EngineError) || thrown.code !== 'KEY_DESTROYED') throw thrown;
    return { ref, head, resource: null };
  }
}
