// Chooses the index of a query and describes the choice as `explain` does. An imitation: a real
// server races its candidate plans; here the plan that gives the sort wins, then the one whose
// bounds hold the fewest keys. Covered plans, intersections and index skip scans do not exist.
// DocumentDB has no statistics of fields: there most bounds win, and of equal plans the worst
// is taken; no index gives a sort; an $or with a clause on _id reads the whole collection.
import type { Collection } from './collection.ts';
import { type Condition, type Conditions, implies, takeApart } from './conditions.ts';
import { badValue } from './errors.ts';
import type { Index, IndexField } from './indexes.ts';
import { type Doc, encode, invert, TOP, typePrefix } from './values.ts';

export interface KeyRange {
  low: string;
  high: string;
}

export interface Scan {
  index: Index;
  ranges: KeyRange[];
  backward: boolean;
}

export interface Plan {
  kind: 'COLLSCAN' | 'IXSCAN' | 'OR';
  scans: Scan[];
  /** Each range of each scan comes in the order asked for. */
  sorted: boolean;
  /** How much of its index is bound: two for each single value, one for a range behind them. */
  fixed?: number;
}

/** A $in is opened into single points for a sort up to here (internalQueryMaxScansToExplode). */
const EXPLODE_MAX = 200;
const POINTS_MAX = 100_000;
const ESTIMATE_MAX = 64;

export type Sort = Record<string, number>;

export function plan(collection: Collection, filter: Doc, sort: Sort, hint?: unknown): Plan {
  const indexes = hinted(collection, hint);
  if (indexes === undefined) return { kind: 'COLLSCAN', scans: [], sorted: false };
  const conditions = takeApart(filter);
  if (collection.compatible) return planCompatible(indexes, conditions, filter);
  const best = bestOf(indexes, conditions, filter, sort, hint !== undefined);
  if (best !== undefined && (bounded(best) || hint !== undefined)) return best;
  for (const branches of conditions.any) {
    const union = planOr(indexes, branches, filter, sort);
    if (union !== undefined) return union;
  }
  return best ?? { kind: 'COLLSCAN', scans: [], sorted: false };
}

function planCompatible(indexes: Index[], conditions: Conditions, filter: Doc): Plan {
  const ranked = indexes
    .map((index) => planIndex(index, conditions.all, {}))
    .filter(bounded)
    .map((one) => ({ one, fixed: one.fixed ?? 0, keys: estimate(one) }))
    .sort((a, b) => b.fixed - a.fixed || b.keys - a.keys);
  const best = ranked[0]?.one;
  if (best !== undefined) return { ...best, sorted: false };
  for (const branches of conditions.any) {
    const byId = branches.filter((branch) => '_id' in branch).length;
    const mixed = byId > 0 && byId < branches.length;
    const union = mixed ? undefined : planOr(indexes, branches, filter, {});
    if (union !== undefined) return { ...union, sorted: false };
  }
  return { kind: 'COLLSCAN', scans: [], sorted: false };
}

function planOr(indexes: Index[], branches: Doc[], filter: Doc, sort: Sort): Plan | undefined {
  const { $or: _, ...rest } = filter;
  const plans = branches.map((branch) => {
    const whole = { $and: [rest, branch] };
    return bestOf(indexes, takeApart(whole), { ...rest, ...branch }, sort, false);
  });
  const scans: Scan[] = [];
  for (const one of plans) {
    if (one === undefined || !bounded(one)) return undefined;
    scans.push(...one.scans);
  }
  return { kind: 'OR', scans, sorted: plans.every((one) => one?.sorted === true) };
}

function bestOf(
  indexes: Index[],
  conditions: Conditions,
  filter: Doc,
  sort: Sort,
  forced: boolean,
): Plan | undefined {
  const asked = Object.keys(sort).length > 0;
  const candidates = indexes
    .filter(({ spec }) => allowed(spec.partialFilterExpression, conditions, filter))
    .map((index) => planIndex(index, conditions.all, sort))
    .filter((one) => forced || bounded(one) || (asked && one.sorted));
  if (candidates.length < 2) return candidates[0];
  const ranked = candidates.map((one) => ({ one, keys: estimate(one) }));
  ranked.sort(
    (a, b) =>
      Number(bounded(b.one)) - Number(bounded(a.one)) ||
      Number(b.one.sorted) - Number(a.one.sorted) ||
      a.keys - b.keys,
  );
  return ranked[0]?.one;
}

function allowed(partial: Doc | undefined, conditions: Conditions, filter: Doc): boolean {
  return partial === undefined || implies(conditions, filter, partial);
}

function bounded(candidate: Plan): boolean {
  return candidate.scans.every(({ ranges }) =>
    ranges.every(({ low, high }) => low !== '' || high !== TOP),
  );
}

function estimate({ scans }: Plan): number {
  let keys = 0;
  for (const { index, ranges } of scans) {
    for (const { low, high } of ranges) {
      for (const _ of index.entries.range(low, high, false)) {
        if (++keys >= ESTIMATE_MAX) return keys;
      }
    }
  }
  return keys;
}

