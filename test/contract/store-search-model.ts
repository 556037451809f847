// Contract of search, compared with a plain model: random resources, changed and deleted, and
// random plans read page by page. The seed is in the test's name; set SEED to replay it.
import { beforeAll, describe, expect, it } from 'vitest';
import type { RangeTest, ResourceWrite, SearchPlan, Store } from '../../src/store/port.ts';
import {
  freshTenant,
  plan,
  randomFrom,
  resource,
  T0,
  token,
  writing,
} from '../support/store-units.ts';

/** More than any adapter's threshold between its strategies. */
const RESOURCES = 2_400;
const PLANS = 120;
/** Set to a printed seed to replay it. */
const SEED: number | undefined = undefined;

type Random = () => number;

export function searchModelContract(store: () => Store): void {
  const seed = SEED ?? Math.floor(Math.random() * 2 ** 31);
  describe(`search against a model, seed ${seed}`, () => {
    const random = randomFrom(seed);
    const tenant = freshTenant();
    const model = new Map<string, ResourceWrite>();
    beforeAll(async () => {
      await fill(store(), tenant, model, random);
      await store().commit(writing(freshTenant(), ...uniqueIds(batch(random, 50))));
    });

    it('finds, sorts, pages and counts as the model does', async () => {
      for (let n = 0; n < PLANS; n++) {
        const set = randomPlan(random, tenant);
        const expected = findInModel(model, set).map(({ id }) => id);
        const paged = await readPages(store(), set, expected.length);
        const told = `seed ${seed}, plan ${n}: ${JSON.stringify(set)}`;
        expect(paged, told).toEqual(expected);
        const max = 1 + Math.floor(random() * RESOURCES);
        const count = await store().search.count(set, max);
        expect(count, told).toBe(Math.min(max, expected.length));
      }
    });
  });
}

async function fill(
  store: Store,
  tenant: string,
  model: Map<string, ResourceWrite>,
  random: Random,
): Promise<void> {
  const commits: Promise<unknown>[] = [];
  for (let n = 0; n < RESOURCES + 600; n += 100) {
    const rows = batch(random, 100).map((row) => {
      const old = model.get(row.id);
      const expected = old?.version ?? 0;
      const deleted = old !== undefined && random() < 0.2;
      return { ...row, expected, version: expected + 1, deleted };
    });
    const unique = uniqueIds(rows);
    for (const row of unique) model.set(row.id, row);
    commits.push(store.commit(writing(tenant, ...unique)));
  }
  await Promise.all(commits);
}

function uniqueIds(rows: ResourceWrite[]): ResourceWrite[] {
  return [...new Map(rows.map((row) => [row.id, row])).values()];
}

function batch(random: Random, count: number): ResourceWrite[] {
  return Array.from({ length: count }, () => {
    const dates = Math.floor(random() * 2.3);
    return resource(`r${Math.floor(random() * RESOURCES * 3)}`, {
      lastUpdated: T0 + Math.floor(random() * 500),
      compartment: random() < 0.8 ? `p${Math.floor(random() * 30)}` : null,
      // From tokens that nearly all have to tokens that a few have.
      tokens: Array.from({ length: 8 }, (_, n) => pickToken(random, n)).filter((t) => t !== ''),
      ranges: Array.from({ length: dates }, () => randomRange(random)),
    });
  });
}

function pickToken(random: Random, n: number): string {
  return random() < 0.9 ? token(`${n}-${Math.floor(random() * (n === 0 ? 1 : n * n * 3))}`) : '';
}

function randomRange(random: Random): { param: string; low: number; high: number } {
  const low = Math.floor(random() * 1000);
  const width = random() < 0.3 ? 0 : 10 ** Math.floor(random() * 5);
  return { param: random() < 0.8 ? 'date' : 'value', low, high: low + width };
}

