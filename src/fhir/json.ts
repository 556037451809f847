// Owns JSON text <-> data: the one reader of JSON from outside, and decimals kept as they were
// written (R4 json.html#decimal: 1.50 is not 1.5). What a text must keep to is json-check.ts.
import { isUtf8 } from 'node:buffer';
import { EngineError } from '../model/errors.ts';
import { checkJson, jsonFault, syntaxFault } from './json-check.ts';

/** Levels of objects and arrays; FHIR data is rarely deeper than 12. */
export const DEPTH_DEFAULT = 64;

/**
 * Parses a JSON text from outside. Throws BAD_REQUEST with line and column, never with a piece of
 * the text: no JSON, not UTF-8, too deep, a member named twice or `__proto__`, half a surrogate, a
 * number that no double can hold. A byte order mark is skipped (RFC 8259 section 8.1).
 */
export function parseJson(input: string | Buffer, depthMax: number = DEPTH_DEFAULT): unknown {
  const text = typeof input === 'string' ? checkText(input) : decode(input);
  const { lossy } = checkJson(text, depthMax);
  try {
    return lossy ? JSON.parse(text, keepSource as Reviver) : JSON.parse(text);
  } catch {
    // The cause quotes the text, which may be patient data.
    throw syntaxFault(text);
  }
}

/** Parses a text that Artery wrote itself; decimals stay as they were. Throws STORE_CORRUPT. */
export function parseOwnJson(text: string): unknown {
  try {
    return LOSSY.test(text) ? JSON.parse(text, keepSource as Reviver) : JSON.parse(text);
  } catch {
    throw new EngineError('STORE_CORRUPT', 'A stored text is not JSON.');
  }
}

type Reviver = (this: unknown, key: string, value: unknown) => unknown;

/** A number that may read back differently: 1.50, 1e3, -0, more than 15 digits. */
const LOSSY = /[:[,]\s*-?\d+(?:\.\d*0(?!\d)|(?:\.\d+)?[eE]|\d{15}|\.\d{15})|[:[,]\s*-0(?![.\d])/;

function checkText(text: string): string {
  const bare = text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
  if (bare.isWellFormed()) return bare;
  throw jsonFault(bare, bare.search(/\p{Surrogate}/u), 'A text holds half a surrogate');
}

function decode(bytes: Buffer): string {
  if (!isUtf8(bytes)) throw new EngineError('BAD_REQUEST', 'The body is not UTF-8.');
  const text = bytes.toString('utf8');
  return text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
}

function keepSource(
  this: object,
  key: string,
  value: unknown,
  context: { source?: string },
): unknown {
  const { source } = context;
  if (typeof value === 'number' && source !== undefined && source !== String(value)) {
    keepDecimal(this, key, source);
  }
  return value;
}

const SOURCES = Symbol('decimal sources');

interface Holder {
  [SOURCES]?: Record<string, string>;
  [key: string]: unknown;
}

/**
 * Lets `holder[key]`, a number, be written as `text` by JSON.stringify for as long as it has that
 * value: `keepDecimal(quantity, 'value', '1.50')`. Nothing enumerable is added; a spread or a
 * structured clone of the holder forgets it (see copyDecimals). `text` must be a JSON number.
 */
export function keepDecimal(holder: object, key: string, text: string): void {
  const known = (holder as Holder)[SOURCES];
  if (known !== undefined) known[key] = text;
  else if (!Object.hasOwn(holder, 'toJSON')) {
    const value = Object.assign(Object.create(null), { [key]: text });
    Object.defineProperty(holder, SOURCES, { value });
    Object.defineProperty(holder, 'toJSON', { value: writeHolder });
  }
}

/** Carries what keepDecimal noted over to a copy of the holder: `copyDecimals(old, { ...old })`. */
export function copyDecimals<T extends object>(from: object, into: T): T {
  for (const [key, text] of Object.entries((from as Holder)[SOURCES] ?? {})) {
    keepDecimal(into, key, text);
  }
  return into;
}

/**
 * The number at `holder[key]` with every digit as it was written, without an exponent where that
 * loses nothing: 1.50, 12345678901234567890, 1000 for 1e3.
 */
export function numberText(holder: object, key: string): string {
  const value = (holder as Holder)[key];
  const written = (holder as Holder)[SOURCES]?.[key];
  if (written === undefined || value !== Number(written)) return String(value);
  return /[eE]/.test(written) ? String(value) : written;
}

function writeHolder(this: Holder): Record<string, unknown> | unknown[] {
  const copy = (Array.isArray(this) ? [...this] : { ...this }) as Record<string, unknown>;
  for (const [key, text] of Object.entries(this[SOURCES] ?? {})) {
    if (copy[key] === Number(text)) copy[key] = rawJson(text);
  }
  return copy;
}

/** JSON.rawJSON (ES2026, Node 22) is not in the compiler's library yet. */
function rawJson(text: string): unknown {
  return (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON(text);
}
