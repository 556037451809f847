// A credential's row bound to its tenant by a MAC: whoever has the database alone can neither make
// one, nor change what one grants, nor move one to another tenant.
import { timingSafeEqual } from 'node:crypto';
import type { CredentialRow, CredentialWrite } from '../store/port.ts';
import type { Keyring } from './keyring.ts';
import type { TenantKeys } from './tenant-keys.ts';

/** 64 hex characters over every member of the row, and the tenant. */
export function credentialMac(keys: TenantKeys, row: Omit<CredentialWrite, 'mac'>): string {
  const { id, tokenHash, label, scopes, createdAt, expiresAt, revokedAt } = row;
  const grant = [id, tokenHash, label, scopes, createdAt, expiresAt, revokedAt];
  return keys.credentialMac(JSON.stringify(['artery-credential-mac-1', keys.tenant, ...grant]));
}

/** False for a row that was not written by a process with the tenant's keys, or not so. */
export async function isCredentialSound(keyring: Keyring, row: CredentialRow): Promise<boolean> {
  const expected = Buffer.from(credentialMac(await keyring.tenant(row.tenant), row));
  const found = Buffer.from(row.mac);
  return found.length === expected.length && timingSafeEqual(found, expected);
}
