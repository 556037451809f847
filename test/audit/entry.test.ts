// One form for the writer and the reader of an audit entry.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { linkHash, ZERO_HASH } from '../../src/audit/chain.ts';
import { AUDIT_ACTIONS, type AuditEntry, entryText, parseEntry } from '../../src/audit/entry.ts';

const text = fc.string({ unit: 'binary', maxLength: 40 });
const texts = fc.array(
  text.filter((value) => value !== ''),
  { maxLength: 4 },
);
const whole = fc.nat();
const entry = fc.record(
  {
    action: fc.constantFrom(...AUDIT_ACTIONS),
    outcome: fc.constantFrom('success' as const, 'failure' as const),
    who: text,
    peer: text,
    channel: text,
    message: text,
    map: text,
    input: text,
    resources: texts,
    wrote: texts,
    unchanged: texts,
    subject: text,
    query: fc.record({ keyId: text, sealed: text }),
    type: text,
    detail: fc.string({ maxLength: 400 }),
    count: whole,
    until: whole,
  },
  { requiredKeys: ['action', 'outcome', 'who'] },
);

/** What is left of an entry in its text. */
function kept(given: AuditEntry): Record<string, unknown> {
  const members = Object.entries(given).filter(
    ([, value]) => value !== '' && !(Array.isArray(value) && value.length === 0),
  );
  const { detail, ...rest } = Object.fromEntries(members);
  const cut = detail === undefined ? {} : { detail: String(detail).slice(0, 300) };
  return { who: 'anonymous', ...rest, ...cut };
}

describe('an audit entry', () => {
  it('that was written can be read back, and linked', () => {
    fc.assert(
      fc.property(entry, (given) => {
        const { query } = given;
        const isSound = query === undefined || (query.keyId !== '' && query.sealed !== '');
        if (!isSound) {
          expect(() => entryText(given)).toThrow('query');
          return;
        }
        const written = entryText(given);
        expect(parseEntry(written)).toEqual(kept(given));
        expect(linkHash(ZERO_HASH, 1, 0, written)).toMatch(/^[0-9a-f]{64}$/);
      }),
    );
  });

  it.each([
    [{ action: 'nothing' }, 'action'],
    [{ outcome: 'perhaps' }, 'outcome'],
    [{ resources: ['a', ''] }, 'resources'],
    [{ count: -1 }, 'count'],
    [{ until: 1.5 }, 'until'],
    [{ peer: 7 }, 'peer'],
  ])('that could not be read back is not written, and not read: %j', (wrong, member) => {
    const given = { action: 'deny', outcome: 'failure', who: 'x', ...wrong };
    expect(() => entryText(given as unknown as AuditEntry)).toThrow(member);
    expect(() => parseEntry(JSON.stringify(given))).toThrow(member);
  });

  it.each(['', 'null', '[]', '"deny"', '{}', '{"who":"x"}'])('is not read from %s', (wrong) => {
    expect(() => parseEntry(wrong)).toThrow(/audit entry/);
  });

  it('of an older version without an actor is that of an anonymous caller', () => {
    const read = parseEntry('{"action":"deny","outcome":"failure","peer":"127.0.0.1:9"}');
    expect(read.who).toBe('anonymous');
  });
});
