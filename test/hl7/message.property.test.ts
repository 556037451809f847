// Properties of the tokenizer over random text: nothing is lost, injected delimiters stay data.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { FieldInput, LeafInput } from '../../src/hl7/build.ts';
import { buildMessage, setValue } from '../../src/hl7/build.ts';
import { DEFAULT_DELIMITERS } from '../../src/hl7/delimiters.ts';
import { decodeEscapes, escapeText } from '../../src/hl7/escape.ts';
import { visitLeaves } from '../../src/hl7/leaves.ts';
import { parseMessage } from '../../src/hl7/message.ts';
import { parsePath } from '../../src/hl7/path.ts';

/** Text full of what the tokenizer looks for. fast-check prints the seed of a failure. */
const noisy = fc
  .array(
    fc.oneof(
      fc.constantFrom(...'|^~\\&#"', '\r', '\n', '\r\n', '\x0b', '\x1c', '\ufeff', ' ', '""'),
      fc.constantFrom('MSH|^~\\&|', 'MSH', 'PID|', 'OBX|', 'BHS|', '\\F\\', '\\X0D\\', '\\.br\\'),
      fc.string({ unit: 'binary', maxLength: 6 }),
    ),
    { maxLength: 60 },
  )
  .map((parts) => parts.join(''));

const text = fc.oneof(fc.string({ unit: 'binary', maxLength: 12 }), noisy);
const leaf: fc.Arbitrary<LeafInput> = fc.oneof(text, fc.constant(null));

describe('the tokenizer', () => {
  it('writes back whatever it read', () => {
    fc.assert(
      fc.property(noisy, fc.boolean(), (body, headed) => {
        const input = headed ? `MSH|^~\\&|${body}` : body;
        expect(parseMessage(input).toString()).toBe(input);
      }),
      { numRuns: 2000 },
    );
  });

  it('covers every character of a segment by its fields', () => {
    fc.assert(
      fc.property(noisy, (body) => {
        for (const segment of parseMessage(`MSH|^~\\&|${body}`).segments) {
          const from = ['MSH', 'FHS', 'BHS'].includes(segment.name) ? 2 : 1;
          const fields = Array.from(
            { length: Math.max(segment.fieldCount - from + 1, 0) },
            (_, index) => segment.field(index + from).raw,
          );
          const [name = ''] = segment.raw.split('|');
          expect([name, ...fields].join('|')).toBe(segment.raw);
        }
      }),
      { numRuns: 1000 },
    );
  });

  it('never fails when every leaf is read', () => {
    fc.assert(
      fc.property(noisy, (body) => {
        visitLeaves(parseMessage(`MSH|^~\\&|${body}`), ({ value }) => {
          expect(typeof value.text).toBe('string');
        });
      }),
      { numRuns: 1000 },
    );
  });
});

describe('building', () => {
  it('keeps injected delimiters, line ends and quotes data', () => {
    const components = fc.array(fc.oneof(leaf, fc.array(leaf, { minLength: 1, maxLength: 3 })), {
      minLength: 1,
      maxLength: 4,
    });
    fc.assert(
      fc.property(fc.array(components, { minLength: 1, maxLength: 4 }), (fields) => {
        const built = buildMessage([
          { name: 'MSH', fields: ['A'] },
          { name: 'ZZZ', fields: fields as FieldInput[] },
          { name: 'ZZY', fields: ['end'] },
        ]);
        const message = parseMessage(built);
        expect(message.segments.map((segment) => segment.name)).toEqual(['MSH', 'ZZZ', 'ZZY']);
        const segment = message.segments[1];
        fields.forEach((field, f) => {
          field.forEach((component, c) => {
            const list = Array.isArray(component) ? component : [component];
            list.forEach((value, s) => {
              const read = segment
                ?.field(f + 1)
                .child(c + 1)
                .child(s + 1);
              expect(read?.text).toBe(value ?? '');
            });
          });
        });
      }),
      { numRuns: 1000 },
    );
  });

  it('decodes what it escaped', () => {
    fc.assert(
      fc.property(text, (value) => {
        const escaped = escapeText(value, DEFAULT_DELIMITERS);
        expect(escaped).not.toMatch(/[|^~&\r\n\x0b\x1c]/);
        expect(decodeEscapes(escaped, DEFAULT_DELIMITERS)).toBe(value);
      }),
      { numRuns: 2000 },
    );
  });

  it('sets one place and changes no other', () => {
    const paths = ['PID-3.1', 'PID-3[1].4.2', 'PID-5.2', 'PID-9', 'PV1-1'];
    fc.assert(
      fc.property(text, fc.constantFrom(...paths), (value, place) => {
        const before = parseMessage('MSH|^~\\&|A\rPID|1||X^^^H&1~Y^^^Z||D^J\rPV1|1\rOBX|9\r');
        const path = parsePath(place);
        if (path === undefined) throw new Error(place);
        const after = setValue(before, path, value);
        expect(after.at(path).text).toBe(value);
        for (const other of paths.filter((name) => name !== place)) {
          const elsewhere = parsePath(other);
          if (elsewhere === undefined) throw new Error(other);
          expect(after.at(elsewhere).text).toBe(before.at(elsewhere).text);
        }
        expect(after.segments.length).toBe(4);
      }),
      { numRuns: 500 },
    );
  });
});
