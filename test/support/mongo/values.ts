// BSON values: their order as one comparable string per value, and deep copies. Knows no index.
// Numbers of all BSON types are one JavaScript number here; strings compare by UTF-16 unit.
import { Binary, Decimal128, Long, MaxKey, MinKey, ObjectId, Timestamp } from 'mongodb';

export type Doc = Record<string, unknown>;

/** Greater than every continuation of a prefix: the end of "all keys that begin so". */
export const TOP = '\uffff';
export const NULL_KEY = '\u0005';
export const EMPTY_ARRAY_KEY = '\u0003';

const bits = new DataView(new ArrayBuffer(8));

export function isDoc(value: unknown): value is Doc {
  return value !== null && typeof value === 'object' && Object.getPrototypeOf(value) === PLAIN;
}
const PLAIN = Object.prototype;

/** Strings that compare as the BSON values do: null < numbers < string < object < array < ... */
export function encode(value: unknown): string {
  switch (typeof value) {
    case 'number':
      return `\u000a${encodeNumber(value)}`;
    case 'string':
      return `\u0010${encodeText(value)}`;
    case 'boolean':
      return value ? '\u0030\u0002' : '\u0030\u0001';
    case 'bigint':
      return `\u000a${encodeNumber(Number(value))}`;
    case 'undefined':
      return NULL_KEY;
    default:
      return encodeObject(value);
  }
}

/** Prefix of all values of the same type, for bounds that are open at one side. */
export function typePrefix(value: unknown): string {
  return encode(value).slice(0, 1);
}

/** The mirror image of an encoded value: it compares the other way round. */
export function invert(key: string): string {
  let out = '';
  for (let at = 0; at < key.length; at++) out += String.fromCharCode(0xffff - key.charCodeAt(at));
  return out;
}

function encodeObject(value: unknown): string {
  if (value === null) return NULL_KEY;
  if (Array.isArray(value)) return `\u0018${value.map(encode).join('')}\u0000`;
  if (value instanceof Date) return `\u0034${encodeNumber(value.getTime())}`;
  if (value instanceof ObjectId) return `\u002c${value.toHexString()}`;
  if (value instanceof Binary) return encodeBinary(value);
  if (value instanceof Timestamp) return `\u0038${encodeNumber(Number(value.toBigInt()))}`;
  if (value instanceof Long) return `\u000a${encodeNumber(value.toNumber())}`;
  if (value instanceof Decimal128) return `\u000a${encodeNumber(Number(value.toString()))}`;
  if (value instanceof RegExp) return `\u0040${encodeText(`${value.source}/${value.flags}`)}`;
  if (value instanceof MinKey) return '\u0001';
  if (value instanceof MaxKey) return '\ufff0';
  const parts = Object.entries(value as Doc).map(([name, inner]) => {
    const key = encode(inner);
    return `${key.slice(0, 1)}${encodeText(name)}${key}`;
  });
  return `\u0014${parts.join('')}\u0000`;
}

function encodeBinary(value: Binary): string {
  const length = value.length();
  const text = Buffer.from(value.buffer.subarray(0, length)).toString('latin1');
  const size = String.fromCharCode(length >>> 16, length & 0xffff);
  return `\u0028${size}${String.fromCharCode(value.sub_type)}${text}`;
}

function encodeNumber(value: number): string {
  if (Number.isNaN(value)) return '\u0000\u0000\u0000\u0000';
  bits.setFloat64(0, value === 0 ? 0 : value);
  const flip = (bits.getUint16(0) & 0x8000) === 0 ? 0 : 0xffff;
  const high = bits.getUint16(0) ^ flip;
  return String.fromCharCode(
    flip === 0 ? high | 0x8000 : high,
    bits.getUint16(2) ^ flip,
    bits.getUint16(4) ^ flip,
    bits.getUint16(6) ^ flip,
  );
}

function encodeText(text: string): string {
  const safe = text.includes('\u0000') ? text.replaceAll('\u0000', '\u0000\u0001') : text;
  return `${safe}\u0000\u0000`;
}

/** Copies documents and arrays; BSON values (Binary, Date, ...) are never changed, so shared. */
export function clone<T>(value: T): T {
  if (Array.isArray(value)) return value.map((item) => clone(item)) as T;
  if (!isDoc(value)) return value;
  const copy: Doc = {};
  for (const [name, inner] of Object.entries(value)) copy[name] = clone(inner);
  return copy as T;
}

/** The value at a dotted path; arrays are not entered. */
export function valueAt(doc: Doc, path: string): unknown {
  let value: unknown = doc;
  for (const part of path.split('.')) {
    if (!isDoc(value)) return undefined;
    value = value[part];
  }
  return value;
}

/** All values a query on this path looks at: array elements, and the array itself. */
export function valuesAt(doc: Doc, path: string): unknown[] {
  let found: unknown[] = [doc];
  for (const part of path.split('.')) {
    found = found.flatMap((value) => step(value, part));
  }
  return found.flatMap((value) => (Array.isArray(value) ? [value, ...value] : [value]));
}

function step(value: unknown, part: string): unknown[] {
  if (Array.isArray(value)) {
    const at = /^\d+$/.test(part) ? [value[Number(part)]] : [];
    return [...at, ...value.filter(isDoc).map((inner) => inner[part])];
  }
  return isDoc(value) ? [value[part]] : [undefined];
}
