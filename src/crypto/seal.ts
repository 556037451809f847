// Authenticated encryption of one body: AES-256-GCM from node:crypto. Knows nothing of what is
// sealed; which key and which associated data belong to a body is record/'s business.
import { createCipheriv, createDecipheriv, type KeyObject } from 'node:crypto';
import { EngineError } from '../model/errors.ts';
import { joinParts } from './parts.ts';

const CIPHER = 'aes-256-gcm';
const IV_BYTES = 12;
const TAG_BYTES = 16;
/** One call for random bytes costs as much as sealing 1 KB, so IVs are drawn in bulk. */
const POOL_IVS = 512;

/** Bytes that sealing adds. */
export const SEAL_OVERHEAD_BYTES = IV_BYTES + TAG_BYTES;

export interface Sealer {
  /**
   * iv (12) | ciphertext | tag (16). `aad` says what the body is and where it stands; it is not
   * stored: openSealed must be given the same parts. The result has a buffer of its own (never a
   * slice of a shared pool), so it can be handed to another thread without handing over more.
   */
  seal(key: KeyObject, plain: Uint8Array | string, aad: readonly string[]): Uint8Array;
}

/** `random` gives that many fresh random bytes. No IV is ever used twice. */
export function createSealer(random: (bytes: number) => Uint8Array): Sealer {
  let pool: Uint8Array = new Uint8Array(0);
  let used = 0;
  const nextIv = (): Uint8Array => {
    if (used >= pool.length) {
      pool = random(POOL_IVS * IV_BYTES);
      used = 0;
    }
    used += IV_BYTES;
    return pool.subarray(used - IV_BYTES, used);
  };
  return { seal: (key, plain, aad) => sealWith(key, nextIv(), plain, aad) };
}

function sealWith(
  key: KeyObject,
  iv: Uint8Array,
  plain: Uint8Array | string,
  aad: readonly string[],
): Uint8Array {
  const cipher = createCipheriv(CIPHER, key, iv, { authTagLength: TAG_BYTES });
  cipher.setAAD(Buffer.from(joinParts(aad), 'utf8'));
  const body = typeof plain === 'string' ? cipher.update(plain, 'utf8') : cipher.update(plain);
  const rest = cipher.final();
  const sealed = new Uint8Array(IV_BYTES + body.length + rest.length + TAG_BYTES);
  sealed.set(iv, 0);
  sealed.set(body, IV_BYTES);
  if (rest.length > 0) sealed.set(rest, IV_BYTES + body.length);
  sealed.set(cipher.getAuthTag(), IV_BYTES + body.length + rest.length);
  return sealed;
}

/**
 * The plain bytes. Throws EngineError STORE_CORRUPT when the key, a byte or a part of `aad` is not
 * what it was when it was sealed.
 */
export function openSealed(key: KeyObject, sealed: Uint8Array, aad: readonly string[]): Buffer {
  if (sealed.length < SEAL_OVERHEAD_BYTES) {
    throw new EngineError('STORE_CORRUPT', 'A sealed body is too short to be one.');
  }
  const tagAt = sealed.length - TAG_BYTES;
  try {
    const decipher = createDecipheriv(CIPHER, key, sealed.subarray(0, IV_BYTES), {
      authTagLength: TAG_BYTES,
    });
    decipher.setAAD(Buffer.from(joinParts(aad), 'utf8'));
    decipher.setAuthTag(sealed.subarray(tagAt));
    const plain = decipher.update(sealed.subarray(IV_BYTES, tagAt));
    const rest = decipher.final();
    return rest.length === 0 ? plain : Buffer.concat([plain, rest]);
  } catch (cause) {
    const what = 'A sealed body does not open: it, its place or its key was changed.';
    throw new EngineError('STORE_CORRUPT', what, { cause });
  }
}
