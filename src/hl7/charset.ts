// Bytes <-> text by the charset of MSH-18 (HL7 table 0211), and what to do where it is not true.
// The bytes themselves are kept as received by others.
import { isAscii, isUtf8 } from 'node:buffer';
import { EngineError } from '../model/errors.ts';
import type { Issue } from '../model/issue.ts';
import { tableOf } from '../model/table.ts';
import { peekMsh } from './msh.ts';
import { issueAt } from './path.ts';

/** A charset that can be read: 'ascii', 'utf-8', 'iso-8859-1' .. or a multi-byte one. */
export type Charset = string;

export interface Decoded {
  text: string;
  /** What the text was read as. */
  charset: Charset;
  issues: Issue[];
}

/**
 * Decodes a message by its own MSH-18, else by `fallback` (a table 0211 name of the channel).
 * Where the bytes contradict the declaration: invalid UTF-8 is read as the fallback or ISO 8859-1,
 * UTF-8 declared as ASCII is read as UTF-8, both with a warning. A BOM stays in the text.
 */
export function decodeMessage(bytes: Uint8Array, fallback = 'UNICODE UTF-8'): Decoded {
  return decodeAs(bytes, peekMsh(bytes)?.fields[17] ?? '', fallback);
}

/** The same where MSH-18 is known already: `declared` is the field as received. */
export function decodeAs(bytes: Uint8Array, declared: string, fallback: string): Decoded {
  const { charset, issues } = chooseCharset(declared, fallback);
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (!SHIFTING.has(charset) && isAscii(buffer)) {
    return { text: buffer.toString('latin1'), charset, issues };
  }
  const actual = chooseActual(buffer, charset, charsetOf(fallback));
  if (actual !== charset) {
    const text = `The bytes are not ${charset}; they were read as ${actual}.`;
    issues.push(issueAt('MSH-18', 'warning', 'value', text));
  }
  const text = decodeBytes(buffer, actual);
  if (actual !== 'utf-8' && text.includes('\ufffd')) {
    const lost = `Some bytes mean nothing in ${actual}.`;
    issues.push(issueAt('MSH-18', 'warning', 'value', lost));
  }
  return { text, charset: actual, issues };
}

/**
 * The charset of one table 0211 name or usual alias; undefined = not known. `''` is undefined.
 */
export function charsetOf(name: string): Charset | undefined {
  const key = name.toUpperCase().replace(/[\s_/-]/g, '');
  if (key === '') return undefined;
  const part = /^(?:ISO)?8859(\d{1,2})$/.exec(key)?.[1];
  if (part !== undefined) return PARTS.has(Number(part)) ? `iso-8859-${Number(part)}` : undefined;
  return NAMES[key];
}

/** Whether ASCII bytes always mean ASCII characters, so that delimiters can be found in bytes. */
export function isTransparent(declared: string, fallback: string): boolean {
  if (declared === '' && fallback === 'UNICODE UTF-8') return true;
  return !MULTIBYTE.has(chooseCharset(declared, fallback).charset);
}

/**
 * Encodes text. Throws INVALID_CONTENT when a character does not exist in the charset, or when it
 * is a multi-byte charset other than UTF-8 and the text is not ASCII.
 */
export function encodeText(text: string, charset: Charset): Uint8Array {
  if (charset === 'utf-8') return Buffer.from(text, 'utf8');
  const bytes = Buffer.alloc(text.length);
  const table = charset.startsWith('iso-8859-') ? encodingTable(charset) : undefined;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    const byte = code < 0x80 ? code : table?.get(code);
    if (byte === undefined) {
      throw new EngineError('INVALID_CONTENT', `A character does not exist in ${charset}.`);
    }
    bytes[i] = byte;
  }
  return bytes;
}

const PARTS = new Set([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 16]);
/** ASCII bytes may be shifted to mean something else. */
const SHIFTING = new Set(['iso-2022-jp']);
const MULTIBYTE = new Set(['iso-2022-jp', 'shift_jis', 'gb18030', 'big5', 'euc-kr']);

