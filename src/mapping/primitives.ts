// The built-in conversions of a text to a FHIR primitive (the `as` of a row). Pure; what cannot be
// converted is undefined, and the caller says where it stood.

import { tableOf } from '../model/table.ts';
import { type Converted, toDate, toDateTime, toInstant, toTime } from './datetime.ts';
import type { Zone } from './zone.ts';

/** A number and, when its text says more than the number (`4.00`), that text as a JSON number. */
export class Decimal {
  readonly value: number;
  /** '' = the number alone says it all. */
  readonly text: string;
  constructor(value: number, text: string) {
    this.value = value;
    this.text = text;
  }
}

export interface ConversionContext {
  zone: Zone;
  /** TS.2, the degree of precision of v2.3; '' when there is none. */
  degree: string;
  /** Told of each value whose zone was assumed or left out, or whose local time is not unique. */
  noteTime(converted: Converted): void;
}

export type Conversion = (text: string, context: ConversionContext) => unknown;

/** All values of `as` that need no table. */
export const CONVERSIONS: Readonly<Record<string, Conversion>> = tableOf({
  string: (text) => text.trim() || undefined,
  markdown: (text) => text.trim() || undefined,
  code: toCode,
  id: (text) => (/^[A-Za-z0-9\-.]{1,64}$/.test(text.trim()) ? text.trim() : undefined),
  uri: toUri,
  url: toUri,
  boolean: toBoolean,
  decimal: toDecimal,
  integer: (text) => toWhole(text, -2147483648),
  positiveInt: (text) => toWhole(text, 1),
  unsignedInt: (text) => toWhole(text, 0),
  date: toNotedDate,
  dateTime: (text, context) =>
    noted(toDateTime(text.trim(), context.degree, context.zone), context),
  instant: (text, context) => noted(toInstant(text.trim(), context.degree, context.zone), context),
  time: (text) => toTime(text.trim()),
  base64Binary: (text) => toBase64(text.replaceAll(/\s/g, '')),
});

function noted(converted: Converted, context: ConversionContext): string | undefined {
  if (converted.assumedZone || converted.droppedOffset) context.noteTime(converted);
  return converted.value;
}

function toNotedDate(text: string, context: ConversionContext): string | undefined {
  const value = toDate(text.trim());
  // The time of a whole timestamp is left out because the element has none: nothing to note.
  if (value !== undefined && DATE_WITH_OFFSET.test(text)) {
    context.noteTime({ value, assumedZone: false, occurs: 'once', droppedOffset: true });
  }
  return value;
}

const DATE_WITH_OFFSET = /^\s*(?:\d{4}|\d{6}|\d{8})[+-]\d{4}\s*$/;

/** FHIR code: no leading, trailing or doubled white space. */
function toCode(text: string): string | undefined {
  return isBroken(text) ? undefined : text.trim().replaceAll(/\s+/g, ' ') || undefined;
}

/** A character could not be read or kept (U+FFFD): as a code or uri it would mean another. */
export function isBroken(text: string): boolean {
  return text.includes('\ufffd');
}

function toUri(text: string): string | undefined {
  const uri = text.trim();
  return uri === '' || /[\s\ufffd]/.test(uri) ? undefined : withOidScheme(uri);
}

const OID = /^[012](?:\.(?:0|[1-9]\d*)){2,}$/;

/** A bare OID of at least three arcs is no uri by itself: `urn:oid:` is put before it. */
export function withOidScheme(uri: string): string {
  return OID.test(uri) ? `urn:oid:${uri}` : uri;
}

function toBoolean(text: string): boolean | undefined {
  const word = text.trim().toUpperCase();
  if (word === 'Y' || word === '1' || word === 'TRUE' || word === 'T') return true;
  return word === 'N' || word === '0' || word === 'FALSE' || word === 'F' ? false : undefined;
}

const NM = /^([+-]?)(?:0*(\d+)(?:\.(\d*))?|\.(\d+))$/;
const DIGITS_MAX = 40;

/** The digits are kept as they are written: `4.00`, `+7`, `.5` are 4.00, 7, 0.5. */
function toDecimal(text: string): Decimal | undefined {
  const match = NM.exec(text.trim());
  if (match === null || text.length > DIGITS_MAX) return undefined;
  const [, sign, whole = '0', places, only] = match;
  const fraction = places ?? only ?? '';
  const json = `${sign === '-' ? '-' : ''}${whole}${fraction === '' ? '' : `.${fraction}`}`;
  const value = Number(json);
  return new Decimal(value, String(value) === json ? '' : json);
}

function toWhole(text: string, lowest: number): number | undefined {
  const digits = text.trim();
  if (!/^[+-]?\d{1,10}(?:\.0*)?$/.test(digits)) return undefined;
  const value = Number(digits);
  return value >= lowest && value <= 2147483647 ? value : undefined;
}

function toBase64(text: string): string | undefined {
  const valid = text.length % 4 === 0 && /^[A-Za-z0-9+/]+={0,2}$/.test(text);
  return valid ? text : undefined;
}
