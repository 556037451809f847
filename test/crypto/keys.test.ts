// The key chain, blind tokens and checkpoint signatures.
import { createHmac, createSecretKey, randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import {
  addRootKey,
  findRootKey,
  formatRootKeys,
  makeRootKeys,
  makeSecretKey,
  makeSigningKey,
  parseRootKeys,
  retireOlderRootKeys,
  unwrapKey,
  wrapKey,
} from '../../src/crypto/keys.ts';
import { createMac } from '../../src/crypto/mac.ts';
import { createRecent } from '../../src/crypto/recent.ts';
import { createSealer } from '../../src/crypto/seal.ts';
import { publicKeyOf, signCheckpoint, verifyCheckpoint } from '../../src/crypto/sign.ts';
import { createBlinder } from '../../src/crypto/token.ts';

const sealer = createSealer(randomBytes);
const CORRUPT = expect.objectContaining({ code: 'STORE_CORRUPT' });
const UNAVAILABLE = expect.objectContaining({ code: 'KEY_UNAVAILABLE' });

describe('the root key file', () => {
  it('gives back what was written, older keys too', () => {
    const keys = addRootKey(makeRootKeys());
    const read = parseRootKeys(formatRootKeys(keys));
    expect(read.current.id).toBe(keys.current.id);
    expect(read.current.key.equals(keys.current.key)).toBe(true);
    expect(findRootKey(read, keys.older[0]?.id ?? '').id).toBe(keys.older[0]?.id);
  });

  it('loses older keys only when told so', () => {
    const first = makeRootKeys();
    const second = addRootKey(first);
    expect(findRootKey(second, first.current.id).id).toBe(first.current.id);
    const file = parseRootKeys(formatRootKeys(retireOlderRootKeys(second)));
    expect(() => findRootKey(file, first.current.id)).toThrow(UNAVAILABLE);
    expect(findRootKey(retireOlderRootKeys(second), first.current.id)).toBe(first.current);
  });

  it.each([
    '',
    'null',
    '{}',
    '{"format":"artery-root-key/2","keys":[]}',
    '{"format":"artery-root-key/1","keys":[]}',
    '{"format":"artery-root-key/1","keys":[{"id":"a","key":"c2hvcnQ"}]}',
    '{"format":"artery-root-key/1","keys":[{"key":"c2hvcnQ"}]}',
  ])('is refused as %j', (text) => {
    expect(() => parseRootKeys(text)).toThrow(UNAVAILABLE);
  });

  it('is not quoted in the error', () => {
    const secret = 'c2VjcmV0';
    let message = '';
    try {
      parseRootKeys(`{"format":"artery-root-key/1","keys":["${secret}"`);
    } catch (error) {
      message = JSON.stringify(error, Object.getOwnPropertyNames(error));
    }
    expect(message).toContain('KEY_UNAVAILABLE');
    expect(message).not.toContain(secret);
  });
});

describe('a wrapped key', () => {
  const parent = makeSecretKey(randomBytes);
  const place = { tenant: 't', id: 'd/1/0', kind: 'data', compartment: '1', wrappedBy: 't0001' };

  it('opens under its parent in its place', () => {
    const key = makeSecretKey(randomBytes);
    expect(unwrapKey(parent, wrapKey(sealer, parent, key, place), place).equals(key)).toBe(true);
  });

  it('opens as an Ed25519 key when it is one', () => {
    const { privateKey } = makeSigningKey();
    const signing = { ...place, kind: 'signing' };
    const opened = unwrapKey(parent, wrapKey(sealer, parent, privateKey, signing), signing);
    expect(opened.asymmetricKeyType).toBe('ed25519');
  });

  it.each([
    { tenant: 'u' },
    { id: 'd/1/1' },
    { kind: 'index' },
    { compartment: '2' },
    { compartment: null },
    { wrappedBy: 't0002' },
  ])('does not open with %j', (change) => {
    const wrapped = wrapKey(sealer, parent, makeSecretKey(randomBytes), place);
    expect(() => unwrapKey(parent, wrapped, { ...place, ...change })).toThrow(CORRUPT);
  });
});

describe('blind tokens', () => {
  const key = createSecretKey(randomBytes(32));
  const blinder = createBlinder(key, 100);

  it('are 16 hex characters, equal for equal parts, from the cache or not', () => {
    const token = blinder.token('search', 'Patient', 'family', 'müller');
    expect(token).toMatch(/^[0-9a-f]{16}$/);
    expect(blinder.token('search', 'Patient', 'family', 'müller')).toBe(token);
    expect(createBlinder(key, 1).token('search', 'Patient', 'family', 'müller')).toBe(token);
  });

  it('differ by purpose, by where a part ends, and by key', () => {
    const tokens = [
      blinder.token('search', 'a', 'bc'),
      blinder.token('search', 'ab', 'c'),
      blinder.token('ordering', 'a', 'bc'),
      createBlinder(createSecretKey(randomBytes(32)), 100).token('search', 'a', 'bc'),
    ];
    expect(new Set(tokens).size).toBe(4);
  });

  it('stay right when the cache overflows', () => {
    const small = createBlinder(key, 4);
    for (let n = 0; n < 100; n += 1) small.token('search', String(n));
    expect(small.token('search', '3')).toBe(blinder.token('search', '3'));
  });

  it('have digests that differ by purpose and agree for text and its bytes', () => {
    expect(blinder.digest('a', 'ü')).toBe(blinder.digest('a', Buffer.from('ü')));
    expect(blinder.digest('a', 'ü')).not.toBe(blinder.digest('b', 'ü'));
  });
});

describe('the short HMAC', () => {
  it.each([1, 31, 32, 33, 64])('agrees with createHmac for a key of %i bytes', (keyBytes) => {
    const key = createSecretKey(randomBytes(keyBytes));
    const mac = createMac(key);
    const texts = ['', 'a', 'ü'.repeat(4_096), '北'.repeat(4_096), 'x'.repeat(4_097), 'b'];
    for (const text of texts) {
      expect(mac(text)).toBe(createHmac('sha256', key).update(text, 'utf8').digest('hex'));
    }
  });
});

describe('the bounded memory', () => {
  it('never holds more than its weight in either generation', () => {
    const recent = createRecent<number>(10);
    for (let n = 0; n < 1_000; n += 1) recent.set(`k${n}`, n);
    const kept = Array.from({ length: 1_000 }, (_, n) => recent.get(`k${n}`)).filter(
      (value) => value !== undefined,
    );
    expect(kept.length).toBeLessThanOrEqual(10);
    expect(kept.at(-1)).toBe(999);
  });

  it('keeps what is used while others pass by', () => {
    const recent = createRecent<number>(10);
    recent.set('often', 1);
    for (let n = 0; n < 100; n += 1) {
      recent.set(`k${n}`, n);
      expect(recent.get('often')).toBe(1);
    }
  });
});

describe('a checkpoint signature', () => {
  const { privateKey, publicKey } = makeSigningKey();
  const body = { tenant: 'default', seq: 7, hash: 'ab'.repeat(32), at: 1_700_000_000_000 };
  const signature = signCheckpoint(privateKey, body);

  it('is verified by the public half', () => {
    expect(verifyCheckpoint(publicKeyOf(privateKey), body, signature)).toBe(true);
  });

  it.each([{ tenant: 'other' }, { seq: 8 }, { hash: 'cd'.repeat(32) }, { at: 1 }])(
    'does not hold for %j',
    (change) => {
      expect(verifyCheckpoint(publicKey, { ...body, ...change }, signature)).toBe(false);
    },
  );

  it.each(['', 'AAAA', '!!', 'A'.repeat(86)])('is not %j', (other) => {
    expect(verifyCheckpoint(publicKey, body, other)).toBe(false);
  });
});
