// Runs a search plan: one query, or two where rows without the sort value follow the others. Pages
// are cut by (sort value, id): ties neither repeat nor vanish. The server chooses the index.
import { readCursor, writeCursor } from '../cursor.ts';
import type { ResourceRow, SearchPlan } from '../port.ts';
import { checkPlan } from '../port-rules.ts';
import type { Collections } from './collections.ts';
import { lowField, type ResourceDoc } from './records.ts';
import { toResourceRow } from './resource-reads.ts';
import { planFilter, searchSteps } from './search-filter.ts';

/** Index entries are left out, but for the value that the next page starts from. */
const ENTRIES = { tokens: 0, ranges: 0 } as const;

export async function findResources(
  collections: Collections,
  plan: SearchPlan,
): Promise<{ rows: ResourceRow[]; cursor?: string }> {
  checkPlan(plan);
  const place = readCursor(plan);
  const base = planFilter(plan);
  if (!base) return { rows: [] };
  const found: ResourceDoc[] = [];
  for (const { filter, sort } of searchSteps(plan, base, place)) {
    // One more than the limit shows whether there is a next page.
    const wanted = plan.limit + 1 - found.length;
    if (wanted <= 0) break;
    const options = { projection: ENTRIES, sort, limit: wanted };
    found.push(...(await collections.resources.find(filter, options).toArray()));
  }
  const page = found.slice(0, plan.limit);
  const rows = page.map(toResourceRow);
  const last = page.at(-1);
  if (found.length <= plan.limit || !last) return { rows };
  return { rows, cursor: writeCursor(plan, { key: sortKey(plan, last), id: last.id }) };
}

function sortKey({ sort: { by } }: SearchPlan, row: ResourceDoc): number | null {
  if (by === 'id') return null;
  if (by === 'lastUpdated') return row.lastUpdated;
  return row.lows[lowField(by.param)] ?? null;
}

/** Stops at `max`. */
export async function countMatches(
  collections: Collections,
  plan: SearchPlan,
  max: number,
): Promise<number> {
  checkPlan(plan);
  const filter = planFilter(plan);
  if (!filter || max < 1) return 0;
  const pipeline = [{ $match: filter }, { $limit: max }, { $group: { _id: null, n: { $sum: 1 } } }];
  const [row] = await collections.resources.aggregate<{ n: number }>(pipeline).toArray();
  return row?.n ?? 0;
}
