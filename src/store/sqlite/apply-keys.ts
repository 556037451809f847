// The keys and credentials of a unit: wrapped keys come, change their wrapping and are destroyed.
// No key is ever in clear here.
import { EngineError } from '../../model/errors.ts';
import {
  CommitConflict,
  type CredentialWrite,
  type KeyWrite,
  type Sealed,
  type Unit,
} from '../port.ts';
import type { WriterState } from './writer-state.ts';

/** kids of `unit.keys` that are rewrapped (0 = new), and of `unit.forget.keyIds`. */
export interface CheckedKeys {
  writes: number[];
  destroyed: number[];
}

interface Stored {
  kid: number;
  destroyed_at: number | null;
}

/** Refuses a unit that would seal anything under a destroyed key (`key-destroyed`). */
export function checkSealing(
  state: WriterState,
  tenant: number | undefined,
  bodies: Iterable<Sealed>,
): void {
  if (tenant === undefined) return;
  const sql = 'SELECT 1 AS n FROM keys WHERE tenant = ? AND id = ? AND destroyed_at IS NOT NULL';
  const seen = new Set<string>();
  for (const { keyId } of bodies) {
    if (seen.has(keyId)) continue;
    seen.add(keyId);
    if (state.db.one(sql, tenant, keyId)) {
      throw new CommitConflict({ kind: 'key-destroyed', id: keyId });
    }
  }
}

/** Only reads. Throws CommitConflict `key-exists` or `key-destroyed`, NOT_FOUND for unknown. */
export function checkKeys(state: WriterState, tenant: number | undefined, unit: Unit): CheckedKeys {
  const fresh = new Set<string>();
  const writes = (unit.keys ?? []).map((key) => {
    const stored = findKey(state, tenant, key.id);
    checkKey(key, stored, fresh.has(key.id));
    fresh.add(key.id);
    return stored?.kid ?? 0;
  });
  const destroyed = (unit.forget?.keyIds ?? []).map((id) => {
    const stored = findKey(state, tenant, id);
    if (!stored) throw unknownKey(id);
    return stored.kid;
  });
  return { writes, destroyed };
}

function checkKey(key: KeyWrite, stored: Stored | undefined, fresh: boolean): void {
  if (stored && stored.destroyed_at !== null) {
    throw new CommitConflict({ kind: 'key-destroyed', id: key.id });
  }
  if (!key.rewrap && (stored || fresh)) {
    throw new CommitConflict({ kind: 'key-exists', id: key.id });
  }
  if (key.rewrap && !stored) throw unknownKey(key.id);
}

function unknownKey(id: string): EngineError {
  return new EngineError('NOT_FOUND', `No key ${id} is stored.`);
}

function findKey(state: WriterState, tenant: number | undefined, id: string): Stored | undefined {
  if (tenant === undefined) return undefined;
  const sql = 'SELECT kid, destroyed_at FROM keys WHERE tenant = ? AND id = ?';
  return state.db.one<Stored>(sql, tenant, id);
}

export function writeKeys(
  state: WriterState,
  tenant: number,
  unit: Unit,
  checked: CheckedKeys,
): void {
  (unit.keys ?? []).forEach((key, index) => {
    const kid = checked.writes[index];
    if (kid) rewrapKey(state, kid, key);
    else insertKey(state, tenant, key);
  });
  for (const kid of checked.destroyed) destroyKey(state, kid);
  for (const credential of unit.credentials ?? []) writeCredential(state, tenant, credential);
}

function insertKey(state: WriterState, tenant: number, key: KeyWrite): void {
  const kid = state.db.run(
    `INSERT INTO keys (tenant, id, kind, compartment, wrapped_by, created_at)
      VALUES (?, ?, ?, ?, ?, ?)`,
    tenant,
    key.id,
    key.kind,
    key.compartment,
    key.wrappedBy,
    key.createdAt,
  );
  state.db.run('INSERT INTO wrappings VALUES (?, ?)', kid, key.wrapped);
}

function rewrapKey(state: WriterState, kid: number, key: KeyWrite): void {
  state.db.run('UPDATE keys SET wrapped_by = ? WHERE kid = ?', key.wrappedBy, kid);
  state.db.run('UPDATE wrappings SET wrapped = ? WHERE kid = ?', key.wrapped, kid);
}

function destroyKey(state: WriterState, kid: number): void {
  const sql = 'UPDATE keys SET destroyed_at = ? WHERE kid = ? AND destroyed_at IS NULL';
  state.db.run(sql, Date.now(), kid);
  state.db.run('UPDATE wrappings SET wrapped = zeroblob(length(wrapped)) WHERE kid = ?', kid);
}

function writeCredential(state: WriterState, tenant: number, row: CredentialWrite): void {
  state.db.run(
    `INSERT INTO credentials VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (tenant, id) DO UPDATE
      SET token_hash = excluded.token_hash, label = excluded.label, scopes = excluded.scopes,
      created_at = excluded.created_at, expires_at = excluded.expires_at,
      revoked_at = excluded.revoked_at, mac = excluded.mac`,
    tenant,
    row.id,
    row.tokenHash,
    row.label,
    JSON.stringify(row.scopes),
    row.createdAt,
    row.expiresAt,
    row.revokedAt,
    row.mac,
  );
}
