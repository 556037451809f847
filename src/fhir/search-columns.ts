// Owns the two parameters that are columns of the store: _id and _lastUpdated.
import type { SearchQuery } from './search.ts';
import { type ClauseFault, type ClausePlan, invalidValue, notSupported } from './search-plan.ts';
import { boundsOf, meets, type RangeWish, readWish } from './search-ranges.ts';
import { unescapeValue } from './search-values.ts';
import { spanOf } from './time.ts';

/** Given twice, an id must be in both lists. Changes `query.ids`. */
export function planId(
  query: SearchQuery,
  modifier: string,
  values: string[],
): ClausePlan | ClauseFault {
  if (modifier !== '') return notSupported('_id takes no modifier.');
  const prefix = `${query.type}/`;
  const ids = values
    .map(unescapeValue)
    .map((id) => (id.startsWith(prefix) ? id.slice(prefix.length) : id));
  if (ids.some((id) => !/^[A-Za-z0-9.-]{1,64}$/.test(id))) return invalidValue('That is no id.');
  const known = query.ids;
  query.ids = [...new Set(known === undefined ? ids : ids.filter((id) => known.includes(id)))];
  const wanted = new Set(ids);
  const test: ClausePlan['test'] = (resource) => wanted.has(resource.id ?? '');
  return { groups: [], ranges: [], exact: true, test };
}

/** Given twice, both must hold. Narrows `query.lastUpdated`. */
export function planLastUpdated(
  query: SearchQuery,
  modifier: string,
  values: string[],
): ClausePlan | ClauseFault {
  if (modifier !== '') return notSupported('_lastUpdated takes no modifier.');
  const wishes: RangeWish[] = [];
  for (const value of values) {
    const wish = readWish(true, value);
    if ('fault' in wish) return wish;
    wishes.push(wish);
  }
  const bounds = wishes.map((wish) => boundsOf(wish, true));
  narrow(query, Math.min(...bounds.map((b) => b.low)), Math.max(...bounds.map((b) => b.high)));
  const exact = bounds.length === 1 && bounds.every((b) => b.exact);
  const test: ClausePlan['test'] = (resource) => {
    const span = spanOf(resource.meta?.lastUpdated ?? '');
    return span !== null && wishes.some((wish) => meets(wish, span));
  };
  return { groups: [], ranges: [], exact, test };
}

function narrow(query: SearchQuery, low: number, high: number): void {
  if (low === Number.NEGATIVE_INFINITY && high === Number.POSITIVE_INFINITY) return;
  const known = query.lastUpdated?.[0];
  query.lastUpdated = [
    known ? { low: Math.max(low, known.low), high: Math.min(high, known.high) } : { low, high },
  ];
}
