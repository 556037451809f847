// The public HL7v2 samples beside the project, and an account of a message that shares no code with
// the engine: which fields of which segments hold something.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const FOLDER = '../shared/data/hl7v2';

/** '' where they are there, else why the tests that need them are skipped. */
export const SAMPLES_ABSENT = existsSync(join(FOLDER, 'index.csv'))
  ? ''
  : ' (skipped: ../shared/data is absent)';

export interface Sample {
  path: string;
  /** As index.csv tells: `ADT^A01`, `(no MSH)`. */
  type: string;
  bytes: Buffer;
}

export function readSamples(): Sample[] {
  if (SAMPLES_ABSENT !== '') return [];
  const lines = readFileSync(join(FOLDER, 'index.csv'), 'utf8').split(/\r?\n/).slice(1);
  return lines
    .filter((line) => line !== '')
    .map((line) => {
      const [path = '', type = ''] = line.split(',');
      return { path, type, bytes: readFileSync(join(FOLDER, path)) };
    });
}

/**
 * `PID-5`, `OBX[2]-5` (the third one): every field that holds something, of a message with the
 * usual delimiters; undefined for any other.
 */
export function fieldsOf(raw: string): Set<string> | undefined {
  if (!raw.startsWith('MSH|^~\\&|')) return undefined;
  const found = new Set<string>();
  const seen = new Map<string, number>();
  for (const line of raw.split(/\r\n|\r|\n/)) {
    const fields = line.split('|');
    const name = fields[0] ?? '';
    if (!/^[A-Z][A-Z0-9]{2}$/.test(name)) continue;
    const before = seen.get(name) ?? 0;
    seen.set(name, before + 1);
    const place = before === 0 ? name : `${name}[${before}]`;
    const first = name === 'MSH' ? 2 : 1;
    for (const [index, text] of fields.slice(first).entries()) {
      // Separators alone carry nothing.
      const number = index + first + (name === 'MSH' ? 1 : 0);
      if (text.replace(/[\^&~\s]/g, '') !== '') found.add(`${place}-${number}`);
    }
  }
  return found;
}

/** `OBX[2]-5[1].1` and `OBX[2]-5` are of the field `OBX[2]-5`. */
export function fieldOf(place: string): string {
  return /^[A-Z][A-Z0-9]{2}(\[\d+\])?-\d+/.exec(place)?.[0] ?? place;
}

let count = 0;

/** The sample with another MSH-10: many of them share one, and a used id is refused. */
export function withOwnId({ bytes }: Sample): Uint8Array {
  const text = bytes.toString('latin1');
  if (!text.startsWith('MSH') || text.split(/[\r\n]MSH/).length !== 1) return bytes;
  const separator = text.charAt(3);
  const end = /[\r\n]|$/.exec(text)?.index ?? text.length;
  const fields = text.slice(0, end).split(separator);
  if (fields.length < 10 || fields[9] === '') return bytes;
  count += 1;
  fields[9] = `SAMPLE${count}`;
  return Buffer.from(fields.join(separator) + text.slice(end), 'latin1');
}
