// Reads of the audit chain, of wrapped keys and of credentials.
import { ZERO_HASH } from '../../audit/chain.ts';
import type { AuditRow, Checkpoint, CredentialRow, KeyRow, KeyWrite } from '../port.ts';
import { readScopes } from '../port-rules.ts';
import type { Connection } from './connection.ts';

export function auditHead(db: Connection, tenant: string): { seq: number; hash: string } {
  const sql = `SELECT a.seq, a.hash FROM names t CROSS JOIN audit a ON a.tenant = t.nid
    WHERE t.name = ? ORDER BY a.seq DESC LIMIT 1`;
  return db.one<{ seq: number; hash: string }>(sql, tenant) ?? { seq: 0, hash: ZERO_HASH };
}

export function auditEntries(
  db: Connection,
  tenant: string,
  from: number,
  limit: number,
): AuditRow[] {
  const sql = `SELECT a.seq, a.at, a.hash, a.entry FROM names t
    CROSS JOIN audit a ON a.tenant = t.nid WHERE t.name = ? AND a.seq >= ? ORDER BY a.seq LIMIT ?`;
  return db.all<AuditRow>(sql, tenant, from, limit);
}

export function auditCheckpoints(db: Connection, tenant: string): Checkpoint[] {
  const sql = `SELECT k.seq, k.hash, k.at, k.signature, k.key_id AS keyId FROM names t
    CROSS JOIN checkpoints k ON k.tenant = t.nid WHERE t.name = ? ORDER BY k.seq, k.rowid`;
  return db.all<Checkpoint>(sql, tenant);
}

export function auditTenants(db: Connection): string[] {
  const sql = `SELECT name FROM names
    WHERE EXISTS (SELECT 1 FROM audit a WHERE a.tenant = nid) ORDER BY name`;
  return db.all<{ name: string }>(sql).map(({ name }) => name);
}

const KEY = `SELECT t.name AS tenant, k.id, k.kind, k.compartment, k.wrapped_by AS wrappedBy,
  w.wrapped, k.created_at AS createdAt, k.destroyed_at AS destroyedAt FROM names t
  CROSS JOIN keys k ON k.tenant = t.nid JOIN wrappings w ON w.kid = k.kid WHERE t.name = ?`;

export function getKey(db: Connection, tenant: string, id: string): KeyRow | undefined {
  const row = db.one<KeyRow>(`${KEY} AND k.id = ?`, tenant, id);
  return row && toKeyRow(row);
}

export function listKeys(
  db: Connection,
  tenant: string,
  kind: KeyWrite['kind'],
  limit: number,
  afterId = '',
): KeyRow[] {
  const sql = `${KEY} AND k.kind = ? AND k.id > ? ORDER BY k.id LIMIT ?`;
  return db.all<KeyRow>(sql, tenant, kind, afterId, limit).map(toKeyRow);
}

/** A destroyed key's bytes are zeros on disk; callers see nothing. */
export function toKeyRow(row: KeyRow): KeyRow {
  return { ...row, wrapped: row.destroyedAt === null ? row.wrapped : new Uint8Array(0) };
}

const CREDENTIAL = `SELECT t.name AS tenant, c.id, c.token_hash AS tokenHash, c.label, c.scopes,
  c.created_at AS createdAt, c.expires_at AS expiresAt, c.revoked_at AS revokedAt, c.mac
  FROM credentials c JOIN names t ON t.nid = c.tenant`;

type StoredCredential = Omit<CredentialRow, 'scopes'> & { scopes: string };

export function credentialByHash(db: Connection, tokenHash: string): CredentialRow | undefined {
  const row = db.one<StoredCredential>(`${CREDENTIAL} WHERE c.token_hash = ?`, tokenHash);
  return row && toCredential(row);
}

export function listCredentials(db: Connection, tenant: string): CredentialRow[] {
  const sql = `${CREDENTIAL} WHERE t.name = ? ORDER BY c.id`;
  return db.all<StoredCredential>(sql, tenant).map(toCredential);
}

export function toCredential(row: StoredCredential): CredentialRow {
  let stored: unknown;
  try {
    stored = JSON.parse(row.scopes);
  } catch {
    // No JSON is no list: the row is marked as damaged.
  }
  return { ...row, ...readScopes(stored) };
}
