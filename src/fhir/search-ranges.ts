// Owns the meaning of date, number and quantity parameters and of _lastUpdated: prefixes against
// spans, with the precision of the searched value (R4 search.html#prefix).
import type { Resource } from '../model/resource.ts';
import { birthBucketOf, birthRange } from './birth-date.ts';
import { isBirthDate } from './index-entries.ts';
import type { Parameter } from './parameters.ts';
import { valuesAt } from './places.ts';
import { rangesOf } from './ranges.ts';
import {
  type ClauseFault,
  type ClausePlan,
  invalidValue,
  notSupported,
  type SearchRange,
} from './search-plan.ts';
import { type Prefix, splitEscaped, splitPrefix, unescapeValue } from './search-values.ts';
import { type Span, spanOf } from './time.ts';

type Data = Record<string, unknown>;

export interface RangeWish {
  prefix: Prefix;
  /** What the searched value covers: `2020` a year, `5.4` from 5.35 to 5.45. */
  span: Span;
  /** What an order compares with: a date's whole span, but a number itself. */
  edge: Span;
  text: string;
  /** Quantities: '' = not asked. */
  system: string;
  unit: string;
}

/** Several values are ORed. No modifiers but `missing`, which the caller serves. */
export function planRange(
  parameter: Parameter,
  modifier: string,
  values: string[],
): ClausePlan | ClauseFault {
  if (modifier !== '') return notSupported(`${parameter.name} takes no modifier but missing.`);
  const wishes: RangeWish[] = [];
  for (const value of values) {
    const wish = readWish(parameter.kind === 'date', value);
    if ('fault' in wish) return wish;
    wishes.push(wish);
  }
  const test = (resource: Resource): boolean => hasRange(resource, parameter, wishes);
  if (isBirthDate(parameter)) return planBirthDate(wishes, test);
  const range = hullOf(wishes, parameter);
  return { groups: [], ranges: [range.test], exact: range.exact, test };
}

function hasRange(resource: Resource, parameter: Parameter, wishes: RangeWish[]): boolean {
  return parameter.places.some((place) =>
    valuesAt(resource, place).some((value) =>
      rangesOf(place.type, value).some((span) =>
        wishes.some((wish) => meets(wish, span) && hasUnit(wish, value)),
      ),
    ),
  );
}

/** Reads `ge2020-01` or `lt5.4|http://unitsofmeasure.org|mg`. */
export function readWish(isDate: boolean, value: string): RangeWish | ClauseFault {
  const { prefix, rest } = splitPrefix(value);
  if (prefix === null) return notSupported('The prefix ap is not served.');
  if (isDate) {
    // A plus sign that was not percent-encoded arrives as a blank.
    const text = rest.replace(' ', '+');
    const span = spanOf(text);
    if (span === null)
      return invalidValue('A date is written as YYYY-MM-DDThh:mm:ss+zz:zz or less.');
    return { prefix, span, edge: span, text, system: '', unit: '' };
  }
  const [number = '', system = '', unit = ''] = splitEscaped(rest, '|').map(unescapeValue);
  const span = spanOfNumber(number);
  if (span === null) return invalidValue('A number is needed, such as 5.4 or 5.4|system|unit.');
  const edge = { low: Number(number), high: Number(number) };
  return { prefix, span, edge, text: number, system, unit };
}

/** `100` covers 99.5 to 100.5, `5.40` covers 5.395 to 5.405. */
function spanOfNumber(text: string): Span | null {
  const m = /^[+-]?\d{1,100}(?:\.(\d{1,100}))?(?:[eE]([+-]?\d{1,3}))?$/.exec(text);
  const value = Number(text);
  if (!m || !Number.isFinite(value)) return null;
  const half = 0.5 * 10 ** (Number(m[2] ?? 0) - (m[1] ?? '').length);
  return { low: value - half, high: value + half };
}

function hasUnit(wish: RangeWish, value: unknown): boolean {
  if (wish.unit === '') return true;
  const { system, code, unit } = value as Data;
  if (wish.system !== '') return system === wish.system && code === wish.unit;
  return code === wish.unit || unit === wish.unit;
}

