// One answer for a whole batch (HL7 v2.5.1 section 2.10.3): BHS, the answers of its messages, BTS.
// Pure: the same batch and answers give the same bytes.
import { readDelimiters } from './delimiters.ts';
import { visitLines } from './lines.ts';

/** The header of a received batch, seen as latin1: BHS, else FHS; undefined = neither. */
export function peekBatchHeader(bytes: Uint8Array): string | undefined {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let header: string | undefined;
  visitLines(buffer.toString('latin1', 0, HEADER_BYTES_MAX), ({ text }) => {
    const name = text.slice(0, 3);
    if (name === 'FHS' || name === 'BHS') header = text;
    return name === 'FHS';
  });
  return header;
}

/** Where the batch header must be found: a file header and its batch header are the first lines. */
const HEADER_BYTES_MAX = 16_384;

/**
 * The batch of `answers`, in their order; undefined when there are none. `at` (ISO 8601 in UTC) is
 * BHS-7, `controlId` BHS-11; BHS-12 is the received BHS-11. `notes` (what did not match, no patient
 * data) are BTS-2. A header whose delimiters cannot be used is answered with the usual ones.
 */
export function writeBatchAnswer(
  received: string,
  answers: readonly Uint8Array[],
  { at, controlId, notes }: { at: string; controlId: string; notes: readonly string[] },
): Uint8Array | undefined {
  if (answers.length === 0) return undefined;
  const { delimiters, issues } = readDelimiters(received);
  const usable =
    !issues.some(({ severity }) => severity === 'error') && !/[\x0b\x1c]/.test(received);
  const separator = usable ? delimiters.field : '|';
  const encoding = usable ? (received.split(separator)[1] ?? '') : '^~\\&';
  const fields = usable ? received.split(separator) : [];
  // BHS-1 is the separator itself: field n stands at n - 1.
  const echo = (n: number) => fields[n - 1] ?? '';
  const time = `${at.replace(/[-:TZ]/g, '')}+0000`;
  const header = [`BHS`, encoding, echo(5), echo(6), echo(3), echo(4), time];
  const ids = ['', '', '', controlId, echo(11)];
  const told = notes
    .join(' ')
    .replaceAll(/[^ A-Za-z0-9.,;:-]/g, ' ')
    .slice(0, COMMENT_MAX);
  const trailer = ['BTS', String(answers.length), ...(told === '' ? [] : [told])];
  return Buffer.concat([
    Buffer.from(`${trimEnd([...header, ...ids]).join(separator)}\r`, 'latin1'),
    ...answers.map(withEnd),
    Buffer.from(`${trailer.join(separator)}\r`, 'latin1'),
  ]);
}

/** BTS-2 has 80 characters in v2.5.1; later versions have no bound. */
const COMMENT_MAX = 240;

function trimEnd(fields: string[]): string[] {
  const last = fields.findLastIndex((field) => field !== '');
  return fields.slice(0, last + 1);
}

function withEnd(answer: Uint8Array): Uint8Array {
  return answer.at(-1) === 13 ? answer : Buffer.concat([answer, Buffer.from('\r')]);
}
