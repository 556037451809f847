// The link of the audit chain: what is hashed, and how. Pure; the store keeps the rows and calls
// this inside its commit. It does not verify chains and does not sign: see the other files here.
import { createHash } from 'node:crypto';

/** The hash before the first entry of a tenant's chain. */
export const ZERO_HASH = '0'.repeat(64);

/** Names the encoding, so that a hash of another kind of thing can never pass for a link. */
const DOMAIN = Buffer.from('artery-audit-link-1\n', 'latin1');
const HEADER_BYTES = DOMAIN.length + 32 + 8 + 8 + 4;
const HASH_HEX = /^[0-9a-f]{64}$/;

/**
 * Hash of one entry: lower-case hex SHA-256 over domain, previous hash (32 bytes), seq (u64 BE),
 * at (i64 BE, ms since the epoch), length of entry in bytes (u32 BE), entry (UTF-8). Every part has
 * a fixed length or is preceded by it, so no two different links share an encoding.
 * Throws RangeError when a part is not of its form.
 */
export function linkHash(prevHash: string, seq: number, at: number, entry: string): string {
  if (!HASH_HEX.test(prevHash)) throw new RangeError('previous hash is not 64 hex characters');
  if (!Number.isSafeInteger(seq) || seq < 1) throw new RangeError(`seq ${seq} is not a position`);
  if (!Number.isSafeInteger(at)) throw new RangeError(`time ${at} is not whole milliseconds`);
  if (!entry.isWellFormed()) throw new RangeError('entry is not well-formed text');
  const entryBytes = Buffer.byteLength(entry, 'utf8');
  const link = Buffer.allocUnsafe(HEADER_BYTES + entryBytes);
  let offset = DOMAIN.copy(link, 0);
  offset += link.write(prevHash, offset, 'hex');
  offset = link.writeBigUInt64BE(BigInt(seq), offset);
  offset = link.writeBigInt64BE(BigInt(at), offset);
  offset = link.writeUInt32BE(entryBytes, offset);
  link.write(entry, offset, 'utf8');
  return createHash('sha256').update(link).digest('hex');
}
