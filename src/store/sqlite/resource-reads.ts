// Reads of resources by reference: heads, versions, history and counts. Searching is find.ts.
import type { Head, ResourceRef, ResourceRow } from '../port.ts';
import type { Connection } from './connection.ts';

const HEAD = 'r.version, r.state, r.last_updated, r.compartment, r.fingerprint';
/** Of `versions v`. */
export const VERSION_COLUMNS = `v.version, v.deleted, v.last_updated, v.compartment, v.fingerprint,
  v.key_id, v.body`;
const HEAD_BY_REF = `FROM names t CROSS JOIN collections c ON c.tenant = t.nid
  CROSS JOIN resources r ON r.cid = c.cid WHERE t.name = ? AND c.type = ? AND r.id = ?`;
const NEWEST = `SELECT ${VERSION_COLUMNS} FROM (SELECT r.vid ${HEAD_BY_REF}) h
  CROSS JOIN versions v ON v.vid = h.vid`;
const NAMED = `SELECT ${VERSION_COLUMNS} FROM (SELECT r.rid ${HEAD_BY_REF}) h
  CROSS JOIN versions v ON v.rid = h.rid WHERE v.version = ?`;

export interface VersionColumns {
  version: number;
  deleted: number;
  last_updated: number;
  compartment: string | null;
  fingerprint: string;
  key_id: string;
  body: Uint8Array;
}

export function readHeads(
  db: Connection,
  tenant: string,
  refs: ResourceRef[],
): (Head | undefined)[] {
  return db.snapshot(() => refs.map((ref) => readHead(db, tenant, ref)));
}

function readHead(db: Connection, tenant: string, ref: ResourceRef): Head | undefined {
  type Row = Omit<VersionColumns, 'deleted' | 'key_id' | 'body'> & { state: number };
  const row = db.one<Row>(`SELECT ${HEAD} ${HEAD_BY_REF}`, tenant, ref.type, ref.id);
  if (!row) return undefined;
  return {
    version: row.version,
    deleted: row.state === 1,
    lastUpdated: row.last_updated,
    compartment: row.compartment,
    fingerprint: row.fingerprint,
  };
}

export function readVersion(
  db: Connection,
  tenant: string,
  ref: ResourceRef,
  version?: number,
): ResourceRow | undefined {
  const row =
    version === undefined
      ? db.one<VersionColumns>(NEWEST, tenant, ref.type, ref.id)
      : db.one<VersionColumns>(NAMED, tenant, ref.type, ref.id, version);
  return row && toResourceRow(ref.type, ref.id, row);
}

export function readNewest(
  db: Connection,
  tenant: string,
  refs: ResourceRef[],
): (ResourceRow | undefined)[] {
  return db.snapshot(() => refs.map((ref) => readVersion(db, tenant, ref)));
}

/** The version row of a search hit. */
export function readByVid(db: Connection, type: string, id: string, vid: number): ResourceRow {
  const row = db.one<VersionColumns>(
    `SELECT ${VERSION_COLUMNS} FROM versions v WHERE v.vid = ?`,
    vid,
  );
  if (!row) throw new Error(`version row ${vid} is missing`);
  return toResourceRow(type, id, row);
}

/** Of a type: by lastUpdated descending, then id, then version descending. */
export function listHistory(
  db: Connection,
  tenant: string,
  of: { type: string; id?: string },
  limit: number,
  before?: { lastUpdated: number; id: string; version: number },
): ResourceRow[] {
  if (of.id !== undefined)
    return historyOfOne(db, tenant, { type: of.type, id: of.id }, limit, before);
  const sql = `SELECT r.id, ${VERSION_COLUMNS}
    FROM names t CROSS JOIN collections c ON c.tenant = t.nid
    CROSS JOIN versions v INDEXED BY versions_by_time ON v.cid = c.cid
    CROSS JOIN resources r ON r.rid = v.rid
    WHERE t.name = ? AND c.type = ? AND v.last_updated <= ?3 AND (v.last_updated < ?3
      OR r.id > ?4 OR (r.id = ?4 AND v.version < ?5))
    ORDER BY v.last_updated DESC, r.id, v.version DESC LIMIT ?6`;
  const { lastUpdated, id, version } = before ?? { lastUpdated: Infinity, id: '', version: 0 };
  return db
    .all<VersionColumns & { id: string }>(sql, tenant, of.type, lastUpdated, id, version, limit)
    .map((row) => toResourceRow(of.type, row.id, row));
}

function historyOfOne(
  db: Connection,
  tenant: string,
  ref: ResourceRef,
  limit: number,
  before?: { version: number },
): ResourceRow[] {
  const sql = `SELECT ${VERSION_COLUMNS} FROM (SELECT r.rid ${HEAD_BY_REF}) h
    CROSS JOIN versions v ON v.rid = h.rid WHERE v.version < ? ORDER BY v.version DESC LIMIT ?`;
  const below = before?.version ?? Infinity;
  return db
    .all<VersionColumns>(sql, tenant, ref.type, ref.id, below, limit)
    .map((row) => toResourceRow(ref.type, ref.id, row));
}

export function countResources(db: Connection, tenant: string): { type: string; count: number }[] {
  return db.all<{ type: string; count: number }>(
    `SELECT c.type, c.live AS count FROM names t JOIN collections c ON c.tenant = t.nid
      WHERE t.name = ? AND c.live > 0 ORDER BY c.type`,
    tenant,
  );
}

export function toResourceRow(type: string, id: string, row: VersionColumns): ResourceRow {
  return {
    type,
    id,
    version: row.version,
    deleted: row.deleted === 1,
    lastUpdated: row.last_updated,
    compartment: row.compartment,
    fingerprint: row.fingerprint,
    body: { keyId: row.key_id, bytes: row.body },
  };
}
