// A search plan as query filters, sorts and places over the documents of `resources`. Every value
// of a plan becomes a value of the filter; no text of a plan becomes an operator or, but for the
// escaped name of a sort parameter, a field.
import type { Filter, Sort } from 'mongodb';
import type { RangeTest, SearchPlan } from '../port.ts';
import { LIVE, lowField, type ResourceDoc } from './records.ts';
import { idsUnder, resourceId } from './row-ids.ts';

/** Where a page ended: the sort value (null = none) and the id of its last row. */
export interface Place {
  key: number | null;
  id: string;
}

/** One query of a search; its rows come before those of the next. */
export interface SearchStep {
  filter: Filter<ResourceDoc>;
  sort: Sort;
}

/** undefined = nothing can match. */
export function planFilter(plan: SearchPlan): Filter<ResourceDoc> | undefined {
  const { tenant, type, ids, compartments } = plan;
  if (plan.tokens.some((group) => group.length === 0)) return undefined;
  if (ids?.length === 0 || compartments?.length === 0) return undefined;
  const all: Filter<ResourceDoc>[] = [
    ...plan.tokens.map((group) => ({ tokens: oneOf(group) })),
    ...plan.ranges.map(rangeFilter),
    ...(ids ? [{ _id: oneOf(ids.map((id) => resourceId(tenant, type, id))) }] : []),
    ...(plan.lastUpdated ?? []).map(({ low, high }) => ({ lastUpdated: within(low, high) })),
  ];
  // Only live resources have tokens: `state` beside them would lead a server that does not count
  // the values of fields (DocumentDB) to an index that begins with it.
  const live = plan.tokens.length > 0 ? {} : { state: LIVE };
  return {
    tenant,
    type,
    ...live,
    ...(compartments && { compartment: oneOf(compartments) }),
    ...(all.length > 0 && { $and: all }),
  };
}

/** An index in the order of its last fields serves an equality; `$in` may have to merge. */
function oneOf(values: string[]): string | { $in: string[] } {
  const [first, ...others] = new Set(values);
  return first !== undefined && others.length === 0 ? first : { $in: [...values] };
}

function within(low: number, high: number): { $gte: number; $lte: number } {
  return { $gte: low, $lte: high };
}

function rangeFilter({ param, test, low, high }: RangeTest): Filter<ResourceDoc> {
  if (test === 'missing') return { 'ranges.p': { $ne: param } };
  if (test === 'present') return { 'ranges.p': param };
  // The bounds on `h` are the ones that the index can use first: see the order of its fields.
  const entry =
    test === 'within'
      ? { p: param, h: { $gte: low, $lte: high }, l: { $gte: low } }
      : { p: param, h: { $gte: low }, l: { $lte: high } };
  return { ranges: { $elemMatch: entry } };
}

/** The queries that answer a plan behind `place`, to be run in order until the page is full. */
export function searchSteps(
  plan: SearchPlan,
  base: Filter<ResourceDoc>,
  place: Place | undefined,
): SearchStep[] {
  const { by, descending } = plan.sort;
  const way = descending ? -1 : 1;
  if (by === 'id') return [stepById(plan, base, place, way)];
  if (by === 'lastUpdated') {
    const sort: Sort = { lastUpdated: way, _id: 1 };
    return [{ filter: and(base, behind(plan, 'lastUpdated', place)), sort }];
  }
  const field = `lows.${lowField(by.param)}`;
  // Any number: comparisons never leave the type of their operand.
  const present = { [field]: { $gte: Number.NEGATIVE_INFINITY } };
  const absent = { [field]: null };
  const steps: SearchStep[] = [];
  if (place?.key !== null) {
    const filter = and(base, present, behind(plan, field, place));
    steps.push({ filter, sort: { [field]: way, _id: 1 } });
  }
  const rest = place?.key === null ? { _id: { $gt: rowOf(plan, place.id) } } : {};
  steps.push({ filter: and(base, absent, rest), sort: { _id: 1 } });
  return steps;
}

function stepById(
  plan: SearchPlan,
  base: Filter<ResourceDoc>,
  place: Place | undefined,
  way: 1 | -1,
): SearchStep {
  const { from, to } = idsUnder(plan.tenant, plan.type);
  const bounds = { $gte: from, $lt: to };
  const last = place && rowOf(plan, place.id);
  const beyond = way === 1 ? { ...bounds, $gt: last } : { ...bounds, $lt: last };
  return { filter: and(base, { _id: last ? beyond : bounds }), sort: { _id: way } };
}

/** Rows behind `place` in the order of `field`, then id. */
function behind(plan: SearchPlan, field: string, place: Place | undefined): Filter<ResourceDoc> {
  if (!place || place.key === null) return {};
  const { key } = place;
  const beyond = plan.sort.descending ? '$lt' : '$gt';
  const tie = { [field]: key, _id: { $gt: rowOf(plan, place.id) } };
  // The first condition follows from the second, and bounds the index scan.
  return { [field]: { [`${beyond}e`]: key }, $or: [{ [field]: { [beyond]: key } }, tie] };
}

function rowOf(plan: SearchPlan, id: string): string {
  return resourceId(plan.tenant, plan.type, id);
}

function and(...filters: Filter<ResourceDoc>[]): Filter<ResourceDoc> {
  const parts = filters.filter((filter) => Object.keys(filter).length > 0);
  const [only, ...others] = parts;
  return only && others.length === 0 ? only : { $and: parts };
}
