// Sealing: what opens, and everything that must not.
import { createSecretKey, randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { joinParts } from '../../src/crypto/parts.ts';
import { createSealer, openSealed, SEAL_OVERHEAD_BYTES } from '../../src/crypto/seal.ts';

const key = createSecretKey(randomBytes(32));
const sealer = createSealer(randomBytes);
const AAD = ['resource', 'default', 'Patient', '4711', '3', 'd/4711/0'];
const CORRUPT = expect.objectContaining({ code: 'STORE_CORRUPT' });

describe('a sealed body', () => {
  it.each([0, 1, 15, 16, 17, 1_000, 70_000])('of %i bytes opens to the same bytes', (length) => {
    const plain = randomBytes(length);
    const sealed = sealer.seal(key, plain, AAD);
    expect(sealed.length).toBe(length + SEAL_OVERHEAD_BYTES);
    expect(openSealed(key, sealed, AAD).equals(plain)).toBe(true);
  });

  it('of text opens to its UTF-8 bytes', () => {
    expect(openSealed(key, sealer.seal(key, 'Müller 北', AAD), AAD).toString()).toBe('Müller 北');
  });

  it('has a buffer of its own', () => {
    const sealed = sealer.seal(key, 'x', AAD);
    expect(sealed.buffer.byteLength).toBe(sealed.byteLength);
  });

  it('does not open when any single byte was changed', () => {
    const sealed = sealer.seal(key, 'Müller', AAD);
    for (let at = 0; at < sealed.length; at += 1) {
      const changed = Uint8Array.from(sealed, (byte, index) => (index === at ? byte ^ 1 : byte));
      expect(() => openSealed(key, changed, AAD)).toThrow(CORRUPT);
    }
  });

  it('does not open when it was cut', () => {
    const sealed = sealer.seal(key, 'Müller', AAD);
    for (let length = 0; length < sealed.length; length += 1) {
      expect(() => openSealed(key, sealed.subarray(0, length), AAD)).toThrow(CORRUPT);
    }
  });

  it('does not open in another place: every part of the associated data counts', () => {
    const sealed = sealer.seal(key, 'Müller', AAD);
    for (let at = 0; at < AAD.length; at += 1) {
      const moved = AAD.map((part, index) => (index === at ? `${part}x` : part));
      expect(() => openSealed(key, sealed, moved)).toThrow(CORRUPT);
    }
    expect(() => openSealed(key, sealed, AAD.slice(1))).toThrow(CORRUPT);
    expect(() => openSealed(key, sealed, [...AAD, ''])).toThrow(CORRUPT);
  });

  it('does not open with another key', () => {
    const sealed = sealer.seal(key, 'Müller', AAD);
    expect(() => openSealed(createSecretKey(randomBytes(32)), sealed, AAD)).toThrow(CORRUPT);
  });
});

describe('IVs', () => {
  it('are never used twice, also beyond one pool', () => {
    const ivs = new Set<string>();
    for (let n = 0; n < 5_000; n += 1) {
      ivs.add(Buffer.from(sealer.seal(key, '', AAD).subarray(0, 12)).toString('hex'));
    }
    expect(ivs.size).toBe(5_000);
  });

  it('come from the given randomness, each byte once', () => {
    let next = 0;
    const counting = createSealer((bytes) => {
      const pool = Buffer.alloc(bytes);
      for (let at = 0; at < bytes; at += 4) pool.writeUInt32BE(next++, at);
      return pool;
    });
    const ivs = Array.from({ length: 3 }, () => counting.seal(key, '', AAD).subarray(0, 12));
    expect(ivs.map((iv) => Buffer.from(iv).readUInt32BE(0))).toEqual([0, 3, 6]);
  });
});

describe('joinParts', () => {
  it.each([
    [
      ['ab', 'c'],
      ['a', 'bc'],
    ],
    [
      ['a', ''],
      ['', 'a'],
    ],
    [['1:a'], ['', '1:a']],
    [['a1:b'], ['a', 'b']],
    [['a'], ['a', '']],
  ])('keeps %j and %j apart', (left, right) => {
    expect(joinParts(left)).not.toBe(joinParts(right));
  });

  it('refuses ill-formed text, whose UTF-8 bytes would collide', () => {
    expect(() => joinParts(['\ud800'])).toThrow(RangeError);
  });
});