function planIndex(index: Index, conditions: Condition[], sort: Sort): Plan {
  const groups = new Map<string, number | undefined>();
  let prefixes = [''];
  let used = 0;
  let open = false;
  let ranges: KeyRange[] | undefined;
  for (const entry of index.fields) {
    const fitting = conditions.filter((one) => fits(index, entry, one, groups));
    const condition = choose(index, entry, fitting, prefixes);
    if (condition?.equal === undefined) {
      open = condition !== undefined;
      if (condition !== undefined) ranges = openRange(index, entry, condition, prefixes);
      break;
    }
    const points = condition.equal.map((value) => piece(entry, value));
    if (prefixes.length * points.length > POINTS_MAX) break;
    prefixes = prefixes.flatMap((before) => points.map((point) => before + point));
    noteGroup(index, entry, condition, groups);
    used++;
  }
  ranges ??= prefixes.map((low) => ({ low, high: low + TOP }));
  const way = prefixes.length > EXPLODE_MAX ? undefined : direction(index, used, conditions, sort);
  const scan = { index, ranges, backward: way === 'backward' };
  return {
    kind: 'IXSCAN',
    scans: [scan],
    sorted: way !== undefined,
    fixed: 2 * used + (open ? 1 : 0),
  };
}

/** The most selective of several conditions on one field ($all): equality before ranges. */
function choose(
  index: Index,
  entry: IndexField,
  fitting: Condition[],
  prefixes: string[],
): Condition | undefined {
  const equal = fitting.filter((one) => one.equal !== undefined);
  const [first] = equal;
  if (first === undefined) return narrowest(index, entry, fitting, prefixes);
  if (equal.length < 2) return first;
  const sizes = equal.map((one) => {
    const points = (one.equal ?? []).map((value) => piece(entry, value));
    const ranges = prefixes.flatMap((before) =>
      points.map((point) => ({ low: before + point, high: before + point + TOP })),
    );
    return estimate({ kind: 'IXSCAN', scans: [{ index, ranges, backward: false }], sorted: false });
  });
  return equal[sizes.indexOf(Math.min(...sizes))];
}

/** Of several ranges of one field; a real server intersects them. */
function narrowest(
  index: Index,
  entry: IndexField,
  ranges: Condition[],
  prefixes: string[],
): Condition | undefined {
  if (ranges.length < 2) return ranges[0];
  const sizes = ranges.map((one) => {
    const scan = { index, ranges: openRange(index, entry, one, prefixes), backward: false };
    return estimate({ kind: 'IXSCAN', scans: [scan], sorted: false });
  });
  return ranges[sizes.indexOf(Math.min(...sizes))];
}

/** Bounds on two fields of one array combine only inside one $elemMatch (Multikey Bounds). */
function fits(
  index: Index,
  { path }: IndexField,
  condition: Condition,
  groups: Map<string, number | undefined>,
): boolean {
  if (condition.path !== path) return false;
  const root = arrayOf(index, path);
  if (root === undefined || !groups.has(root)) return true;
  return condition.group !== undefined && groups.get(root) === condition.group;
}

function noteGroup(
  index: Index,
  { path }: IndexField,
  condition: Condition,
  groups: Map<string, number | undefined>,
): void {
  const root = arrayOf(index, path);
  if (root !== undefined) groups.set(root, condition.group);
}

function arrayOf(index: Index, path: string): string | undefined {
  for (const array of index.arrays) {
    if (path === array || path.startsWith(`${array}.`)) return array;
  }
  return undefined;
}

function piece({ descending }: IndexField, value: unknown): string {
  return descending ? invert(encode(value)) : encode(value);
}

function openRange(
  index: Index,
  entry: IndexField,
  condition: Condition,
  prefixes: string[],
): KeyRange[] {
  const single = index.isMultikey(entry.path) && condition.group === undefined;
  const low = condition.low;
  const high = single && low !== undefined ? undefined : condition.high;
  const known = low ?? high;
  const type = typePrefix(known?.value);
  const turn = (key: string): string => (entry.descending ? invert(key) : key);
  const [first, last] = entry.descending ? [high, low] : [low, high];
  return prefixes.map((before) => {
    const start = first === undefined ? turn(type) : turn(encode(first.value));
    const end = last === undefined ? turn(type) + TOP : turn(encode(last.value));
    return {
      low: before + start + (first?.inclusive === false ? TOP : ''),
      high: before + end + (last?.inclusive === true ? TOP : ''),
    };
  });
}

/** How the index gives the sort, after `used` fixed fields; undefined = it does not. */
function direction(
  index: Index,
  used: number,
  conditions: Condition[],
  sort: Sort,
): 'forward' | 'backward' | undefined {
  // A field of an array is never fixed: a document has other keys besides the one asked for.
  const fixed = new Set(
    conditions
      .filter(({ equal, path }) => equal?.length === 1 && !index.isMultikey(path))
      .map(({ path }) => path),
  );
  const prefix = new Set(index.fields.slice(0, used).map(({ path }) => path));
  const left = Object.entries(sort).filter(([path]) => !(prefix.has(path) && fixed.has(path)));
  if (left.length === 0) return 'forward';
  const rest = index.fields.slice(used);
  let way: 'forward' | 'backward' | undefined;
  for (const [path, order] of left) {
    while (rest[0] !== undefined && rest[0].path !== path && fixed.has(rest[0].path)) rest.shift();
    const next = rest.shift();
    if (next?.path !== path || index.isMultikey(path)) return undefined;
    const here = next.descending === order < 0 ? 'forward' : 'backward';
    if (way !== undefined && way !== here) return undefined;
    way = here;
  }
  return way;
}

function hinted(collection: Collection, hint: unknown): Index[] | undefined {
  if (hint === undefined) return [...collection.indexes.values()];
  const key = encode(hint);
  if (key === encode({ $natural: 1 })) return undefined;
  for (const index of collection.indexes.values()) {
    if (index.spec.name === hint || encode(index.spec.key) === key) return [index];
  }
  throw badValue('hint provided does not correspond to an existing index');
}
