// Runs a search plan: from the cheapest row source when it is selective, else along an index in
// sort order, testing each row. Pages are cut by (sort value, id): ties neither repeat nor vanish.
import type { SQLInputValue } from 'node:sqlite';
import { type Place, readCursor, writeCursor } from '../cursor.ts';
import type { ResourceRow, SearchPlan } from '../port.ts';
import type { Connection } from './connection.ts';
import { readByVid } from './resource-reads.ts';
import {
  filterBy,
  join,
  listSources,
  type ResolvedPlan,
  resolvePlan,
  type Source,
  type Sql,
  sql,
} from './search-filter.ts';

/** Cost of testing one row while walking, in rows taken from a source (measured: 2 to 4). */
const WALK_COST = 3;
const DRIVE_ROWS_MIN = 1_000;

interface Hit {
  vid: number;
  id: string;
  key: number | null;
}

export function findResources(
  db: Connection,
  plan: SearchPlan,
): { rows: ResourceRow[]; cursor?: string } {
  const place = readCursor(plan);
  const resolved = resolvePlan(db, plan);
  if (!resolved) return { rows: [] };
  const hits = findHits(db, resolved, place);
  const page = hits.slice(0, plan.limit);
  const rows = page.map((hit) => readByVid(db, plan.type, hit.id, hit.vid));
  const last = page.at(-1);
  if (hits.length <= plan.limit || !last) return { rows };
  return { rows, cursor: writeCursor(plan, last) };
}

/** Stops at `max`. */
export function countMatches(db: Connection, plan: SearchPlan, max: number): number {
  const resolved = resolvePlan(db, plan);
  if (!resolved) return 0;
  const source =
    chooseSource(db, resolved, max + DRIVE_ROWS_MIN) ??
    listSources(resolved)[0] ??
    wholeType(resolved);
  const query = join([
    sql('SELECT count(*) AS n FROM (SELECT 1 FROM '),
    source.from,
    sql(' WHERE '),
    source.where,
    filterBy(resolved, source.name),
    sql(' LIMIT ?)', max),
  ]);
  return run<{ n: number }>(db, query)[0]?.n ?? 0;
}

/** One more than the limit, so that the caller sees whether there is a next page. */
function findHits(db: Connection, resolved: ResolvedPlan, place: Place | undefined): Hit[] {
  return hitQueries(db, resolved, place).reduce<Hit[]>((hits, query) => {
    const wanted = resolved.plan.limit + 1 - hits.length;
    return wanted > 0 ? hits.concat(run<Hit>(db, query(wanted))) : hits;
  }, []);
}

/** The queries that answer a plan, to be run in order until the page is full. */
export function hitQueries(
  db: Connection,
  resolved: ResolvedPlan,
  place: Place | undefined,
): ((limit: number) => Sql)[] {
  const source = chooseSource(db, resolved, tippingPoint(resolved));
  if (source) return [(limit) => driveQuery(resolved, source, place, limit)];
  const { by } = resolved.plan.sort;
  if (typeof by === 'string') return [(limit) => walkQuery(resolved, by, place, limit)];
  return [
    (limit) => walkParamQuery(resolved, place, limit),
    (limit) => walkMissingQuery(resolved, place, limit),
  ];
}

/**
 * Driving by a source costs its rows; walking costs limit * total / rows tests. They are equal at
 * rows = sqrt(limit * total * WALK_COST).
 */
function tippingPoint({ plan, total }: ResolvedPlan): number {
  const rows = Math.sqrt((plan.limit + 1) * Math.max(total, 1) * WALK_COST);
  return Math.max(DRIVE_ROWS_MIN, Math.ceil(rows));
}

/**
 * The source with the fewest rows, if they are fewer than `cap`. With tokens there is always one:
 * FTS5 must list the rows that have them in any case, as it cannot test a single row cheaply.
 */
function chooseSource(db: Connection, resolved: ResolvedPlan, cap: number): Source | undefined {
  const sources = listSources(resolved);
  if (sources.length === 1 && sources[0]?.name === 'tokens') return sources[0];
  let best = sources.find((source) => source.name === 'tokens');
  let fewest = cap;
  for (const source of sources) {
    const rows = countSource(db, source, fewest);
    if (rows < fewest) {
      best = source;
      fewest = rows;
    }
  }
  return best;
}

function countSource(db: Connection, source: Source, cap: number): number {
  const parts = [sql('SELECT count(*) AS n FROM (SELECT 1 FROM '), source.from, sql(' WHERE ')];
  const query = join([...parts, source.where, sql(' LIMIT ?)', cap)]);
  return run<{ n: number }>(db, query)[0]?.n ?? 0;
}

function wholeType({ cid }: ResolvedPlan): Source {
  const from = sql('resources r INDEXED BY resources_by_time');
  return { name: 'time', from, where: sql('r.cid = ? AND r.state = 0', cid) };
}

/** Takes the source's rows, keeps those that match, sorts them. */
function driveQuery(
  resolved: ResolvedPlan,
  source: Source,
  place: Place | undefined,
  limit: number,
): Sql {
  const { by, descending } = resolved.plan.sort;
  const inner = [sql('SELECT r.vid, r.id, '), sortKey(resolved), sql(' AS key FROM '), source.from];
  const order = by === 'id' ? idOrder(descending) : keyOrder(descending);
  return join([
    sql('SELECT * FROM ('),
    ...inner,
    sql(' WHERE '),
    source.where,
    filterBy(resolved, source.name),
    sql(')'),
    place ? join([sql(' WHERE '), after(resolved.plan, place)]) : sql(''),
    sql(` ORDER BY ${order} LIMIT ?`, limit),
  ]);
}

