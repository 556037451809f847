// How SQLite runs the main forms of search: along an index, never through all resources.
import type { SQLInputValue } from 'node:sqlite';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { SearchPlan } from '../../src/store/port.ts';
import { type Connection, openReader } from '../../src/store/sqlite/connection.ts';
import { hitQueries } from '../../src/store/sqlite/find.ts';
import { messagesQuery } from '../../src/store/sqlite/intake-reads.ts';
import { openSqliteStore, type SqliteStore } from '../../src/store/sqlite/open.ts';
import { resolvePlan } from '../../src/store/sqlite/search-filter.ts';
import { plan, resource, T0, token, writing } from '../support/store-units.ts';
import { temporaryFolder } from './folder.ts';

const files = temporaryFolder();
let store: SqliteStore;
let db: Connection;

beforeAll(async () => {
  const folder = files.path('data');
  store = await openSqliteStore({ folder });
  for (let n = 0; n < 3000; n += 250) {
    const rows = Array.from({ length: 250 }, (_, k) => example(n + k));
    await store.commit(writing('t', ...rows));
  }
  db = openReader(folder);
});
afterAll(async () => {
  db.close();
  await store.close();
  files.remove();
});

function example(n: number) {
  return resource(`p${n}`, {
    lastUpdated: T0 + n,
    compartment: `c${n % 500}`,
    tokens: [token(`p${n % 500}`), token(`s${n % 2}`)],
    ranges: [{ param: 'date', low: n * 1000, high: n * 1000 + 999 }],
  });
}

const few = { param: 'date', test: 'overlaps' as const, low: 5000, high: 9000 };
const most = { param: 'date', test: 'overlaps' as const, low: 5000, high: Infinity };
const byDate = { by: { param: 'date' }, descending: true };
const rows: [string, Partial<SearchPlan>, RegExp][] = [
  ['a token', { tokens: [[token('p7')]] }, /SCAN f VIRTUAL TABLE INDEX \d+:.*M/],
  ['token and range', { tokens: [[token('p7')]], ranges: [most] }, /SCAN f VIRTUAL TABLE/],
  ['token, sorted', { tokens: [[token('p7')]], sort: byDate }, /SCAN f VIRTUAL TABLE/],
  [
    'a common token and a small range',
    { tokens: [[token('s1')]], ranges: [few] },
    /ranges_by_value/,
  ],
  [
    'a small range',
    { ranges: [few] },
    /ranges_by_value \(fid=\? AND span=\? AND low>\? AND low<\?\)/,
  ],
  [
    'a small range, sorted',
    { ranges: [few], sort: byDate },
    /ranges_by_value \(fid=\? AND span=\? AND low>/,
  ],
  [
    'a wide range, sorted',
    { ranges: [most], sort: byDate },
    /ranges_by_value \(fid=\? AND span=\?/,
  ],
  ['nothing, sorted', { sort: byDate }, /ranges_by_value \(fid=\? AND span=\?/],
  [
    'lastUpdated',
    { lastUpdated: [{ low: T0, high: T0 + 9 }] },
    /resources_by_time \(cid=\? AND last_updated/,
  ],
  ['the newest', {}, /resources_by_time \(cid=\?\)/],
  [
    'compartments',
    { compartments: ['c1', 'c2'] },
    /resources_by_compartment \(compartment=\? AND cid=\?\)/,
  ],
  ['ids', { ids: ['p1', 'p2'] }, /resources_by_id \(cid=\? AND id=\?\)/],
];

it.each(rows)('uses an index for %s', (_, set, index) => {
  const steps = explain(plan('t', { limit: 20, ...set }));
  expect(steps.join('\n')).toMatch(index);
  const scans = steps.filter((step) => step.startsWith('SCAN'));
  // What is scanned: the matches of FTS5, a list in a value, or a subquery named below.
  for (const scan of scans) expect(scan).toMatch(/VIRTUAL TABLE|\(subquery-|SCAN d|CONSTANT ROW/);
});

it('reads the newest of a type without sorting the type', () => {
  const steps = explain(plan('t', { limit: 20 }));
  expect(steps.join('\n')).not.toMatch(/TEMP B-TREE FOR ORDER BY/);
});

it.each([
  ['all', {}, /SCAN m$/m],
  ['a channel', { channel: 'adt' }, /SCAN m$/m],
  ['those that wait', { state: 'received' as const }, /SCAN m USING INDEX intake_waiting/],
  ['set aside', { state: 'set-aside' as const }, /intake_set_aside \(tenant=\?/],
  ['a patient', { compartment: 'p1' }, /intake_by_compartment \(tenant=\? AND compartment=\?/],
  ['a duplicate', { dedupe: 'd1' }, /intake_by_dedupe \(tenant=\? AND dedupe=\?\)/],
])('lists messages in their order without sorting: %s', (_, filter, index) => {
  const { text, values } = messagesQuery(filter);
  const steps = explainText(text, ['t', ...values, 10]).join('\n');
  expect(steps).toMatch(index);
  if (!('dedupe' in filter)) expect(steps).not.toMatch(/TEMP B-TREE/);
});

function explain(search: SearchPlan): string[] {
  const resolved = resolvePlan(db, search);
  if (!resolved) throw new Error('the plan matches nothing');
  const [first] = hitQueries(db, resolved, undefined);
  const query = first?.(search.limit + 1);
  if (!query) throw new Error('the plan has no query');
  return explainText(query.text, query.values);
}

function explainText(text: string, values: SQLInputValue[]): string[] {
  return db
    .all<{ detail: string }>(`EXPLAIN QUERY PLAN ${text}`, ...values)
    .map(({ detail }) => detail);
}
