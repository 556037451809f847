// Keyed one-way values: blind tokens for equality search, digests and fingerprints. Without the
// key nothing can be learned from them but that two are equal. Normalizing is fhir/'s business.
import { createHmac, type KeyObject } from 'node:crypto';
import { createMac } from './mac.ts';
import { joinParts } from './parts.ts';
import { createRecent } from './recent.ts';

/** 64 bits: a collision costs one needless opening of a row, found by the check in clear. */
const TOKEN_HEX = 16;

export interface Blinder {
  /**
   * 16 hex characters for the parts in their order; the first says what the token is for
   * (`search`, `ordering`). Throws RangeError for ill-formed text.
   */
  token(...parts: string[]): string;
  /** 64 hex characters over the purpose and the bytes. */
  digest(purpose: string, bytes: Uint8Array | string): string;
  /** Forgets the cached tokens, which are remembered by their clear values. */
  clear(): void;
}

/** `cachedMax` bounds the tokens remembered: codes and names repeat a lot. */
export function createBlinder(key: KeyObject, cachedMax: number): Blinder {
  const recent = createRecent<string>(cachedMax);
  const mac = createMac(key);
  return {
    token(...parts) {
      const input = joinParts(parts);
      const known = recent.get(input);
      if (known !== undefined) return known;
      return recent.set(input, mac(input).slice(0, TOKEN_HEX));
    },
    digest(purpose, bytes) {
      const prefix = joinParts(['digest', purpose]);
      if (typeof bytes === 'string') return mac(prefix + bytes);
      return createHmac('sha256', key).update(prefix, 'utf8').update(bytes).digest('hex');
    },
    clear: () => recent.clear(),
  };
}
