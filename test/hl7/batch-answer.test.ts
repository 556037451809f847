// One batch of answers to a batch.
import { describe, expect, it } from 'vitest';
import { peekBatchHeader, writeBatchAnswer } from '../../src/hl7/batch-answer.ts';

const CONTEXT = { at: '2024-01-01T12:00:00.000Z', controlId: 'OWN', notes: [] };
const ACKS = ['MSH|^~\\&|X\rMSA|AA|1\r', 'MSH|^~\\&|X\rMSA|AE|2'].map((text) => Buffer.from(text));

function answer(header: string, notes: string[] = [], acks = ACKS): string | undefined {
  const batch = writeBatchAnswer(header, acks, { ...CONTEXT, notes });
  return batch && Buffer.from(batch).toString('latin1');
}

describe('peekBatchHeader', () => {
  it.each([
    ['BHS|^~\\&|A\rMSH|x\rBTS|1\r', 'BHS|^~\\&|A'],
    ['\x0b\nBHS|^~\\&|A\nMSH|x', 'BHS|^~\\&|A'],
    ['FHS|^~\\&|F\rBHS|^~\\&|B\rMSH|x', 'BHS|^~\\&|B'],
    ['FHS|^~\\&|F\rMSH|x', 'FHS|^~\\&|F'],
    ['MSH|x\rBHS|^~\\&|late\r', undefined],
    ['', undefined],
  ])('of %j', (text, header) => {
    expect(peekBatchHeader(Buffer.from(text))).toBe(header);
  });
});

describe('writeBatchAnswer', () => {
  it('turns the header round, names the batch that it answers, and counts', () => {
    const header = 'BHS|^~\\&|APP|FAC|RAPP|RFAC|2023||name|comment|B77';
    expect(answer(header)).toBe(
      'BHS|^~\\&|RAPP|RFAC|APP|FAC|20240101120000.000+0000||||OWN|B77\r' +
        'MSH|^~\\&|X\rMSA|AA|1\rMSH|^~\\&|X\rMSA|AE|2\rBTS|2\r',
    );
  });

  it('uses the delimiters of the batch, and the usual ones where they cannot be used', () => {
    expect(answer('BHS#!~\\&#A#B')).toMatch(/^BHS#!~\\&###A#B#2024[^\r]*#OWN\r[\s\S]*\rBTS#2\r$/);
    for (const header of ['BHS', 'BHS|', 'BHS|^^^^|A', 'BHS|^~\\&|\x1c']) {
      expect(answer(header)).toMatch(/^BHS\|\^~\\&\|\|\|\|\|2024/);
    }
  });

  it('tells what did not match in BTS-2, without delimiters', () => {
    const told = answer('BHS|^~\\&', ['BTS-1: It declares 7 and 2 were found.', 'a|b']);
    expect(told).toMatch(/\rBTS\|2\|BTS-1: It declares 7 and 2 were found\. a b\r$/);
  });

  it('is nothing where nobody wants an answer', () => {
    expect(answer('BHS|^~\\&', [], [])).toBeUndefined();
  });
});
