// HL7 v2 escape sequences (section 2.7): decoding at the leaf, and escaping of text that is built
// into a message. Unknown and local (\Z..\) sequences stay as they are.
import { EngineError } from '../model/errors.ts';
import type { Delimiters } from './delimiters.ts';

/** Decodes the escapes of one leaf once. Highlighting and layout commands without text vanish. */
export function decodeEscapes(leaf: string, delimiters: Delimiters): string {
  const mark = delimiters.escape;
  if (mark === '' || !leaf.includes(mark)) return leaf;
  return decodeSequences(leaf, delimiters);
}

/**
 * Escapes delimiters, control characters and the null `""`, so that text stays data wherever it is
 * put: `decodeEscapes(escapeText(text)) === text`. Throws INVALID_CONTENT when it needs an escape
 * and the message declares no escape character.
 */
export function escapeText(text: string, delimiters: Delimiters): string {
  let out = '';
  let from = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text === '""' ? hex(text.charCodeAt(i)) : sequenceFor(text, i, delimiters);
    if (code === undefined) continue;
    if (delimiters.escape === '') throw new EngineError('INVALID_CONTENT', NO_ESCAPE);
    out += text.slice(from, i) + delimiters.escape + code + delimiters.escape;
    from = i + 1;
  }
  return from === 0 ? text : out + text.slice(from);
}

const NO_ESCAPE = 'The text holds a delimiter and the message declares no escape character.';
const REPEAT_MAX = 200;

function sequenceFor(text: string, i: number, delimiters: Delimiters): string | undefined {
  const character = text[i];
  if (character === delimiters.escape) return 'E';
  if (character === delimiters.field) return 'F';
  if (character === delimiters.component) return 'S';
  if (character === delimiters.subcomponent) return 'T';
  if (character === delimiters.repetition) return 'R';
  const code = text.charCodeAt(i);
  return code < 0x20 && code !== 9 ? hex(code) : undefined;
}

function hex(code: number): string {
  return `X${code.toString(16).toUpperCase().padStart(2, '0')}`;
}

function decodeSequences(leaf: string, delimiters: Delimiters): string {
  const mark = delimiters.escape;
  let out = '';
  let copied = 0;
  let switched = false;
  for (let start = leaf.indexOf(mark); start >= 0; ) {
    const end = leaf.indexOf(mark, start + 1);
    if (end < 0) break;
    const body = leaf.slice(start + 1, end);
    const decoded = body === '' ? undefined : decodeOne(body, delimiters);
    if (decoded === undefined) {
      // Not a sequence: the character stays, and the next one may open a sequence.
      start = end;
      continue;
    }
    switched ||= decoded.charCodeAt(0) === 0x1b && body[0] !== 'X';
    out += leaf.slice(copied, start) + decoded;
    copied = end + 1;
    start = leaf.indexOf(mark, copied);
  }
  out += leaf.slice(copied);
  return switched ? (decodeSwitched(out) ?? leaf) : out;
}

function decodeOne(body: string, delimiters: Delimiters): string | undefined {
  switch (body) {
    case 'F':
      return delimiters.field;
    case 'S':
      return delimiters.component;
    case 'T':
      return delimiters.subcomponent || '&';
    case 'R':
      return delimiters.repetition || '~';
    case 'E':
      return delimiters.escape;
    case 'P':
      return delimiters.truncation || '#';
    case 'H':
    case 'N':
      return '';
  }
  if (body[0] === '.') return decodeLayout(body);
  if (body[0] === 'X') return decodeHex(body.slice(1));
  if (/^(C[0-9A-F]{4}|M[0-9A-F]{4,6})$/i.test(body)) return `\x1b${hexBytes(body.slice(1))}`;
  if (/^Z[^\s]{0,32}$/.test(body)) return `${delimiters.escape}${body}${delimiters.escape}`;
  return undefined;
}

/** Formatted text commands, section 2.7.6. */
function decodeLayout(body: string): string | undefined {
  const match = /^\.(br|sp|sk|ce|fi|nf|in|ti)([+-]?\d{1,4})?$/i.exec(body);
  if (match === null) return undefined;
  const count = Math.min(Math.max(Number(match[2] ?? 1), 1), REPEAT_MAX);
  switch (match[1]?.toLowerCase()) {
    case 'br':
    case 'ce':
      return '\n';
    case 'sp':
      return '\n'.repeat(count);
    case 'sk':
      return ' '.repeat(count);
    default:
      return '';
  }
}

/** Hex bytes are UTF-8 where they are valid UTF-8, else ISO 8859-1. */
function decodeHex(digits: string): string | undefined {
  if (digits.length === 0 || digits.length % 2 === 1 || !/^[0-9A-F]+$/i.test(digits)) {
    return undefined;
  }
  const bytes = Buffer.from(digits, 'hex');
  const text = bytes.toString('utf8');
  return text.includes('\ufffd') ? bytes.toString('latin1') : text;
}

function hexBytes(digits: string): string {
  return Buffer.from(digits, 'hex').toString('latin1');
}

/** \C..\ and \M..\ switch to another ISO 2022 set; the Japanese ones can be decoded. */
function decodeSwitched(text: string): string | undefined {
  if (/[^\x00-\x7f]/.test(text)) return undefined;
  const decoded = new TextDecoder('iso-2022-jp').decode(Buffer.from(text, 'latin1'));
  return decoded.includes('\ufffd') || decoded.includes('\x1b') ? undefined : decoded;
}
