// Digests of stored rows as audit entries name them: over the row as the store keeps it, so that
// they can be checked without any key. SHA-256, the first 128 bits, base64url.
import { createHash } from 'node:crypto';
import type { CredentialWrite, ResourceRow } from '../store/port.ts';

const DIGEST_BYTES = 16;

/** Over the version's metadata and its ciphertext; its place (type, id, version) too. */
export function versionDigest(row: Omit<ResourceRow, 'tokens' | 'ranges'>): string {
  const { type, id, version, lastUpdated, deleted, compartment, fingerprint, body } = row;
  const place = ['artery-version-1', type, id, version, lastUpdated, deleted];
  return digestOf([...place, compartment, fingerprint, body.keyId], body.bytes);
}

/** Over what is granted; a revocation has an entry of its own. */
export function credentialDigest(row: Omit<CredentialWrite, 'revokedAt'>): string {
  const { id, tokenHash, label, scopes, createdAt, expiresAt } = row;
  return digestOf(['artery-credential-1', id, tokenHash, label, scopes, createdAt, expiresAt]);
}

/** JSON ends where its last bracket closes, so no two rows share an encoding. */
function digestOf(fields: unknown[], bytes: Uint8Array = new Uint8Array(0)): string {
  const hash = createHash('sha256').update(JSON.stringify(fields)).update(bytes);
  return hash.digest().subarray(0, DIGEST_BYTES).toString('base64url');
}
