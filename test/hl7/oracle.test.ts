// Differential tests: our tokenizer against @medplum/core and the guarded hl7-standard, where those
// are known to be right, over our own rows and every sample message at hand.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Hl7Message } from '@medplum/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ackFrames, acksFor } from '../../src/hl7/ack.ts';
import { splitBatch } from '../../src/hl7/batch.ts';
import { businessKey } from '../../src/hl7/business-key.ts';
import { decodeMessage, encodeText } from '../../src/hl7/charset.ts';
import { readHeader } from '../../src/hl7/header.ts';
import { visitLeaves } from '../../src/hl7/leaves.ts';
import { type Message, parseMessage } from '../../src/hl7/message.ts';
import { readWithStandard } from '../../src/hl7/standard.ts';

/** Raw components of all fields from 1 (MSH from 2), as @medplum/core shapes them. */
function ours(message: Message): string[][][][] {
  return message.segments.map((segment) => {
    const from = segment.name === 'MSH' ? 3 : 1;
    return Array.from({ length: Math.max(segment.fieldCount - from + 1, 0) }, (_, index) =>
      segment.field(index + from).parts.map((one) => one.parts.map((part) => part.raw)),
    );
  });
}

function medplums(text: string): string[][][][] {
  // It takes the end of the last line for one more segment.
  return Hl7Message.parse(text.replace(/[\r\n]+$/, '')).segments.map((segment) =>
    segment.fields.slice(segment.name === 'MSH' ? 2 : 1).map((field) => field.components),
  );
}

/** What @medplum/core reads rightly: begins with MSH, no blank lines, no line feed as data. */
function inReach(text: string): boolean {
  const lines = text.split(/\r\n|\r|\n/);
  while (lines.at(-1) === '') lines.pop();
  return (
    text.startsWith('MSH') &&
    lines.filter((line) => line.startsWith('MSH')).length === 1 &&
    lines.every((line) => /^[A-Z][A-Z0-9]{2}([^\w\s]|$)/.test(line)) &&
    !/\r[^\n][^\r]*[^\r]\n/.test(text)
  );
}

const OWN = [
  'MSH|^~\\&|A|B|C|D|2024||ADT^A01|1|P|2.5\rPID|1||X^^^H&1&ISO~Y||D^J\rOBX|1|TX|||a\\F\\b|\r',
  'MSH|^~\\&|A\nPID|1||""|^^|~~|a&b\n',
  'MSH#*!%@#A#B\rPID#1##X***H@1!Y\r',
];

describe('against @medplum/core', () => {
  it.each(OWN)('%j reads the same', (text) => {
    expect(ours(parseMessage(text))).toEqual(medplums(text));
  });

  it('random messages read the same', () => {
    const field = fc.string({ unit: fc.constantFrom(...'ab1^~&" \\'), maxLength: 8 });
    const segment = fc.tuple(
      fc.constantFrom('PID', 'OBX', 'ZZ1'),
      fc.array(field, { maxLength: 6 }),
    );
    fc.assert(
      fc.property(fc.array(segment, { maxLength: 6 }), (segments) => {
        const lines = segments.map(([name, fields]) => [name, ...fields].join('|'));
        const text = ['MSH|^~\\&|A|B', ...lines].join('\r');
        expect(ours(parseMessage(text))).toEqual(medplums(text));
      }),
      { numRuns: 500 },
    );
  });
});