function randomPlan(random: Random, tenant: string): SearchPlan {
  const sorts: SearchPlan['sort']['by'][] = ['lastUpdated', 'id', { param: 'date' }];
  const maybe = <T>(share: number, make: () => T): T | undefined =>
    random() < share ? make() : undefined;
  const groups = random() < 0.5 ? 0 : 1 + Math.floor(random() * 2);
  const lastUpdated = maybe(0.2, () => [{ low: T0 + random() * 500, high: Infinity }]);
  const compartments = maybe(0.2, () =>
    Array.from({ length: random() < 0.5 ? 1 : 25 }, (_, n) => `p${n}`),
  );
  const ids = maybe(0.1, () => Array.from({ length: 900 }, (_, n) => `r${n * 7}`));
  return plan(tenant, {
    tokens: Array.from({ length: groups }, () =>
      Array.from({ length: 1 + Math.floor(random() * 3) }, () =>
        token(`${Math.floor(random() * 4)}-0`),
      ),
    ),
    ranges: random() < 0.5 ? [] : [randomTest(random)],
    ...(lastUpdated && { lastUpdated }),
    ...(compartments && { compartments }),
    ...(ids && { ids }),
    sort: { by: sorts[Math.floor(random() * 3)] ?? 'id', descending: random() < 0.5 },
    limit: 20,
  });
}

function randomTest(random: Random): RangeTest {
  const tests: RangeTest['test'][] = ['overlaps', 'overlaps', 'within', 'missing', 'present'];
  const low = random() < 0.2 ? -Infinity : Math.floor(random() * 1000);
  const high = random() < 0.2 ? Infinity : Math.max(low, 0) + Math.floor(random() * 400);
  const test = tests[Math.floor(random() * tests.length)] ?? 'overlaps';
  return { param: random() < 0.8 ? 'date' : 'value', test, low, high };
}

/** Reads small pages first, then the rest in one. */
async function readPages(store: Store, set: SearchPlan, expected: number): Promise<string[]> {
  const ids: string[] = [];
  let after: string | undefined;
  for (let page = 0; ; page++) {
    const limit = page < 3 ? set.limit : 10_000;
    const cursor = after === undefined ? {} : { after };
    const found = await store.search.find({ ...set, limit, ...cursor });
    ids.push(...found.rows.map(({ id }) => id));
    after = found.cursor;
    if (after === undefined || ids.length > expected) return ids;
  }
}

function findInModel(model: Map<string, ResourceWrite>, set: SearchPlan): ResourceWrite[] {
  const rows = [...model.values()].filter((row) => !row.deleted && matches(row, set));
  const { by, descending } = set.sort;
  const byId = (a: ResourceWrite, b: ResourceWrite): number => (a.id < b.id ? -1 : 1);
  if (by === 'id') return rows.sort((a, b) => (descending ? byId(b, a) : byId(a, b)));
  const key = (row: ResourceWrite): number => {
    if (by === 'lastUpdated') return row.lastUpdated;
    const lows = row.ranges.filter(({ param }) => param === by.param).map(({ low }) => low);
    return lows.length > 0 ? Math.min(...lows) : Number.NaN;
  };
  return rows.sort((a, b) => {
    const [x, y] = [key(a), key(b)];
    if (Number.isNaN(x) !== Number.isNaN(y)) return Number.isNaN(x) ? 1 : -1;
    if (Number.isNaN(x) || x === y) return byId(a, b);
    return descending ? y - x : x - y;
  });
}

function matches(row: ResourceWrite, set: SearchPlan): boolean {
  return (
    set.tokens.every((group) => group.some((wanted) => row.tokens.includes(wanted))) &&
    set.ranges.every((test) => passes(row, test)) &&
    (set.ids?.includes(row.id) ?? true) &&
    (set.compartments?.includes(row.compartment ?? '') ?? true) &&
    (set.lastUpdated ?? []).every(
      ({ low, high }) => row.lastUpdated >= low && row.lastUpdated <= high,
    )
  );
}

function passes(row: ResourceWrite, { param, test, low, high }: RangeTest): boolean {
  const entries = row.ranges.filter((entry) => entry.param === param);
  if (test === 'missing') return entries.length === 0;
  if (test === 'present') return entries.length > 0;
  if (test === 'within') return entries.some((entry) => entry.low >= low && entry.high <= high);
  return entries.some((entry) => entry.high >= low && entry.low <= high);
}
