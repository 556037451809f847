// Owns the texts of a string parameter: the parts of a HumanName or an Address, or a plain string,
// each with the name of its index entries.

import { tableOf } from '../model/table.ts';
import type { Place } from './parameters.ts';

type Data = Record<string, unknown>;

export interface NamedText {
  /** `name.family`, or the place's own path for parts that have no parameter of their own. */
  param: string;
  text: string;
}

const PARTS: Record<string, { own: string[]; rest: string[] }> = tableOf({
  HumanName: { own: ['family', 'given'], rest: ['text', 'prefix', 'suffix'] },
  Address: { own: ['city', 'state', 'postalCode', 'country'], rest: ['line', 'district', 'text'] },
});

/** The texts of one value at a place; the parts with parameters of their own come first. */
export function textsOf(place: Place, value: unknown): NamedText[] {
  const parts = PARTS[place.type];
  if (!parts) return typeof value === 'string' ? [{ param: place.path, text: value }] : [];
  if (typeof value !== 'object' || value === null) return [];
  const data = value as Data;
  return [
    ...parts.own.flatMap((key) => listOf(data[key], `${place.path}.${key}`)),
    ...parts.rest.flatMap((key) => listOf(data[key], place.path)),
  ];
}

/** Names under which the texts of a place are indexed: a search asks for any of them. */
export function textParams(place: Place): string[] {
  const own = PARTS[place.type]?.own ?? [];
  return [...own.map((key) => `${place.path}.${key}`), place.path];
}

function listOf(value: unknown, param: string): NamedText[] {
  const values = Array.isArray(value) ? value : [value];
  return values.filter((one) => typeof one === 'string').map((text: string) => ({ param, text }));
}
