// Reads of resources by reference: heads, versions, history and counts. Searching is find.ts. The
// newest version is in `resources`; a commit moves what it supersedes to `versions`. Reads look
// into `resources` first: a version that moves meanwhile is seen once or twice, never not at all.
import type { Filter } from 'mongodb';
import type { Head, ResourceRef, ResourceRow } from '../port.ts';
import type { Collections } from './collections.ts';
import { DELETED, type ResourceDoc, type VersionDoc } from './records.ts';
import { idsUnder, resourceId, versionId } from './row-ids.ts';

/** Index entries are of no use to a reader. */
export const WITHOUT_ENTRIES = { tokens: 0, ranges: 0, lows: 0 } as const;
/** Ids in one query: far below the 16 MiB of a command. */
const IDS_MAX = 10_000;

export async function readHeads(
  { resources }: Collections,
  tenant: string,
  refs: ResourceRef[],
): Promise<(Head | undefined)[]> {
  type Found = Head & { _id: string; state: number };
  const found = new Map<string, Head>();
  for (const _id of idChunks(tenant, refs)) {
    const rows = resources
      .find({ _id: { $in: _id } })
      .project<Found>({ version: 1, state: 1, lastUpdated: 1, compartment: 1, fingerprint: 1 });
    for await (const { _id: id, state, version, lastUpdated, compartment, fingerprint } of rows) {
      const deleted = state === DELETED;
      found.set(id, { version, deleted, lastUpdated, compartment, fingerprint });
    }
  }
  return refs.map(({ type, id }) => found.get(resourceId(tenant, type, id)));
}

export async function readVersion(
  { resources, versions }: Collections,
  tenant: string,
  { type, id }: ResourceRef,
  version?: number,
): Promise<ResourceRow | undefined> {
  const options = { projection: WITHOUT_ENTRIES };
  const head = await resources.findOne({ _id: resourceId(tenant, type, id) }, options);
  if (!head) return undefined;
  if (version === undefined || version === head.version) return toResourceRow(head);
  if (version > head.version) return undefined;
  const older = await versions.findOne({ _id: versionId(tenant, type, id, version) });
  return older ? toResourceRow(older) : undefined;
}

/** Newest versions, by `_id`. */
export async function readNewest(
  { resources }: Collections,
  ids: string[],
): Promise<Map<string, ResourceRow>> {
  const found = new Map<string, ResourceRow>();
  const rows = resources.find({ _id: { $in: ids } }, { projection: WITHOUT_ENTRIES });
  for await (const row of rows) found.set(row._id, toResourceRow(row));
  return found;
}

function idChunks(tenant: string, refs: ResourceRef[]): string[][] {
  const ids = [...new Set(refs.map(({ type, id }) => resourceId(tenant, type, id)))];
  return Array.from({ length: Math.ceil(ids.length / IDS_MAX) }, (_, n) =>
    ids.slice(n * IDS_MAX, (n + 1) * IDS_MAX),
  );
}

type Place = { lastUpdated: number; id: string; version: number };

/** Of a type: by lastUpdated descending, then id, then version descending. */
export async function listHistory(
  collections: Collections,
  tenant: string,
  of: { type: string; id?: string },
  limit: number,
  before?: Place,
): Promise<ResourceRow[]> {
  if (of.id !== undefined) {
    return historyOfOne(collections, tenant, { type: of.type, id: of.id }, limit, before);
  }
  const { resources, versions } = collections;
  const filter = changesFilter(tenant, of.type, before);
  const rows = new Map<string, ResourceRow>();
  for (const collection of [resources, versions]) {
    const found = await collection
      .find(filter as Filter<ResourceDoc | VersionDoc>)
      .project<VersionDoc>(WITHOUT_ENTRIES)
      .sort({ lastUpdated: -1, id: 1, version: -1 })
      .limit(limit)
      .toArray();
    for (const row of found) rows.set(`${row.version} ${row.id}`, toResourceRow(row));
  }
  return [...rows.values()].sort(byChange).slice(0, limit);
}

export function changesFilter(tenant: string, type: string, before?: Place): Filter<VersionDoc> {
  const whole = { tenant, type };
  if (!before) return whole;
  const { lastUpdated, id, version } = before;
  return {
    ...whole,
    lastUpdated: { $lte: lastUpdated },
    $or: [
      { lastUpdated: { $lt: lastUpdated } },
      { id: { $gt: id } },
      { id, version: { $lt: version } },
    ],
  };
}

function byChange(a: ResourceRow, b: ResourceRow): number {
  if (a.lastUpdated !== b.lastUpdated) return b.lastUpdated - a.lastUpdated;
  if (a.id !== b.id) return Buffer.compare(Buffer.from(a.id), Buffer.from(b.id));
  return b.version - a.version;
}

async function historyOfOne(
  { resources, versions }: Collections,
  tenant: string,
  { type, id }: ResourceRef,
  limit: number,
  before?: { version: number },
): Promise<ResourceRow[]> {
  const options = { projection: WITHOUT_ENTRIES };
  const head = await resources.findOne({ _id: resourceId(tenant, type, id) }, options);
  if (!head || limit < 1) return [];
  const below = Math.min(before?.version ?? Number.MAX_SAFE_INTEGER, head.version);
  const newest = !before || before.version > head.version ? [toResourceRow(head)] : [];
  if (newest.length >= limit || below <= 1) return newest;
  const { from } = idsUnder(tenant, type, id);
  const older = await versions
    .find({ _id: { $gte: from, $lt: versionId(tenant, type, id, below) } })
    .sort({ _id: -1 })
    .limit(limit - newest.length)
    .toArray();
  return [...newest, ...older.map(toResourceRow)];
}

export async function countResources(
  { tenants }: Collections,
  tenant: string,
): Promise<{ type: string; count: number }[]> {
  const row = await tenants.findOne({ _id: tenant }, { projection: { live: 1 } });
  const live = (row?.live ?? []).filter(({ count }) => count > 0);
  return live.sort((a, b) => (a.type < b.type ? -1 : 1));
}

export function toResourceRow(row: Omit<VersionDoc, '_id'>): ResourceRow {
  return {
    type: row.type,
    id: row.id,
    version: row.version,
    deleted: row.deleted,
    lastUpdated: row.lastUpdated,
    compartment: row.compartment,
    fingerprint: row.fingerprint,
    body: { keyId: row.keyId, bytes: row.body },
  };
}
