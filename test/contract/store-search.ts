// Contract of search: each kind of condition, each sort, cursors and counts, by small examples.
// The random comparison with a plain model is store-search-model.ts.
import { beforeAll, describe, expect, it } from 'vitest';
import type { RangeTest, SearchPlan, Store } from '../../src/store/port.ts';
import { freshTenant, plan, resource, T0, textOf, token, writing } from '../support/store-units.ts';

const [RED, BLUE, OLD, NEW] = ['red', 'blue', 'old', 'new'].map(token) as [
  string,
  string,
  string,
  string,
];

export function searchContract(store: () => Store): void {
  describe('search', () => {
    const tenant = freshTenant();
    const find = async (set: Partial<SearchPlan>): Promise<string> => {
      const { rows } = await store().search.find(plan(tenant, set));
      return rows.map(({ id }) => id).join(' ');
    };
    beforeAll(async () => {
      await store().commit(writing(tenant, ...examples()));
    });
    conditions(store, tenant, find);
    sorting(find);
    paging(store, tenant);
    refusals(store, tenant);
  });
}

/** Newest first: d c b a. `d` has two dates, `c` none. */
function examples() {
  const date = (low: number, high: number) => ({ param: 'date', low, high });
  return [
    resource('a', { lastUpdated: T0, tokens: [RED, OLD], ranges: [date(10, 19)] }),
    resource('b', {
      lastUpdated: T0 + 1,
      tokens: [BLUE, OLD],
      ranges: [date(20, 20), { param: 'wide', low: -Number.MAX_VALUE, high: Number.MAX_VALUE }],
    }),
    resource('c', { lastUpdated: T0 + 2, tokens: [RED, NEW], compartment: 'p1' }),
    resource('d', {
      lastUpdated: T0 + 3,
      tokens: [BLUE, NEW],
      compartment: 'p2',
      ranges: [date(40, 49), date(5, 6), { param: 'value', low: 0.25, high: 0.35 }],
    }),
    resource('a', { type: 'Encounter', tokens: [RED], ranges: [date(10, 19)] }),
  ];
}

type Find = (set: Partial<SearchPlan>) => Promise<string>;

function conditions(store: () => Store, tenant: string, find: Find): void {
  const date = (test: RangeTest['test'], low = 0, high = 0): RangeTest[] => [
    { param: 'date', test, low, high },
  ];
  const rows: [string, Partial<SearchPlan>, string][] = [
    ['nothing', {}, 'd c b a'],
    ['one token', { tokens: [[RED]] }, 'c a'],
    ['tokens in a group: any', { tokens: [[RED, OLD]] }, 'c b a'],
    ['groups: all', { tokens: [[RED, BLUE], [NEW]] }, 'd c'],
    ['an unknown token', { tokens: [[RED], [token('none')]] }, ''],
    ['an empty group', { tokens: [[RED], []] }, ''],
    ['ids', { ids: ['a', 'd', 'x'] }, 'd a'],
    ['no ids', { ids: [] }, ''],
    ['ids and a token', { ids: ['a', 'd'], tokens: [[RED]] }, 'a'],
    ['lastUpdated, bounds included', { lastUpdated: [{ low: T0 + 1, high: T0 + 2 }] }, 'c b'],
    [
      'two bounds on lastUpdated: both',
      {
        lastUpdated: [
          { low: T0 + 1, high: Infinity },
          { low: -Infinity, high: T0 + 1 },
        ],
      },
      'b',
    ],
    ['compartments', { compartments: ['p1', 'p2'] }, 'd c'],
    ['no compartments', { compartments: [] }, ''],
    ['a compartment and a token', { compartments: ['p1'], tokens: [[BLUE]] }, ''],
    ['a range that overlaps', { ranges: date('overlaps', 19, 20) }, 'b a'],
    ['a range that is touched', { ranges: date('overlaps', 6, 10) }, 'd a'],
    ['a range that overlaps from below', { ranges: date('overlaps', -Infinity, 9) }, 'd'],
    [
      'a range from end to end of the doubles',
      { ranges: [{ param: 'wide', test: 'overlaps', low: 7, high: 7 }] },
      'b',
    ],
    ['a range that overlaps from above', { ranges: date('overlaps', 20, Infinity) }, 'd b'],
    ['a range between two entries', { ranges: date('overlaps', 7, 9) }, ''],
    ['a range within', { ranges: date('within', 10, 20) }, 'b a'],
    ['a range not quite within', { ranges: date('within', 11, 45) }, 'b'],
    ['a missing range', { ranges: date('missing') }, 'c'],
    ['a present range', { ranges: date('present') }, 'd b a'],
    ['two ranges: both', { ranges: [...date('within', 5, 6), ...date('within', 40, 49)] }, 'd'],
    ['a fraction', { ranges: [{ param: 'value', test: 'overlaps', low: 0.3, high: 0.3 }] }, 'd'],
    ['a range nobody has', { ranges: [{ param: 'x', test: 'present', low: 0, high: 0 }] }, ''],
    [
      'missing what nobody has',
      { ranges: [{ param: 'x', test: 'missing', low: 0, high: 0 }] },
      'd c b a',
    ],
    ['a range and a token', { ranges: date('overlaps', 0, 100), tokens: [[OLD]] }, 'b a'],
    ['a type without resources', { type: 'Specimen' }, ''],
    ['another type', { type: 'Encounter', tokens: [[RED]] }, 'a'],
  ];
  it.each(rows)('finds by %s', async (_, set, expected) => {
    expect(await find(set)).toBe(expected);
    const count = await store().search.count(plan(tenant, set), 100);
    expect(count).toBe(expected === '' ? 0 : expected.split(' ').length);
  });

  it('answers whole rows and stops counting at the maximum', async () => {
    const { rows: found } = await store().search.find(plan(tenant, { ids: ['c'] }));
    expect(found[0]).toMatchObject({ type: 'Patient', version: 1, compartment: 'p1' });
    expect(textOf(found[0]?.body)).toBe('Patient/c version 1');
    expect(await store().search.count(plan(tenant), 3)).toBe(3);
  });

  it('finds the newest version by its own index entries only', async () => {
    const own = freshTenant();
    const ranges = (low: number) => [{ param: 'date', low, high: low }];
    await store().commit(writing(own, resource('p', { tokens: [RED], ranges: ranges(1) })));
    const next = resource('p', { expected: 1, tokens: [BLUE], ranges: ranges(2) });
    await store().commit(writing(own, next));
    const count = (set: Partial<SearchPlan>) => store().search.count(plan(own, set), 9);
    expect(await count({ tokens: [[RED]] })).toBe(0);
    expect(await count({ tokens: [[BLUE]] })).toBe(1);
    expect(await count({ ranges: date('overlaps', 1, 1) })).toBe(0);
    expect(await count({ ranges: date('overlaps', 2, 2) })).toBe(1);
  });
}