/** Whether a value's span satisfies the wish. */
export function meets(wish: RangeWish, span: Span): boolean {
  const { low, high } = wish.prefix === 'eq' || wish.prefix === 'ne' ? wish.span : wish.edge;
  switch (wish.prefix) {
    case 'eq':
      return span.low >= low && span.high <= high;
    case 'ne':
      return span.low < low || span.high > high;
    case 'gt':
      return span.high > high;
    case 'lt':
      return span.low < low;
    case 'ge':
      return span.high >= low;
    case 'le':
      return span.low <= high;
    case 'sa':
      return span.low > high;
    case 'eb':
      return span.high < low;
  }
}

interface Bounds {
  test: SearchRange['test'];
  low: number;
  high: number;
  exact: boolean;
}

/** The one index test that covers all wishes; exact for a single one with integer steps. */
function hullOf(wishes: RangeWish[], parameter: Parameter): { test: SearchRange; exact: boolean } {
  const all = wishes.map((wish) => boundsOf(wish, parameter.kind === 'date'));
  const [first] = all;
  const param = parameter.rangeName;
  if (all.length === 1 && first) {
    const isPlain = wishes[0]?.unit === '';
    return { test: { param, ...ends(first), test: first.test }, exact: first.exact && isPlain };
  }
  const low = Math.min(...all.map((bounds) => bounds.low));
  const high = Math.max(...all.map((bounds) => bounds.high));
  const isOpen = all.some((bounds) => bounds.test === 'present');
  const test = isOpen ? 'present' : 'overlaps';
  return { test: { param, low, high, test }, exact: false };
}

function ends(bounds: Bounds): Span {
  return { low: bounds.low, high: bounds.high };
}

/** Dates are whole ms, so `after` is one more; numbers include the edge and are checked. */
export function boundsOf(wish: RangeWish, isDate: boolean): Bounds {
  const { low, high } = wish.prefix === 'eq' ? wish.span : wish.edge;
  const step = isDate ? 1 : 0;
  const infinite = Number.POSITIVE_INFINITY;
  switch (wish.prefix) {
    case 'eq':
      return { test: 'within', low, high, exact: true };
    case 'ne':
      return { test: 'present', low: -infinite, high: infinite, exact: false };
    case 'gt':
      return { test: 'overlaps', low: high + step, high: infinite, exact: isDate };
    case 'lt':
      return { test: 'overlaps', low: -infinite, high: low - step, exact: isDate };
    case 'ge':
      return { test: 'overlaps', low, high: infinite, exact: true };
    case 'le':
      return { test: 'overlaps', low: -infinite, high, exact: true };
    case 'sa':
      return { test: 'within', low: high + step, high: infinite, exact: isDate };
    case 'eb':
      return { test: 'within', low: -infinite, high: low - step, exact: isDate };
  }
}

function planBirthDate(wishes: RangeWish[], test: (resource: Resource) => boolean): ClausePlan {
  if (wishes.some((wish) => wish.prefix === 'ne')) {
    return { groups: [], ranges: [], exact: false, test };
  }
  const buckets = new Set(wishes.flatMap(bucketsOf));
  const group = [...buckets].map((value) => ({ param: 'birthdate', value }));
  return { groups: [group], ranges: [], exact: wishes.every(isExactBirthDate), test };
}

/** Years outside 1800 to 2099 share a bucket, times are finer than one, sa and eb ask for more. */
function isExactBirthDate({ prefix, text }: RangeWish): boolean {
  if (text.length > 10 || prefix === 'sa' || prefix === 'eb') return false;
  return prefix === 'eq' || (text >= '1800' && text < '2100');
}

const DAY_MS = 86_400_000;

function bucketsOf(wish: RangeWish): string[] {
  const { low, high } = wish.span;
  switch (wish.prefix) {
    case 'eq':
    case 'ne':
      return [birthBucketOf(wish.text)];
    case 'gt':
    case 'sa':
      return birthRange(dayOf(wish.text.length > 10 ? low : high + DAY_MS), undefined);
    case 'ge':
      return birthRange(dayOf(low), undefined);
    case 'lt':
    case 'eb':
      return birthRange(undefined, dayOf(wish.text.length > 10 ? high : low - DAY_MS));
    case 'le':
      return birthRange(undefined, dayOf(high));
  }
}

function dayOf(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}
