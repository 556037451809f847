// Messages made from files: as they are, or as templates in which {{ID}} is a fresh control id and
// {{PID}} one of N patients. Files are handled byte for byte (latin1 keeps every byte), whatever
// their character set is.
import { readFileSync } from 'node:fs';

/** Makes the next message; `id` is its MSH-10. */
export type Template = (sequence: number) => { id: string; bytes: Uint8Array };

export interface TemplateOptions {
  /** Makes the control ids of this run its own. */
  run: string;
  /** Number of distinct {{PID}}. */
  patients: number;
  /** A message without {{ID}} gets a fresh MSH-10. */
  newIds: boolean;
  /** Segments that end in LF or CRLF are sent with CR, as HL7 v2.5.1 section 2.6 asks. */
  cr: boolean;
}

const PLACEHOLDER = /(\{\{ID\}\}|\{\{PID\}\})/;

export function readTemplate(file: string, options: TemplateOptions): Template {
  return makeTemplate(readFileSync(file, 'latin1'), options);
}

/** What the options do not name is sent as it stands, byte for byte. */
export function makeTemplate(text: string, options: TemplateOptions): Template {
  const { run, patients, newIds, cr } = options;
  const ended = cr ? endWithCr(text) : text;
  const whole = newIds && !ended.includes('{{ID}}') ? replaceControlId(ended) : ended;
  const parts = whole.split(PLACEHOLDER);
  const fixed = whole.includes('{{ID}}') ? undefined : controlIdOf(whole);
  return (sequence) => {
    const id = run + sequence.toString(36).padStart(6, '0');
    const patient = `P${100_000 + ((sequence * 7_919) % patients)}`;
    const fill = (part: string): string =>
      part === '{{ID}}' ? id : part === '{{PID}}' ? patient : part;
    return { id: fixed ?? id, bytes: Buffer.from(parts.map(fill).join(''), 'latin1') };
  };
}

/** A prefix that no other run on this machine has had lately. */
export function makeRun(now: number): string {
  return now.toString(36).slice(-5) + (process.pid % 46_656).toString(36);
}

function endWithCr(text: string): string {
  return `${text.replace(/\r\n|\n/g, '\r').replace(/\r+$/, '')}\r`;
}

function controlIdOf(text: string): string {
  return segmentFields(text, 'MSH')[9] ?? '';
}

function replaceControlId(text: string): string {
  const start = text.indexOf('MSH');
  const separator = text[start + 3];
  if (start < 0 || separator === undefined) return text;
  const length = text.slice(start).search(/[\r\n]/);
  const end = length < 0 ? text.length : start + length;
  const fields = text.slice(start, end).split(separator);
  while (fields.length < 10) fields.push('');
  fields[9] = '{{ID}}';
  return text.slice(0, start) + fields.join(separator) + text.slice(end);
}

/** How many answers the message asks for (MSH-15 and MSH-16; HL7 v2.5.1 section 2.9.2). */
export function answersWanted(message: Uint8Array): number {
  const fields = segmentFields(Buffer.from(message).toString('latin1'), 'MSH');
  const [accept, application] = [fields[14] ?? '', fields[15] ?? ''];
  if (accept === '' && application === '') return 1;
  return [accept, application].filter((wish) => wish === 'AL' || wish === 'SU').length;
}

export interface Acknowledgement {
  code: AckCode;
  /** MSA-2 is the control id that was sent. */
  matches: boolean;
  /** ERR-8 or MSA-3 of a refusal. */
  reason: string;
  /** The whole answer, a segment a line. */
  text: string;
}

export const ACK_CODES = ['AA', 'CA', 'AE', 'AR', 'CE', 'CR', 'none'] as const;
export type AckCode = (typeof ACK_CODES)[number];

export function readAcknowledgement(bytes: Uint8Array, id: string): Acknowledgement {
  const text = Buffer.from(bytes).toString('utf8');
  const msa = segmentFields(text, 'MSA');
  const err = segmentFields(text, 'ERR');
  const code = ACK_CODES.find((known) => known === msa[1]) ?? 'none';
  const reason = err[8] || err[7] || msa[3] || '';
  const lines = text.split(/[\r\n]+/).filter((line) => line !== '');
  return { code, matches: msa[2] === id, reason, text: lines.join('\n') };
}

export function isPositive(code: AckCode): boolean {
  return code === 'AA' || code === 'CA';
}

function segmentFields(text: string, name: string): string[] {
  const separator = text[text.indexOf('MSH') + 3] ?? '|';
  const line = text.split(/[\r\n]+/).find((one) => one.startsWith(name + separator));
  return line?.split(separator) ?? [];
}
