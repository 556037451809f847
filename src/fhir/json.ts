// Owns JSON text <-> data for FHIR: bounded depth, valid UTF-8, and decimals kept as they were
// written (R4 json.html#decimal: 1.50 is not 1.5).
import { isUtf8 } from 'node:buffer';
import { EngineError } from '../model/errors.ts';

/** Levels of objects and arrays; FHIR data is rarely deeper than 12. */
export const JSON_DEPTH_MAX = 64;

/**
 * Parses a JSON text. Of duplicate keys the last one counts; `__proto__` becomes an ordinary own
 * key, which validation refuses. Throws BAD_REQUEST (no JSON, not UTF-8, too deep), never with a
 * piece of the text.
 */
export function parseJson(input: string | Buffer, depthMax: number = JSON_DEPTH_MAX): unknown {
  const text = typeof input === 'string' ? input : decode(input);
  if (isDeeper(text, depthMax)) {
    throw new EngineError('BAD_REQUEST', `The JSON is nested deeper than ${depthMax} levels.`);
  }
  try {
    return LOSSY.test(text) ? JSON.parse(text, keepSource as Reviver) : JSON.parse(text);
  } catch {
    // The cause quotes the text, which may be patient data.
    throw new EngineError('BAD_REQUEST', 'The body is not JSON.');
  }
}

type Reviver = (this: unknown, key: string, value: unknown) => unknown;

/** A member whose number may read back differently: 1.50, 1e3, more than 15 digits. */
const LOSSY = /"\s*:\s*-?\d+(?:\.\d*0(?!\d)|(?:\.\d+)?[eE]|\d{15}|\.\d{15})/;

function decode(bytes: Buffer): string {
  if (!isUtf8(bytes)) throw new EngineError('BAD_REQUEST', 'The body is not UTF-8.');
  const text = bytes.toString('utf8');
  return text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
}

/** Counts brackets outside of strings. */
function isDeeper(text: string, depthMax: number): boolean {
  let depth = 0;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c === 0x22) i = endOfString(text, i);
    else if (c === 0x7b || c === 0x5b) {
      if (++depth > depthMax) return true;
    } else if (c === 0x7d || c === 0x5d) depth--;
  }
  return false;
}

function endOfString(text: string, start: number): number {
  let i = start + 1;
  while (i < text.length) {
    const c = text.charCodeAt(i);
    if (c === 0x22) return i;
    i += c === 0x5c ? 2 : 1;
  }
  return i;
}

function keepSource(
  this: Record<string, unknown>,
  key: string,
  value: unknown,
  context: { source?: string },
): unknown {
  const { source } = context;
  const isChanged = typeof value === 'number' && source !== undefined && source !== String(value);
  if (isChanged && !Array.isArray(this)) keepDecimal(this, key, source);
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
  if (known) known[key] = text;
  else if (!Object.hasOwn(holder, 'toJSON')) {
    Object.defineProperty(holder, SOURCES, { value: { [key]: text } });
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

function writeHolder(this: Holder): Record<string, unknown> {
  const copy: Record<string, unknown> = { ...this };
  for (const [key, text] of Object.entries(this[SOURCES] ?? {})) {
    if (copy[key] === Number(text)) copy[key] = rawJson(text);
  }
  return copy;
}

/** JSON.rawJSON (ES2026, Node 22) is not in the compiler's library yet. */
function rawJson(text: string): unknown {
  return (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON(text);
}
