// The conditions of a search plan as SQL over a resource row `r`, and the row sources that can
// drive the search. Everything that comes from a plan is a bound value, never SQL text.
import type { SQLInputValue } from 'node:sqlite';
import type { RangeTest, SearchPlan } from '../port.ts';
import { checkPlan } from '../port-rules.ts';
import type { Connection } from './connection.ts';
import { spanWidthMax } from './spans.ts';

export interface Sql {
  text: string;
  values: SQLInputValue[];
}

/** A FROM clause that yields `r`, with its own conditions; all other conditions are added to it. */
export interface Source {
  name: 'ids' | 'tokens' | 'compartments' | 'ranges' | 'time';
  from: Sql;
  where: Sql;
}

/** A plan with its names looked up. */
export interface ResolvedPlan {
  plan: SearchPlan;
  cid: number;
  /** Live resources of the type. */
  total: number;
  /** Tests whose parameter has entries; the others were decided while resolving. */
  ranges: (RangeTest & { fid: number; spans: number[] })[];
  sortFid: number | null;
  sortSpans: number[];
}

/** undefined = nothing can match. Throws BAD_REQUEST when the plan breaks a limit or form. */
export function resolvePlan(db: Connection, plan: SearchPlan): ResolvedPlan | undefined {
  checkPlan(plan);
  const collection = db.one<{ cid: number; live: number }>(
    `SELECT c.cid, c.live FROM names t CROSS JOIN collections c ON c.tenant = t.nid
      WHERE t.name = ? AND c.type = ?`,
    plan.tenant,
    plan.type,
  );
  if (!collection || plan.tokens.some((group) => group.length === 0)) return undefined;
  const { cid, live } = collection;
  const ranges: ResolvedPlan['ranges'] = [];
  for (const test of plan.ranges) {
    const fid = findField(db, cid, test.param);
    const spans = fid === null ? [] : listSpans(db, fid);
    if (fid !== null && spans.length > 0) ranges.push({ ...test, fid, spans });
    else if (test.test !== 'missing') return undefined;
  }
  const { by } = plan.sort;
  const sortFid = typeof by === 'string' ? null : findField(db, cid, by.param);
  const sortSpans = sortFid === null ? [] : listSpans(db, sortFid);
  return { plan, cid, total: live, ranges, sortFid, sortSpans };
}

function findField(db: Connection, cid: number, param: string): number | null {
  const sql = 'SELECT fid FROM fields WHERE cid = ? AND param = ?';
  return db.one<{ fid: number }>(sql, cid, param)?.fid ?? null;
}

/** The classes that have entries, found by skipping through the index. */
function listSpans(db: Connection, fid: number): number[] {
  const sql = 'SELECT min(span) AS span FROM ranges WHERE fid = ? AND span > ?';
  const spans: number[] = [];
  for (let last = -1; ; ) {
    const next = db.one<{ span: number | null }>(sql, fid, last)?.span ?? null;
    if (next === null) return spans;
    spans.push(next);
    last = next;
  }
}

/** `"a" AND ("b" OR "c")` in the language of FTS5. */
export function matchText(groups: string[][]): string {
  return groups.map((group) => `(${group.map((t) => `"${t}"`).join(' OR ')})`).join(' AND ');
}

/** The conditions on `r` that `source` does not already make, each with a leading AND. */
export function filterBy(resolved: ResolvedPlan, source: Source['name'] | 'walk'): Sql {
  const { plan } = resolved;
  const parts: Sql[] = [sql(' AND r.state = 0')];
  if (plan.ids && source !== 'ids') parts.push(within('r.id', plan.ids));
  if (plan.tokens.length > 0 && source !== 'tokens') {
    // `+` keeps SQLite from driving by this list: the source was chosen already.
    const matches = 'SELECT rowid FROM tokens WHERE tokens MATCH ?';
    parts.push(sql(` AND +r.rid IN (${matches})`, matchText(plan.tokens)));
  }
  if (plan.compartments && source !== 'compartments') {
    parts.push(within('r.compartment', plan.compartments));
  }
  for (const test of resolved.ranges) parts.push(rangeCondition(test));
  const bounds = lastUpdatedBounds(plan);
  if (bounds) parts.push(sql(' AND r.last_updated BETWEEN ? AND ?', bounds.low, bounds.high));
  return join(parts);
}

