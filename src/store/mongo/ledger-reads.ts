// Reads of the audit chain, of wrapped keys and of credentials.

import { ZERO_HASH } from '../../audit/chain.ts';
import type { AuditRow, Checkpoint, CredentialRow, KeyRow, KeyWrite } from '../port.ts';
import { readScopes } from '../port-rules.ts';
import type { Collections } from './collections.ts';
import { idsUnder, numberedId } from './row-ids.ts';

export async function auditHead(
  { tenants }: Collections,
  tenant: string,
): Promise<{ seq: number; hash: string }> {
  const row = await tenants.findOne({ _id: tenant }, { projection: { auditSeq: 1, auditHash: 1 } });
  return row ? { seq: row.auditSeq, hash: row.auditHash } : { seq: 0, hash: ZERO_HASH };
}

/**
 * Numbers follow one another, so a page is read between two of them: a server that sorts whatever
 * the index (DocumentDB) reads no more than the page. What is missing in it is looked for behind.
 */
export async function auditEntries(
  collections: Collections,
  tenant: string,
  from: number,
  limit: number,
): Promise<AuditRow[]> {
  const first = Math.max(0, from);
  const [start, behind] = [numberedId(tenant, first), numberedId(tenant, first + limit)];
  const page = await entriesBetween(collections, start, behind, limit);
  if (page.length >= limit) return page;
  const { to } = idsUnder(tenant);
  return [...page, ...(await entriesBetween(collections, behind, to, limit - page.length))];
}

function entriesBetween(
  { audit }: Collections,
  from: string,
  to: string,
  limit: number,
): Promise<AuditRow[]> {
  return audit
    .find({ _id: { $gte: from, $lt: to } })
    .project<AuditRow>({ _id: 0, seq: 1, at: 1, hash: 1, entry: 1 })
    .sort({ _id: 1 })
    .limit(limit)
    .toArray();
}

export function auditCheckpoints(
  { checkpoints }: Collections,
  tenant: string,
): Promise<Checkpoint[]> {
  const { from, to } = idsUnder(tenant);
  return checkpoints
    .find({ _id: { $gte: from, $lt: to } })
    .project<Checkpoint>({ _id: 0, seq: 1, hash: 1, at: 1, signature: 1, keyId: 1 })
    .sort({ _id: 1 })
    .toArray();
}

export async function auditTenants({ tenants }: Collections): Promise<string[]> {
  const rows = await tenants
    .find({ auditSeq: { $gt: 0 } }, { projection: { _id: 1 } })
    .sort({ _id: 1 })
    .toArray();
  return rows.map(({ _id }) => _id);
}

const KEY = {
  tenant: 1,
  id: 1,
  kind: 1,
  compartment: 1,
  wrappedBy: 1,
  wrapped: 1,
  createdAt: 1,
  destroyedAt: 1,
} as const;

/** By `_id`. */
export async function readKeys({ keys }: Collections, ids: string[]): Promise<Map<string, KeyRow>> {
  const rows = keys.find({ _id: { $in: ids } }).project<KeyRow & { _id: string }>(KEY);
  const found = new Map<string, KeyRow>();
  for await (const { _id, ...row } of rows) found.set(_id, row);
  return found;
}

export function listKeys(
  { keys }: Collections,
  tenant: string,
  kind: KeyWrite['kind'],
  limit: number,
  afterId = '',
): Promise<KeyRow[]> {
  return keys
    .find({ tenant, kind, id: { $gt: afterId } })
    .project<KeyRow>({ _id: 0, ...KEY })
    .sort({ id: 1 })
    .limit(limit)
    .toArray();
}

const CREDENTIAL = { projection: { _id: 0 } } as const;

export async function credentialByHash(
  { credentials }: Collections,
  tokenHash: string,
): Promise<CredentialRow | undefined> {
  const row = await credentials.findOne<CredentialRow>({ tokenHash }, CREDENTIAL);
  return row === null ? undefined : { ...row, mac: row.mac ?? '', ...readScopes(row.scopes) };
}

export function listCredentials(
  { credentials }: Collections,
  tenant: string,
): Promise<CredentialRow[]> {
  const { from, to } = idsUnder(tenant);
  return credentials
    .find<CredentialRow>({ _id: { $gte: from, $lt: to } }, CREDENTIAL)
    .sort({ _id: 1 })
    .map((row) => ({ ...row, mac: row.mac ?? '', ...readScopes(row.scopes) }))
    .toArray();
}
