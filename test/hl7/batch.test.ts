// Cutting frames and files into messages.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { splitBatch } from '../../src/hl7/batch.ts';

const one = 'MSH|^~\\&|A|B|||2024||ADT^A01|1|P|2.5\rPID|1\r';
const two = 'MSH|^~\\&|A|B|||2024||ADT^A01|2|P|2.5\rPID|2\r';

function split(text: string) {
  const bytes = Buffer.from(text, 'latin1');
  const { messages, issues, enveloped } = splitBatch(bytes);
  return {
    messages: messages.map(({ start, end }) => text.slice(start, end)),
    issues: issues.map((issue) => `${issue.severity} ${issue.at}: ${issue.text}`),
    enveloped,
  };
}

describe('splitBatch', () => {
  it.each([
    ['one message', one, [one], []],
    ['one message in its frame', `\x0b${one}\x1c\r`, [`${one}\x1c\r`], []],
    ['two messages', one + two, [one, two], []],
    [
      'two frames in one file',
      `\x0b${one}\x1c\r\x0b${two}\x1c\r`,
      [`${one}\x1c\r\x0b`, `${two}\x1c\r`],
      [],
    ],
    ['a batch', `BHS|^~\\&\r${one}${two}BTS|2\r`, [one, two], []],
    ['a file', `FHS|^~\\&\rBHS|^~\\&\r${one}BTS|1\rFTS|1\r`, [one], []],
    [
      'LF ends',
      `BHS|^~\\&\n${one.replaceAll('\r', '\n')}BTS|1\n`,
      [one.replaceAll('\r', '\n')],
      [],
    ],
    [
      'a wrong count',
      `BHS|^~\\&\r${one}BTS|3\r`,
      [one],
      ['warning BTS-1: It declares 3 and 1 were found.'],
    ],
    [
      'a wrong number of batches',
      `FHS|^~\\&\rBHS|^~\\&\r${one}BTS|1\rFTS|2\r`,
      [one],
      ['warning FTS-1: It declares 2 and 1 were found.'],
    ],
    [
      'a count that is none',
      `BHS|^~\\&\r${one}BTS|x1\r`,
      [one],
      ['warning BTS-1: The count is not a number.'],
    ],
    ['a count with blanks and a comment', `BHS|^~\\&\r${one}BTS| 1 |c\r`, [one], []],
    [
      'a batch in a batch',
      `BHS|^~\\&\rBHS|^~\\&\r${one}BTS|1\rBTS|1\r`,
      [one],
      ['warning BTS: The batch has no trailer.', 'warning BTS: A trailer without its header.'],
    ],
    [
      'a file in a batch',
      `BHS|^~\\&\rFHS|^~\\&\r${one}FTS|0\rBTS|1\r`,
      [one],
      [
        'warning BTS: A file begins inside of a batch: the batch has no trailer.',
        'warning BTS: A trailer without its header.',
      ],
    ],
    [
      'trailers in the wrong order',
      `FHS|^~\\&\rBHS|^~\\&\r${one}FTS|1\rBTS|1\r`,
      [one],
      [
        'warning BTS: The file ends inside of a batch: the batch has no trailer.',
        'warning BTS: A trailer without its header.',
      ],
    ],
    [
      'no trailers',
      `FHS|^~\\&\rBHS|^~\\&\r${one}`,
      [one],
      ['warning BTS: The batch has no trailer.', 'warning FTS: The file has no trailer.'],
    ],
    ['a trailer alone', `${one}BTS|1\r`, [one], ['warning BTS: A trailer without its header.']],
    [
      'stray segments',
      `PID|1\rjunk\r${one}`,
      [one],
      [
        'warning PID: A segment outside of any message was left out.',
        'warning line: A segment outside of any message was left out.',
      ],
    ],
    ['an empty batch', 'BHS|^~\\&\rBTS|0\r', [], ['error MSH: There is no MSH segment.']],
    ['nothing', '', [], ['error MSH: There is no MSH segment.']],
  ])('%s', (_, text, messages, issues) => {
    expect(split(text)).toMatchObject({ messages, issues });
  });

  it('does not cut where MSH is data', () => {
    const text = `${one}OBX|1|TX|||see BTS and BHS\nMSHX and MSH|x\nMSH ok\r`;
    expect(split(text).messages).toEqual([text]);
  });

  it('refuses more messages than the limit, and takes as many as the limit', () => {
    const bytes = Buffer.from(one + two + one);
    expect(splitBatch(bytes, 3).messages.length).toBe(3);
    expect(splitBatch(bytes, 2)).toMatchObject({
      messages: [],
      issues: [{ severity: 'error', code: 'too-long', text: 'There are more than 2 messages.' }],
    });
  });

  it('tells whether there was an envelope', () => {
    expect(split(`BHS|^~\\&\r${one}BTS|1\r`).enveloped).toBe(true);
    expect(split(one + two).enveloped).toBe(false);
  });

  it('gives ordered ranges that do not overlap and hold every MSH line', () => {
    const part = fc.constantFrom(
      one,
      two,
      'BHS|^~\\&\r',
      'BTS|1\r',
      'FHS|^~\\&\r',
      'FTS\r',
      'x\r',
      '\n',
    );
    fc.assert(
      fc.property(fc.array(part, { maxLength: 20 }), (parts) => {
        const text = parts.join('');
        const { messages } = splitBatch(Buffer.from(text));
        expect(messages.length).toBe(parts.filter((p) => p.startsWith('MSH')).length);
        let last = 0;
        for (const { start, end } of messages) {
          expect(start).toBeGreaterThanOrEqual(last);
          expect(end).toBeGreaterThan(start);
          last = end;
        }
        expect(last).toBeLessThanOrEqual(text.length);
      }),
    );
  });
});