function sorting(find: Find): void {
  const by = (key: SearchPlan['sort']['by'], descending: boolean) => ({
    sort: { by: key, descending },
  });
  const rows: [string, Partial<SearchPlan>, string][] = [
    ['lastUpdated, oldest first', by('lastUpdated', false), 'a b c d'],
    ['id', by('id', false), 'a b c d'],
    ['id, descending', by('id', true), 'd c b a'],
    ['its lowest value, missing last', by({ param: 'date' }, false), 'd a b c'],
    ['its lowest value, descending, missing last', by({ param: 'date' }, true), 'b a d c'],
    ['a parameter nobody has: id', by({ param: 'none' }, true), 'a b c d'],
    ['a value, of a token', { tokens: [[BLUE]], ...by({ param: 'date' }, false) }, 'd b'],
  ];
  it.each(rows)('sorts by %s', async (_, set, expected) => {
    expect(await find(set)).toBe(expected);
  });
}

function paging(store: () => Store, tenant: string): void {
  const sorts: SearchPlan['sort'][] = [false, true].flatMap((descending) => [
    { by: 'lastUpdated', descending },
    { by: 'id', descending },
    { by: { param: 'date' }, descending },
  ]);
  it.each(sorts)('pages without gaps or repeats, sorted by %o', async (sort) => {
    const { rows, cursor: none } = await store().search.find(plan(tenant, { sort }));
    expect(none).toBeUndefined();
    const paged: string[] = [];
    let after: string | undefined;
    do {
      const set = after === undefined ? {} : { after };
      const page = await store().search.find(plan(tenant, { sort, limit: 1, ...set }));
      paged.push(...page.rows.map(({ id }) => id));
      after = page.cursor;
    } while (after !== undefined);
    expect(paged).toEqual(rows.map(({ id }) => id));
  });

  it('breaks ties by id, and keeps its place when rows before it change', async () => {
    const own = freshTenant();
    const ids = ['e', 'b', 'd', 'a', 'c'];
    const rows = ids.map((id) => resource(id, { lastUpdated: T0, tokens: [RED] }));
    await store().commit(writing(own, ...rows));
    const set = { tokens: [[RED]], limit: 2 };
    const first = await store().search.find(plan(own, set));
    await store().commit(writing(own, resource('a', { expected: 1, lastUpdated: T0 + 5 })));
    const after = first.cursor ?? '';
    const second = await store().search.find(plan(own, { ...set, after }));
    const third = await store().search.find(plan(own, { ...set, after: second.cursor ?? '' }));
    const seen = [first, second, third].map((page) => page.rows.map(({ id }) => id).join(''));
    expect(seen).toEqual(['ab', 'cd', 'e']);
    expect(first.cursor).toMatch(/^[\w-]+$/);
  });
}

function refusals(store: () => Store, tenant: string): void {
  const rows: [string, Partial<SearchPlan>][] = [
    ['a token that is not one', { tokens: [['" OR "']] }],
    ['a cursor nobody made', { after: 'bm9uc2Vuc2U' }],
    ['a limit of nothing', { limit: 0 }],
    ['a limit without end', { limit: Infinity }],
  ];
  it.each(rows)('refuses %s', async (_, set) => {
    await expect(store().search.find(plan(tenant, set))).rejects.toMatchObject({
      code: 'BAD_REQUEST',
    });
  });

  it('refuses the cursor of another sort', async () => {
    const { cursor = '' } = await store().search.find(plan(tenant, { limit: 1 }));
    const other = plan(tenant, { sort: { by: 'id', descending: false }, after: cursor });
    await expect(store().search.find(other)).rejects.toMatchObject({ code: 'BAD_REQUEST' });
  });

  it('takes any text as an id, a parameter or a type', async () => {
    const nasty = `'"; DROP TABLE resources; --`;
    const set = {
      type: nasty,
      ids: [nasty],
      ranges: [{ param: nasty, test: 'missing' as const, low: 0, high: 0 }],
      sort: { by: { param: nasty }, descending: true },
    };
    const own = freshTenant();
    await store().commit(writing(own, resource(nasty, { type: nasty })));
    expect((await store().search.find(plan(own, set))).rows).toHaveLength(1);
  });
}
