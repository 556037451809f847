// The resource part of a unit: heads, versions and index rows, and the index rows of a forgotten
// compartment. Bodies are opaque.
import { CommitConflict, type ResourceRef, type ResourceWrite } from '../port.ts';
import { checkForm } from '../port-rules.ts';
import { spanOf } from './spans.ts';
import type { StoredHead, WriterState } from './writer-state.ts';

export const LIVE = 0;
const DELETED = 1;
export const FORGOTTEN = 2;

/** One per write: the stored head; undefined = there is none, or an earlier write makes it. */
export type CheckedResources = (StoredHead | undefined)[];

/** Only reads. Throws CommitConflict `version`, INTERNAL where a write breaks the port's rules. */
export function checkResources(
  state: WriterState,
  tenant: number | undefined,
  writes: ResourceWrite[],
): CheckedResources {
  const written = new Map<string, number>();
  return writes.map((write) => {
    checkForm(write);
    const key = `${write.type}/${write.id}`;
    const head = findHead(state, tenant, write);
    const stored = written.get(key) ?? head?.version ?? 0;
    if (stored !== write.expected) {
      throw new CommitConflict({ kind: 'version', type: write.type, id: write.id, stored });
    }
    written.set(key, write.version);
    return head;
  });
}

/** Only reads. Throws CommitConflict `version` when one of them is not what the caller knows. */
export function checkUnchanged(
  state: WriterState,
  tenant: number | undefined,
  refs: (ResourceRef & { version: number })[],
): void {
  for (const { type, id, version } of refs) {
    const stored = findHead(state, tenant, { type, id })?.version ?? 0;
    if (stored !== version) throw new CommitConflict({ kind: 'version', type, id, stored });
  }
}

function findHead(
  state: WriterState,
  tenant: number | undefined,
  ref: { type: string; id: string },
): StoredHead | undefined {
  const cid = tenant === undefined ? undefined : state.findCollection(tenant, ref.type);
  if (cid === undefined) return undefined;
  return state.findHead(cid, ref.id);
}

export function writeResources(
  state: WriterState,
  tenant: number,
  writes: ResourceWrite[],
  checked: CheckedResources,
): void {
  const written = new Set<string>();
  writes.forEach((write, index) => {
    const key = `${write.type}/${write.id}`;
    const cid = state.internCollection(tenant, write.type);
    // What an earlier write of this unit has made was not there when the unit was checked.
    const old = written.has(key) ? state.findHead(cid, write.id) : checked[index];
    const vid = state.nextVid();
    const rid = old ? updateHead(state, cid, vid, write, old) : insertHead(state, cid, vid, write);
    writeVersion(state, cid, rid, vid, write);
    if (!write.deleted) writeIndex(state, cid, rid, write);
    const head = { rid, version: write.version, state: write.deleted ? DELETED : LIVE };
    state.moveHead(cid, write.id, head);
    written.add(key);
  });
}

function insertHead(state: WriterState, cid: number, vid: number, write: ResourceWrite): number {
  state.countLive(cid, write.deleted ? 0 : 1);
  return state.db.run(
    `INSERT INTO resources (cid, id, vid, version, last_updated, state, compartment, fingerprint)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
    cid,
    write.id,
    vid,
    write.version,
    write.lastUpdated,
    write.deleted ? DELETED : LIVE,
    write.compartment,
    write.fingerprint,
  );
}

function updateHead(
  state: WriterState,
  cid: number,
  vid: number,
  write: ResourceWrite,
  old: StoredHead,
): number {
  state.countLive(cid, (write.deleted ? 0 : 1) - (old.state === LIVE ? 1 : 0));
  state.db.run(
    `UPDATE resources SET vid = ?, version = ?, last_updated = ?, state = ?, compartment = ?,
      fingerprint = ? WHERE rid = ?`,
    vid,
    write.version,
    write.lastUpdated,
    write.deleted ? DELETED : LIVE,
    write.compartment,
    write.fingerprint,
    old.rid,
  );
  if (old.state === LIVE) dropIndex(state, old.rid);
  return old.rid;
}

function writeVersion(
  state: WriterState,
  cid: number,
  rid: number,
  vid: number,
  write: Omit<ResourceWrite, 'expected' | 'tokens' | 'ranges'>,
): void {
  state.db.run(
    `INSERT INTO versions (vid, rid, cid, version, last_updated, deleted, compartment, fingerprint,
      key_id, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    vid,
    rid,
    cid,
    write.version,
    write.lastUpdated,
    write.deleted ? 1 : 0,
    write.compartment,
    write.fingerprint,
    write.body.keyId,
    write.body.bytes,
  );
}

function writeIndex(state: WriterState, cid: number, rid: number, write: ResourceWrite): void {
  if (write.tokens.length > 0) {
    state.db.run('INSERT INTO tokens (rowid, t) VALUES (?, ?)', rid, write.tokens.join(' '));
  }
  for (const { param, low, high } of write.ranges) {
    const fid = state.internField(cid, param);
    const sql = 'INSERT OR IGNORE INTO ranges (rid, fid, low, high, span) VALUES (?, ?, ?, ?, ?)';
    state.db.run(sql, rid, fid, low, high, spanOf(low, high));
  }
}

function dropIndex(state: WriterState, rid: number): void {
  state.db.run('DELETE FROM tokens WHERE rowid = ?', rid);
  state.db.run('DELETE FROM ranges WHERE rid = ?', rid);
}

/** A superseded version that is moved here from another store, behind its resource. */
export function writeOldVersion(
  state: WriterState,
  tenant: number,
  row: Omit<ResourceWrite, 'expected' | 'tokens' | 'ranges'>,
): void {
  const cid = state.internCollection(tenant, row.type);
  const head = state.findHead(cid, row.id);
  if (!head) throw new Error('a version has no resource');
  writeVersion(state, cid, head.rid, state.nextVid(), row);
}

/** A resource that is moved here was forgotten: it has no index rows. */
export function markForgotten(state: WriterState, tenant: number, ref: ResourceRef): void {
  const cid = state.internCollection(tenant, ref.type);
  const head = state.findHead(cid, ref.id);
  if (!head) throw new Error('a forgotten resource is not stored');
  state.db.run('UPDATE resources SET state = ? WHERE rid = ?', FORGOTTEN, head.rid);
  if (head.state === LIVE) state.countLive(cid, -1);
  state.moveHead(cid, ref.id, { ...head, state: FORGOTTEN });
}

/** Takes a compartment's resources out of every index; no search finds them again. */
export function forgetIndex(state: WriterState, tenant: number, compartment: string): void {
  const rows = state.db.all<{ rid: number; cid: number; state: number }>(
    `SELECT r.rid, r.cid, r.state FROM resources r JOIN collections c ON c.cid = r.cid
      WHERE r.compartment = ? AND c.tenant = ?`,
    compartment,
    tenant,
  );
  for (const row of rows) {
    if (row.state !== LIVE) continue;
    dropIndex(state, row.rid);
    state.db.run('UPDATE resources SET state = ? WHERE rid = ?', FORGOTTEN, row.rid);
    state.countLive(row.cid, -1);
  }
  state.forgetHeads();
}