describe('guarded hl7-standard', () => {
  it('gives the same segments and raw leaves', () => {
    const { segments, issues } = readWithStandard(OWN[0] ?? '');
    expect(issues).toEqual([]);
    expect(segments?.map((segment) => segment.name)).toEqual(['MSH', 'PID', 'OBX']);
    expect(segments?.[1]?.fields[2]).toEqual([[['X'], [''], [''], ['H', '1', 'ISO']], [['Y']]]);
  });

  it.each([
    ['other delimiters', OWN[2] ?? '', 'MSH-2'],
    ['A&B, which it changes', 'MSH|^~\\&|A\rPID|a&b\r', 'MSH'],
    ['lines that it loses', 'MSH|^~\\&|A\rOBX|1|a\nb\nc\nd\ne\r', 'MSH'],
    ['a batch', 'BHS|^~\\&\rMSH|^~\\&|A\rBTS|1\r', 'MSH-2'],
    ['no line end', 'MSH|^~\\&|A', 'MSH'],
    ['no message', '', 'MSH'],
  ])('refuses %s', (_, text, at) => {
    const { segments, issues } = readWithStandard(text);
    expect(segments).toBeUndefined();
    expect(issues).toMatchObject([{ severity: 'error', at }]);
  });

  it('never gives a value that differs from ours', () => {
    const field = fc.string({ unit: fc.constantFrom(...'a1^~&"'), maxLength: 5 });
    fc.assert(
      fc.property(fc.array(field, { maxLength: 5 }), (fields) => {
        const text = `MSH|^~\\&|A\r${['PID', ...fields].join('|')}\r`;
        const { segments } = readWithStandard(text);
        if (segments === undefined) return;
        const pid = parseMessage(text).first('PID');
        const mine = fields.map((_, index) =>
          pid?.field(index + 1).parts.map((r) => r.parts.map((c) => c.parts.map((s) => s.raw))),
        );
        expect(segments[1]?.fields).toEqual(mine);
      }),
      { numRuns: 1000 },
    );
  });
});

const SAMPLES = '../shared/data/hl7v2';
const absent = !existsSync(SAMPLES);
const files = absent
  ? []
  : readdirSync(SAMPLES, { recursive: true, encoding: 'utf8' }).filter((f) => f.endsWith('.hl7'));

describe(`every sample message${absent ? ' (skipped: ../shared/data is absent)' : ''}`, () => {
  it.skipIf(absent)('is found', () => {
    expect(files.length).toBeGreaterThan(600);
  });

  it.skipIf(absent)('is cut, decoded, parsed and written back byte for byte', () => {
    for (const file of files) {
      const bytes = readFileSync(join(SAMPLES, file));
      for (const { start, end } of splitBatch(bytes).messages) {
        const part = bytes.subarray(start, end);
        const { text, charset } = decodeMessage(part);
        const message = parseMessage(text);
        expect(message.toString(), file).toBe(text);
        expect(Buffer.from(encodeText(text, charset)).equals(part), file).toBe(true);
        visitLeaves(message, ({ value }) => expect(value.text).toBeTypeOf('string'));
      }
    }
  });

  it.skipIf(absent)('reads as @medplum/core reads it, where that is right', () => {
    let compared = 0;
    for (const file of files) {
      const text = readFileSync(join(SAMPLES, file), 'utf8');
      if (!inReach(text)) continue;
      compared++;
      expect(ours(parseMessage(text)), file).toEqual(medplums(text));
    }
    expect(compared).toBeGreaterThan(550);
  });

  it.skipIf(absent)('is read the same by hl7-standard, or refused', () => {
    let read = 0;
    for (const file of files) {
      const { segments, issues } = readWithStandard(readFileSync(join(SAMPLES, file), 'utf8'));
      expect(segments === undefined, file).toBe(issues.length > 0);
      if (segments !== undefined) read++;
    }
    expect(read).toBeGreaterThan(300);
  });

  it.skipIf(absent)('has a header that agrees with the parser, or a reason; and one answer', () => {
    const context = { receivedAt: '2026-01-01T00:00:00.000Z', controlId: 'C' };
    for (const file of files) {
      const bytes = readFileSync(join(SAMPLES, file));
      for (const { start, end } of splitBatch(bytes).messages) {
        const part = bytes.subarray(start, end);
        const { header, issues } = readHeader(part);
        expect(header !== undefined || issues.some((i) => i.severity === 'error'), file).toBe(true);
        const cx = parseMessage(decodeMessage(part).text).first('PID')?.field(3).repetition(0);
        if (header) expect(header.subject, file).toBe(cx === undefined ? '' : businessKey(cx));
        const acks = acksFor(header, { outcome: 'error' }, context);
        expect(ackFrames(acks).length + (acks.silent ? 1 : 0), file).toBe(1);
      }
    }
  });
});
