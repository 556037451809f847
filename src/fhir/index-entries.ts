// Owns what the search index knows of a resource: normalized (parameter, value) pairs and ranges.
// Blinding them is record/'s business; _id and _lastUpdated stand in the store's own columns.
import type { Resource } from '../model/resource.ts';
import { birthBuckets } from './birth-date.ts';
import { type Parameter, type Place, parametersOf } from './parameters.ts';
import { tokensOf, valuesAt } from './places.ts';
import { rangesOf } from './ranges.ts';
import { parseReference } from './reference.ts';
import { type NamedText, textsOf } from './strings.ts';
import { PREFIX_MAX, wordsOf } from './text.ts';

/** A value that is found by equality. It may be patient data: blind it before it is stored. */
export interface TokenEntry {
  kind: 'token';
  /** Index name, shared by search parameters with the same meaning: `name.family:exact`. */
  param: string;
  value: string;
}

/** A span on a scale: ms since the epoch for dates, the number itself for quantities. */
export interface RangeEntry {
  kind: 'range';
  param: string;
  /** low <= high, both finite; an open period ends at +-8.64e15. */
  low: number;
  high: number;
}

export type IndexEntry = TokenEntry | RangeEntry;

/** Of one resource; a value beyond it is not found by its own parameter. */
export const INDEX_ENTRIES_MAX = 20_000;

/** References of parameters with more target types than this are found by their bare id. */
export const TARGETS_MAX = 8;

/**
 * Index entries of a resource, without duplicates, in a fixed order. The blind token of an entry
 * is HMAC over `type|param|value`; parseSearch yields the same (param, value) pairs.
 */
export function indexEntries(resource: Resource): IndexEntry[] {
  const entries: IndexEntry[] = [];
  const seen = new Set<string>();
  const add = (param: string, value: string): void => {
    const key = `${param}\u0000${value}`;
    if (seen.has(key) || entries.length >= INDEX_ENTRIES_MAX) return;
    seen.add(key);
    entries.push({ kind: 'token', param, value });
  };
  const addRange = (param: string, low: number, high: number): void => {
    const key = `${param}\u0001${low} ${high}`;
    if (seen.has(key) || entries.length >= INDEX_ENTRIES_MAX) return;
    seen.add(key);
    entries.push({ kind: 'range', param, low, high });
  };
  for (const source of sourcesOf(resource.resourceType)) {
    for (const value of valuesAt(resource, source.place)) {
      if (source.kind === 'range') addRanges(source, value, addRange);
      else if (source.kind === 'string') addTexts(source.place, value, add);
      else if (source.kind === 'birth') addBirthDate(value, add);
      else addTokens(source, value, add);
    }
  }
  return entries;
}

interface Source {
  kind: 'token' | 'string' | 'range' | 'birth';
  place: Place;
  /** Range name; unused for others. */
  name: string;
  /** References: also by the id alone. */
  bareId: boolean;
}

const SOURCES = new Map<string, Source[]>();

/** Each place of a type once, whichever parameters use it. */
function sourcesOf(type: string): Source[] {
  const known = SOURCES.get(type);
  if (known) return known;
  const sources = new Map<string, Source>();
  for (const parameter of parametersOf(type).values()) {
    for (const place of parameter.places) addSource(sources, parameter, place);
  }
  const list = [...sources.values()].filter((source) => !isPartOfOther(source, sources));
  SOURCES.set(type, list);
  return list;
}

function addSource(sources: Map<string, Source>, parameter: Parameter, place: Place): void {
  const kind = sourceKind(parameter);
  const name = kind === 'range' ? parameter.rangeName : '';
  const key = `${kind} ${place.path} ${name}`;
  const bareId = parameter.kind === 'reference' && isOpenTarget(parameter);
  const known = sources.get(key);
  if (known) known.bareId ||= bareId;
  else sources.set(key, { kind, place, name, bareId });
}

/** Whether a bare id cannot be spelled out as a few `Type/id`. */
export function isOpenTarget(parameter: Parameter): boolean {
  return parameter.targets.length === 0 || parameter.targets.length > TARGETS_MAX;
}

/** Whether a date parameter is blind: the birth date is, other times are ranges. */
export function isBirthDate(parameter: Parameter): boolean {
  return parameter.name === 'birthdate';
}

function sourceKind(parameter: Parameter): Source['kind'] {
  if (isBirthDate(parameter)) return 'birth';
  if (parameter.kind === 'string') return 'string';
  const isRange =
    parameter.kind === 'date' || parameter.kind === 'quantity' || parameter.kind === 'number';
  return isRange ? 'range' : 'token';
}

/** `name.family` needs no source of its own beside the HumanName `name`, which yields it. */
function isPartOfOther(source: Source, sources: Map<string, Source>): boolean {
  if (source.kind !== 'string') return false;
  const parent = source.place.path.replace(/\.\w+$/, '');
  const whole = parent === source.place.path ? undefined : sources.get(`string ${parent} `);
  return whole?.place.type === 'HumanName' || whole?.place.type === 'Address';
}

function addRanges(
  source: Source,
  value: unknown,
  add: (param: string, low: number, high: number) => void,
): void {
  for (const { low, high } of rangesOf(source.place.type, value)) add(source.name, low, high);
}

function addBirthDate(value: unknown, add: (p: string, v: string) => void): void {
  if (typeof value !== 'string') return;
  for (const bucket of birthBuckets(value)) add('birthdate', bucket);
}

function addTokens(source: Source, value: unknown, add: (p: string, v: string) => void): void {
  for (const token of tokensOf(source.place.type, value)) {
    add(source.place.path, token);
    const id = source.bareId ? parseReference(token)?.id : undefined;
    if (id !== undefined) add(source.place.path, id);
  }
}

function addTexts(place: Place, value: unknown, add: (p: string, v: string) => void): void {
  const texts = textsOf(place, value);
  for (const { param, text } of texts) {
    if (isOnlyRepeated(texts, param, place)) addWords(texts, place, text, add);
    else for (const word of wordsOf(text)) addPrefixes(param, word, add);
    add(`${param}:exact`, text);
  }
}

/** `HumanName.text` mostly repeats the parts; only its other words are worth a token. */
function isOnlyRepeated(texts: NamedText[], param: string, place: Place): boolean {
  return param === place.path && texts.length > 1;
}

function addWords(
  texts: NamedText[],
  place: Place,
  text: string,
  add: (p: string, v: string) => void,
): void {
  const others = texts.filter((other) => other.param !== place.path);
  const known = new Set(others.flatMap((other) => wordsOf(other.text)));
  for (const word of wordsOf(text)) if (!known.has(word)) addPrefixes(place.path, word, add);
}

function addPrefixes(param: string, word: string, add: (p: string, v: string) => void): void {
  const longest = Math.min(word.length, PREFIX_MAX);
  for (let length = 1; length <= longest; length++) add(param, word.slice(0, length));
}