/** All the plan's bounds on lastUpdated hold at once. */
export function lastUpdatedBounds(plan: SearchPlan): { low: number; high: number } | undefined {
  if (!plan.lastUpdated || plan.lastUpdated.length === 0) return undefined;
  return {
    low: Math.max(...plan.lastUpdated.map((range) => range.low)),
    high: Math.min(...plan.lastUpdated.map((range) => range.high)),
  };
}

function within(column: string, values: string[]): Sql {
  return sql(` AND ${column} IN (SELECT value FROM json_each(?))`, JSON.stringify(values));
}

function rangeCondition({ test, fid, low, high }: ResolvedPlan['ranges'][number]): Sql {
  const entry = 'EXISTS (SELECT 1 FROM ranges g WHERE g.rid = r.rid AND g.fid = ?';
  if (test === 'missing') return sql(` AND NOT ${entry})`, fid);
  if (test === 'present') return sql(` AND ${entry})`, fid);
  if (test === 'within')
    return sql(` AND ${entry} AND g.low >= ? AND g.high <= ?)`, fid, low, high);
  return sql(` AND ${entry} AND g.low <= ? AND g.high >= ?)`, fid, high, low);
}

/** Sources that the plan allows, cheapest to look at first. */
export function listSources(resolved: ResolvedPlan): Source[] {
  const { plan, cid } = resolved;
  const sources: Source[] = [];
  const byCid = (name: Source['name'], index: string, where: Sql): void => {
    const from = sql(`resources r INDEXED BY ${index}`);
    sources.push({ name, from, where: join([sql('r.cid = ?', cid), where]) });
  };
  if (plan.ids) byCid('ids', 'resources_by_id', within('r.id', plan.ids));
  if (plan.compartments) {
    byCid('compartments', 'resources_by_compartment', within('r.compartment', plan.compartments));
  }
  if (plan.tokens.length > 0) {
    sources.push({
      name: 'tokens',
      from: sql('tokens f CROSS JOIN resources r ON r.rid = f.rowid'),
      where: sql('f.tokens MATCH ? AND r.cid = ?', matchText(plan.tokens), cid),
    });
  }
  for (const test of resolved.ranges) {
    if (test.test === 'overlaps' || test.test === 'within') sources.push(rangeSource(cid, test));
  }
  const bounds = lastUpdatedBounds(plan);
  if (bounds) {
    const where = sql(
      ' AND r.state = 0 AND r.last_updated BETWEEN ? AND ?',
      bounds.low,
      bounds.high,
    );
    byCid('time', 'resources_by_time', where);
  }
  return sources;
}

function rangeSource(cid: number, test: ResolvedPlan['ranges'][number]): Source {
  const parts = test.spans.map((span) => rangeOfSpan(test, span));
  const union = parts.map((part) => part.text).join(' UNION ');
  const from = `(${union}) d CROSS JOIN resources r ON r.rid = d.rid`;
  return {
    name: 'ranges',
    from: { text: from, values: parts.flatMap((part) => part.values) },
    where: sql('r.cid = ?', cid),
  };
}

function rangeOfSpan(test: ResolvedPlan['ranges'][number], span: number): Sql {
  // Twice the width: a rounded difference must not cut off an entry at the very edge.
  const lowest = test.test === 'overlaps' ? test.low - 2 * spanWidthMax(span) : test.low;
  const highBound = test.test === 'overlaps' ? 'high >= ?' : 'high <= ?';
  return sql(
    `SELECT rid FROM ranges
      WHERE fid = ? AND span = ${span} AND low BETWEEN ? AND ? AND ${highBound}`,
    test.fid,
    lowest,
    test.high,
    test.test === 'overlaps' ? test.low : test.high,
  );
}

export function sql(text: string, ...values: SQLInputValue[]): Sql {
  return { text, values };
}

export function join(parts: Sql[]): Sql {
  return {
    text: parts.map((part) => part.text).join(''),
    values: parts.flatMap((part) => part.values),
  };
}
