// Ids: known vectors, and what must differ.
import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import {
  resourceId,
  shortName,
  tenantNamespace,
  uuid5,
  uuid7,
  uuid7Maker,
} from '../../src/crypto/uuid.ts';

describe('uuid5', () => {
  it('gives the vector of RFC 9562 appendix A.4', () => {
    const dns = '6ba7b810-9dad-11d1-80b4-00c04fd430c8';
    expect(uuid5(dns, 'www.example.com')).toBe('2ed6657d-e927-568b-95e1-2665a8aea6a2');
  });

  it('refuses a namespace that is not a UUID', () => {
    expect(() => uuid5('default', 'x')).toThrow(RangeError);
  });
});

describe('resourceId', () => {
  it('depends on tenant, type and business key', () => {
    const ids = [
      resourceId('a', 'Patient', 'urn:oid:1|7'),
      resourceId('b', 'Patient', 'urn:oid:1|7'),
      resourceId('a', 'Account', 'urn:oid:1|7'),
      resourceId('a', 'Patient', 'urn:oid:1|8'),
    ];
    expect(new Set(ids).size).toBe(4);
  });

  it('stays the same for ever: stored ids depend on it', () => {
    expect(tenantNamespace('default')).toBe('ccaac94d-fa17-5d60-925e-4233c447303e');
    expect(resourceId('default', 'Patient', 'urn:oid:1.2.3|4711')).toBe(
      '1cd52e32-c054-54de-ba7a-c5de6ba3c3e3',
    );
  });
});

describe('uuid7', () => {
  it('gives the vector of RFC 9562 appendix A.6', () => {
    const random = Buffer.from('0cc3 18c4 dc0c 0c07 398f'.replaceAll(' ', ''), 'hex');
    expect(uuid7(0x017f22e279b0, random)).toBe('017f22e2-79b0-7cc3-98c4-dc0c0c07398f');
  });

  it('sorts by time', () => {
    const random = new Uint8Array(10);
    expect(uuid7(1_000, random) < uuid7(1_001, random)).toBe(true);
  });

  it.each([-1, 2 ** 48, 1.5, Number.NaN])('refuses the time %d', (time) => {
    expect(() => uuid7(time, new Uint8Array(10))).toThrow(RangeError);
  });
});

describe('uuid7Maker', () => {
  it('gives different ids in the order of time, drawing random bytes in bulk', () => {
    let drawn = 0;
    const make = uuid7Maker((bytes) => {
      drawn += 1;
      return randomBytes(bytes);
    });
    const ids = Array.from({ length: 1_000 }, (_, n) => make(1_700_000_000_000 + n));
    expect(new Set(ids).size).toBe(1_000);
    expect([...ids].sort()).toEqual(ids);
    expect(drawn).toBe(2);
  });
});

describe('shortName', () => {
  it('is of 19 characters that any system takes', () => {
    expect(shortName(uuid7(0, new Uint8Array(10)))).toBe('0'.repeat(19));
    expect(shortName('ffffffff-ffff-7fff-bfff-ffffffffffff')).toBe('V'.repeat(19));
    expect(shortName('017f22e2-79b0-7cc3-98c4-dc0c0c07398f')).toMatch(/^[0-9A-V]{19}$/);
  });

  it('changes with the time and with each of 47 random bits', () => {
    const random = new Uint8Array(10);
    const first = shortName(uuid7(1_000, random));
    expect(shortName(uuid7(1_001, random)) > first).toBe(true);
    // Bits 0 to 3 are the version's, 16 and 17 the variant's: see RFC 9562 section 5.7.
    const bits = [...Array(80).keys()].filter((bit) => bit > 3 && bit !== 16 && bit !== 17);
    const names = bits
      .filter((bit) => bit !== 18 && bit !== 19)
      .slice(0, 47)
      .map((bit) => {
        const changed = new Uint8Array(10);
        changed[bit >> 3] = 0x80 >> (bit & 7);
        return shortName(uuid7(1_000, changed));
      });
    expect(new Set([first, ...names]).size).toBe(48);
  });
});