function sortKey({ plan, sortFid }: ResolvedPlan): Sql {
  if (plan.sort.by === 'lastUpdated') return sql('r.last_updated');
  if (plan.sort.by === 'id') return sql('NULL');
  return sql('(SELECT min(s.low) FROM ranges s WHERE s.rid = r.rid AND s.fid = ?)', sortFid);
}

const idOrder = (descending: boolean): string => (descending ? 'id DESC' : 'id');
const keyOrder = (descending: boolean): string =>
  `key IS NULL, key ${descending ? 'DESC' : 'ASC'}, id`;

/** Rows behind `place`, over the columns `key` and `id`. */
function after(plan: SearchPlan, { key, id }: Place): Sql {
  const { by, descending } = plan.sort;
  if (by === 'id') return sql(`id ${descending ? '<' : '>'} ?`, id);
  if (key === null) return sql('(key IS NULL AND id > ?)', id);
  const beyond = descending ? '<' : '>';
  return sql(`(key ${beyond} ? OR (key = ? AND id > ?) OR key IS NULL)`, key, key, id);
}

/** Walks the type in order of lastUpdated or id until the page is full. */
function walkQuery(
  resolved: ResolvedPlan,
  by: 'lastUpdated' | 'id',
  place: Place | undefined,
  limit: number,
): Sql {
  const { descending } = resolved.plan.sort;
  const index = by === 'id' ? 'resources_by_id' : 'resources_by_time';
  const key = by === 'id' ? 'NULL' : 'r.last_updated';
  const order =
    by === 'id' ? `r.${idOrder(descending)}` : `r.last_updated${descending ? ' DESC' : ''}, r.id`;
  return join([
    sql(`SELECT r.vid, r.id, ${key} AS key FROM resources r INDEXED BY ${index}`),
    sql(' WHERE r.cid = ?', resolved.cid),
    filterBy(resolved, 'walk'),
    place ? walkAfter(by, descending, place) : sql(''),
    sql(` ORDER BY ${order} LIMIT ?`, limit),
  ]);
}

function walkAfter(by: 'lastUpdated' | 'id', descending: boolean, { key, id }: Place): Sql {
  if (by === 'id') return sql(` AND r.id ${descending ? '<' : '>'} ?`, id);
  const beyond = descending ? '<' : '>';
  const column = 'r.last_updated';
  return sql(` AND ${column} ${beyond}= ? AND (${column} ${beyond} ? OR r.id > ?)`, key, key, id);
}

/** Walks the sort parameter's lowest entries, class by class, and merges the classes. */
function walkParamQuery(resolved: ResolvedPlan, place: Place | undefined, limit: number): Sql {
  const { sortFid: fid, sortSpans, plan } = resolved;
  const { descending } = plan.sort;
  if (sortSpans.length === 0 || (place && place.key === null)) return NOTHING;
  const beyond = descending ? '<' : '>';
  const behind = place
    ? sql(
        ` AND e.low ${beyond}= ? AND (e.low ${beyond} ? OR r.id > ?)`,
        place.key,
        place.key,
        place.id,
      )
    : sql('');
  const parts = sortSpans.map((span) =>
    join([
      sql(
        `SELECT * FROM (SELECT r.vid, r.id, e.low AS key FROM ranges e INDEXED BY ranges_by_value
          CROSS JOIN resources r ON r.rid = e.rid
          WHERE e.fid = ? AND e.span = ${span} AND ${LOWEST}`,
        fid,
      ),
      filterBy(resolved, 'walk'),
      behind,
      sql(` ORDER BY e.low${descending ? ' DESC' : ''}, r.id LIMIT ?)`, limit),
    ]),
  );
  const union = {
    text: parts.map((part) => part.text).join(' UNION ALL '),
    values: parts.flatMap((part) => part.values),
  };
  const order = ` ORDER BY key${descending ? ' DESC' : ''}, id LIMIT ?`;
  return join([sql('SELECT * FROM ('), union, sql(`)${order}`, limit)]);
}

/** Of a resource's entries of one parameter, the first in the table's own order. */
const LOWEST = `(e.low, e.high) = (SELECT s.low, s.high FROM ranges s
  WHERE s.rid = e.rid AND s.fid = e.fid ORDER BY s.low, s.high LIMIT 1)`;
const NOTHING: Sql = { text: 'SELECT 0 AS vid, NULL AS id, NULL AS key LIMIT 0', values: [] };

/** The resources without the sort parameter, by id. */
function walkMissingQuery(resolved: ResolvedPlan, place: Place | undefined, limit: number): Sql {
  const behind = place && place.key === null ? sql(' AND r.id > ?', place.id) : sql('');
  const entry = 'SELECT 1 FROM ranges s WHERE s.rid = r.rid AND s.fid = ?';
  return join([
    sql('SELECT r.vid, r.id, NULL AS key FROM resources r INDEXED BY resources_by_id'),
    sql(` WHERE r.cid = ? AND NOT EXISTS (${entry})`, resolved.cid, resolved.sortFid),
    filterBy(resolved, 'walk'),
    behind,
    sql(' ORDER BY r.id LIMIT ?', limit),
  ]);
}

function run<T extends object>(db: Connection, query: Sql): T[] {
  const values: SQLInputValue[] = query.values;
  return db.all<T>(query.text, ...values);
}
