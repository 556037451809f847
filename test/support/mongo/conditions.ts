// A filter taken apart into conditions that an index can serve, and whether a filter implies the
// condition of a partial index. What is not understood here is left to the matcher.
import { compile } from './match.ts';
import { type Doc, encode, isDoc } from './values.ts';

export interface Bound {
  value: unknown;
  inclusive: boolean;
}

export interface Condition {
  path: string;
  /** One of these values. */
  equal?: unknown[];
  low?: Bound;
  high?: Bound;
  /** Conditions of one $elemMatch hold for one array element together. */
  group: number | undefined;
}

export interface Conditions {
  all: Condition[];
  /** Each inner list is one $or: at least one of its filters holds. */
  any: Doc[][];
}

export function takeApart(filter: Doc): Conditions {
  const found: Conditions = { all: [], any: [] };
  const groups = { next: 1 };
  collect(filter, '', undefined, found, groups);
  return found;
}

function collect(
  filter: Doc,
  prefix: string,
  group: number | undefined,
  found: Conditions,
  groups: { next: number },
): void {
  for (const [name, test] of Object.entries(filter)) {
    if (name === '$and' && Array.isArray(test)) {
      for (const part of test) collect(part as Doc, prefix, group, found, groups);
    } else if (name === '$or' && Array.isArray(test) && prefix === '') {
      found.any.push(test as Doc[]);
    } else if (!name.startsWith('$')) {
      field(`${prefix}${name}`, test, group, found, groups);
    }
  }
}

function field(
  path: string,
  test: unknown,
  group: number | undefined,
  found: Conditions,
  groups: { next: number },
): void {
  if (!isDoc(test) || !Object.keys(test).some((name) => name.startsWith('$'))) {
    if (serves(test)) found.all.push({ path, equal: [test], group });
    return;
  }
  if (serves(test.$eq) && '$eq' in test) found.all.push({ path, equal: [test.$eq], group });
  if (Array.isArray(test.$in) && test.$in.every(serves)) {
    found.all.push({ path, equal: test.$in, group });
  }
  const range = rangeOf(test);
  if (range !== undefined) found.all.push({ path, ...range, group });
  const all = Array.isArray(test.$all) ? test.$all : [];
  for (const value of all) field(path, value, group, found, groups);
  if (isDoc(test.$elemMatch)) elemMatch(path, test.$elemMatch, found, groups);
}

function elemMatch(path: string, test: Doc, found: Conditions, groups: { next: number }): void {
  const group = groups.next++;
  const ofFields = Object.keys(test).some((name) => !name.startsWith('$') || name === '$and');
  if (ofFields) collect(test, `${path}.`, group, found, groups);
  else field(path, test, group, found, groups);
}

function rangeOf(test: Doc): { low?: Bound; high?: Bound } | undefined {
  const low = bound(test, '$gte', '$gt');
  const high = bound(test, '$lte', '$lt');
  if (low === undefined && high === undefined) return undefined;
  return { ...(low === undefined ? {} : { low }), ...(high === undefined ? {} : { high }) };
}

function bound(test: Doc, inclusive: string, exclusive: string): Bound | undefined {
  if (inclusive in test && serves(test[inclusive])) {
    return { value: test[inclusive], inclusive: true };
  }
  if (exclusive in test && serves(test[exclusive])) {
    return { value: test[exclusive], inclusive: false };
  }
  return undefined;
}

/** Arrays and patterns have no single key; everything else has. */
function serves(value: unknown): boolean {
  return value !== undefined && !Array.isArray(value) && !(value instanceof RegExp);
}

/** A partial index may be used only when the filter implies its condition (Partial Indexes). */
export function implies(conditions: Conditions, filter: Doc, partial: Doc): boolean {
  return Object.entries(partial).every(([path, test]) => {
    const same = filter[path];
    if (same !== undefined && encode(same) === encode(test)) return true;
    const matches = compile({ value: test });
    // A query for null finds documents without the field too.
    const holds = (value: unknown): boolean =>
      matches({ value }) && (value !== null || matches({}));
    return conditions.all.some((condition) => {
      if (condition.path !== path) return false;
      if (condition.equal !== undefined) {
        return condition.equal.length > 0 && condition.equal.every(holds);
      }
      return rangeImplies(condition, test);
    });
  });
}

function rangeImplies(condition: Condition, test: unknown): boolean {
  if (!isDoc(test)) return false;
  if (test.$exists === true && Object.keys(test).length === 1) return true;
  const wanted = rangeOf(test);
  if (wanted === undefined || Object.keys(test).length > 1) return false;
  const lowHolds = wanted.low === undefined || within(condition.low, wanted.low, 1);
  return lowHolds && (wanted.high === undefined || within(condition.high, wanted.high, -1));
}

function within(have: Bound | undefined, wanted: Bound, sign: 1 | -1): boolean {
  if (have === undefined) return false;
  const [a, b] = [encode(have.value), encode(wanted.value)];
  if (a === b) return wanted.inclusive || !have.inclusive;
  return sign === 1 ? a > b : a < b;
}
