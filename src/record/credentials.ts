// Bearer tokens: made, resolved, revoked. The store knows a token's SHA-256 only.
import { createHash } from 'node:crypto';
import { type AuditAction, entryText } from '../audit/entry.ts';
import { uuid7 } from '../crypto/uuid.ts';
import { EngineError } from '../model/errors.ts';
import type { Principal } from '../model/principal.ts';
import type { CredentialRow } from '../store/port.ts';
import type { ClinicalRecord } from './context.ts';
import { credentialMac, isCredentialSound } from './credential-mac.ts';
import { checkCredential, unlessDamaged } from './damage.ts';
import { credentialDigest } from './stored-digest.ts';
import { actor } from './trail.ts';

const TOKEN = /^artery_[A-Za-z0-9_-]{43}$/;

/** Makes a token; `token` is shown once and stored nowhere. `expiresAt` in ms, null = never. */
export async function createToken(
  record: ClinicalRecord,
  principal: Principal,
  grant: { tenant: string; scopes: string[]; label: string; expiresAt: number | null },
): Promise<{ id: string; token: string }> {
  const { tenant, scopes, label, expiresAt } = grant;
  const keys = await record.keyring.tenant(tenant); // its chain begins with its keys
  const createdAt = record.clock();
  const id = uuid7(createdAt, record.random(10));
  const token = `artery_${Buffer.from(record.random(32)).toString('base64url')}`;
  const tokenHash = hashOf(token);
  const grantRow = { id, tokenHash, label, scopes, createdAt, expiresAt, revokedAt: null };
  const row = { ...grantRow, mac: credentialMac(keys, grantRow) };
  const wrote = [credentialDigest(row)];
  const audit = [draftOf(createdAt, principal, 'token', id, wrote)];
  await record.store.commit({ tenant, credentials: [row], audit });
  return { id, token };
}

/** Who a bearer token stands for; undefined = unknown, expired or revoked. `peer` is left ''. */
export async function resolveToken(
  record: ClinicalRecord,
  token: string,
): Promise<Principal | undefined> {
  if (!TOKEN.test(token)) return undefined;
  const hash = hashOf(token);
  const now = record.clock();
  const known = record.tokens.get(hash);
  if (known !== undefined && now - known.checkedAt < record.limits.bearerRecheckMs) {
    return isExpired(known.expiresAt, now) ? undefined : known.principal;
  }
  const row = await record.store.keys.credentialByHash(hash);
  if (row === undefined || row.revokedAt !== null || isExpired(row.expiresAt, now)) {
    record.tokens.delete(hash);
    return undefined;
  }
  // A damaged one grants nothing; that it is damaged is told.
  if ((await unlessDamaged(soundOrNot(record, row), () => undefined)) === undefined) return;
  const { tenant, id, scopes, expiresAt } = row;
  const principal: Principal = { tenant, id, scopes, peer: '', patient: null };
  record.tokens.set(hash, { principal, expiresAt, checkedAt: now });
  return principal;
}

/** Throws NOT_FOUND for an unknown id. Revoking twice is fine. Honoured within bearerRecheckMs. */
export async function revokeToken(
  record: ClinicalRecord,
  principal: Principal,
  id: string,
): Promise<void> {
  const { tenant } = principal;
  const rows = await record.store.keys.credentials(tenant);
  const row = rows.find((each) => each.id === id);
  if (row === undefined) throw new EngineError('NOT_FOUND', `No token has the id ${id}.`);
  if (row.revokedAt === null) {
    const { tenant: _, damaged: __, ...granted } = row;
    const at = record.clock();
    const revoked = { ...granted, revokedAt: at };
    const mac = credentialMac(await record.keyring.tenant(tenant), revoked);
    const audit = [draftOf(at, principal, 'revoke', id)];
    await record.store.commit({ tenant, credentials: [{ ...revoked, mac }], audit });
  }
  record.tokens.delete(row.tokenHash);
}

export async function listTokens(
  record: ClinicalRecord,
  tenant: string,
): Promise<Omit<CredentialRow, 'tokenHash' | 'mac'>[]> {
  const rows = await record.store.keys.credentials(tenant);
  return rows.map(({ tokenHash: _, mac: __, ...row }) => row);
}

async function soundOrNot(record: ClinicalRecord, row: CredentialRow): Promise<true> {
  await checkCredential(record.damage, row, (each) => isCredentialSound(record.keyring, each));
  return true;
}

function draftOf(
  at: number,
  principal: Principal,
  action: AuditAction,
  subject: string,
  wrote?: string[],
): { at: number; entry: string } {
  const entry = entryText({ action, outcome: 'success', ...actor(principal), subject, wrote });
  return { at, entry };
}

function isExpired(expiresAt: number | null, now: number): boolean {
  return expiresAt !== null && expiresAt <= now;
}

/** The token is 256 random bits, so a plain hash suffices: there is nothing to guess. */
function hashOf(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}