const NAMES: Record<string, Charset> = tableOf({
  ASCII: 'ascii',
  USASCII: 'ascii',
  ISOIR6: 'ascii',
  UNICODEUTF8: 'utf-8',
  UTF8: 'utf-8',
  UNICODE: 'utf-8',
  ISOIR192: 'utf-8',
  LATIN1: 'iso-8859-1',
  ISOIR100: 'iso-8859-1',
  LATIN2: 'iso-8859-2',
  ISOIR101: 'iso-8859-2',
  LATIN9: 'iso-8859-15',
  WINDOWS1252: 'windows-1252',
  CP1252: 'windows-1252',
  ISOIR13: 'iso-2022-jp',
  ISOIR14: 'iso-2022-jp',
  ISOIR87: 'iso-2022-jp',
  ISOIR159: 'iso-2022-jp',
  ISO2022JP: 'iso-2022-jp',
  SHIFTJIS: 'shift_jis',
  GB180302000: 'gb18030',
  GB18030: 'gb18030',
  BIG5: 'big5',
  KSX1001: 'euc-kr',
});

/** Later repetitions of MSH-18 name further sets that ISO 2022 escapes switch to. */
function chooseCharset(declared: string, fallback: string): { charset: Charset; issues: Issue[] } {
  const other = charsetOf(fallback) ?? 'utf-8';
  if (declared === '' || declared === '""') return { charset: other, issues: [] };
  const direct = charsetOf(declared);
  if (direct !== undefined) return { charset: direct, issues: [] };
  const sets = declared.split(/[~^]/).map(charsetOf);
  const shifting = sets.find((set) => set !== undefined && SHIFTING.has(set));
  const charset = shifting ?? sets[0];
  if (charset !== undefined) return { charset, issues: [] };
  const text = `The charset is not known; ${other} was assumed.`;
  return { charset: other, issues: [issueAt('MSH-18', 'warning', 'not-supported', text)] };
}

/** Of bytes that are not all ASCII (or shifting). */
function chooseActual(bytes: Buffer, charset: Charset, fallback: Charset | undefined): Charset {
  if (charset === 'utf-8') return isUtf8(bytes) ? charset : singleByte(fallback);
  if (charset === 'ascii') return isUtf8(bytes) ? 'utf-8' : singleByte(fallback);
  if (SHIFTING.has(charset) && !isAscii(bytes)) {
    return isUtf8(bytes) ? 'utf-8' : singleByte(fallback);
  }
  return charset;
}

function singleByte(fallback: Charset | undefined): Charset {
  return fallback === undefined || fallback === 'utf-8' || fallback === 'ascii'
    ? 'iso-8859-1'
    : fallback;
}

function decodeBytes(bytes: Buffer, charset: Charset): string {
  if (charset === 'iso-8859-1') return bytes.toString('latin1');
  if (charset === 'utf-8') return new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
  if (!charset.startsWith('iso-8859-')) return new TextDecoder(charset).decode(bytes);
  const table = decodingTable(charset);
  let text = '';
  for (let i = 0; i < bytes.length; i += 4096) {
    const codes = Array.from(bytes.subarray(i, i + 4096), (byte) => table[byte] ?? 0xfffd);
    text += String.fromCharCode(...codes);
  }
  return text;
}

/** Of an ISO 8859 part: 80..9F are control characters, unlike in the Windows sets of that name. */
function decodingTable(charset: Charset): number[] {
  const upper = new Uint8Array(1);
  const decoder = new TextDecoder(charset);
  return Array.from({ length: 256 }, (_, byte) => {
    if (byte < 0xa0 || charset === 'iso-8859-1') return byte;
    upper[0] = byte;
    return decoder.decode(upper).charCodeAt(0);
  });
}

function encodingTable(charset: Charset): Map<number, number> {
  const table = decodingTable(charset);
  return new Map(table.flatMap((code, byte) => (code === 0xfffd ? [] : [[code, byte]])));
}
