// Runs a plan: the documents a reader sees, in order, with skip, limit and projection; also
// aggregation (its head runs on indexes, the rest in mingo), distinct, and the answer of explain.
import { Aggregator, ProcessingMode, Query } from 'mingo';
import type { Collection } from './collection.ts';
import { badValue, ServerError } from './errors.ts';
import { compile, guard, refuseOperators } from './match.ts';
import { type Plan, plan, type Sort } from './planner.ts';
import { type DocRecord, visible } from './record.ts';
import type { Txn } from './transaction.ts';
import { type Doc, encode, invert, isDoc, valuesAt } from './values.ts';

export interface Selection {
  filter: Doc;
  sort?: Sort;
  skip?: number;
  /** 0 or absent = no limit. */
  limit?: number;
  hint?: unknown;
}

export interface Hit {
  record: DocRecord;
  doc: Doc;
}

export interface Selected {
  hits: Hit[];
  plan: Plan;
  keysExamined: number;
  docsExamined: number;
}

const STAGES = new Set(
  '$match $sort $limit $skip $group $project $count $unwind $lookup $addFields $set $unset'
    .concat(' $replaceRoot $replaceWith $facet $sortByCount $unionWith')
    .split(' '),
);
/** Stages that mingo runs on the documents themselves. */
const CHANGING = new Set(['$addFields', '$set', '$unset', '$unwind', '$project', '$lookup']);

export function select(collection: Collection, query: Selection, txn: Txn | undefined): Selected {
  const sort = query.sort ?? {};
  const matches = compile(query.filter);
  const chosen = plan(collection, query.filter, sort, query.hint);
  const ordered = Object.keys(sort).length === 0 || chosen.sorted;
  const need = (query.skip ?? 0) + (query.limit || Number.POSITIVE_INFINITY);
  const found: Selected = { hits: [], plan: chosen, keysExamined: 0, docsExamined: 0 };
  const enough = ordered ? need : Number.POSITIVE_INFINITY;
  if (chosen.kind === 'COLLSCAN') scanAll(collection, matches, txn, enough, found);
  else scanIndexes(chosen, matches, txn, enough, found, Object.keys(sort).length === 0);
  const ranges = chosen.scans.reduce((sum, scan) => sum + scan.ranges.length, 0);
  if (Object.keys(sort).length > 0 && (!ordered || ranges !== 1)) sortHits(found.hits, sort);
  found.hits = found.hits.slice(query.skip ?? 0, need);
  return found;
}

function scanAll(
  collection: Collection,
  matches: (doc: Doc) => boolean,
  txn: Txn | undefined,
  enough: number,
  found: Selected,
): void {
  for (const record of collection.records.values()) {
    const doc = visible(record, txn);
    if (doc === null) continue;
    found.docsExamined++;
    if (matches(doc) && found.hits.push({ record, doc }) >= enough) return;
  }
}

function scanIndexes(
  chosen: Plan,
  matches: (doc: Doc) => boolean,
  txn: Txn | undefined,
  enough: number,
  found: Selected,
  unsorted: boolean,
): void {
  const seen = new Set<DocRecord>();
  for (const { index, ranges, backward } of chosen.scans) {
    for (const { low, high } of ranges) {
      let here = 0;
      for (const { key, record } of index.entries.range(low, high, backward)) {
        found.keysExamined++;
        if (seen.has(record)) continue;
        const doc = visible(record, txn);
        // A key may belong to an older version, or to a write that this reader does not see.
        if (doc === null || !index.keysOf(doc).includes(key)) continue;
        seen.add(record);
        found.docsExamined++;
        if (!matches(doc)) continue;
        found.hits.push({ record, doc });
        if (++here >= enough || (unsorted && found.hits.length >= enough)) break;
      }
      if (unsorted && found.hits.length >= enough) return;
    }
  }
}

function sortHits(hits: Hit[], sort: Sort): void {
  const keyed = hits.map((hit) => ({ hit, key: sortKey(hit.doc, sort) }));
  keyed.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
  hits.length = 0;
  for (const { hit } of keyed) hits.push(hit);
}

/** An array sorts by its smallest element, or by its greatest where the order is descending. */
function sortKey(doc: Doc, sort: Sort): string {
  let key = '';
  for (const [path, order] of Object.entries(sort)) {
    const values = valuesAt(doc, path);
    const scalars = values.filter((value) => !Array.isArray(value));
    const keys = (scalars.length > 0 ? scalars : values).map(encode).sort();
    const piece = (order < 0 ? keys.at(-1) : keys[0]) ?? '';
    key += order < 0 ? invert(piece) : piece;
  }
  return key;
}

/** Applies a find projection. */
export function project(docs: Doc[], projection: unknown): Doc[] {
  if (!isDoc(projection) || Object.keys(projection).length === 0) return docs;
  const flat = flatProjection(projection);
  if (flat !== undefined) return docs.map(flat);
  refuseOperators(projection);
  return guard(() => new Query({}, { scriptEnabled: false }).find<Doc>(docs, projection).all());
}

/** The plain case, fields of the top level all taken or all left out, without mingo. */
function flatProjection(projection: Doc): ((doc: Doc) => Doc) | undefined {
  const { _id: id = 1, ...rest } = projection;
  const names = new Set(Object.keys(rest));
  if ([...names].some((name) => name.includes('.')) || (id !== 0 && id !== 1)) return undefined;
  const keep = Object.values(rest).every((way) => way === 1 || way === true);
  if (!keep && !Object.values(rest).every((way) => way === 0 || way === false)) return undefined;
  const taking = keep && names.size > 0;
  if (id === 1) names[taking ? 'add' : 'delete']('_id');
  else names[taking ? 'delete' : 'add']('_id');
  return (doc) =>
    Object.fromEntries(Object.entries(doc).filter(([name]) => names.has(name) === taking));
}

/** What the head of a pipeline asks of the collection, and the stages that are left. */
export function headOf(pipeline: Doc[]): { selection: Selection; rest: Doc[] } {
  const rest = pipeline.map((stage) => checkStage(stage));
  const filters: Doc[] = [];
  while (isDoc(rest[0]?.$match)) filters.push(rest.shift()?.$match as Doc);
  const selection: Selection = { filter: filters.length === 1 ? (filters[0] ?? {}) : and(filters) };
  if (isDoc(rest[0]?.$sort)) selection.sort = rest.shift()?.$sort as Sort;
  if (typeof rest[0]?.$skip === 'number') selection.skip = rest.shift()?.$skip as number;
  if (typeof rest[0]?.$limit === 'number') selection.limit = rest.shift()?.$limit as number;
  return { selection, rest };
}

function and(filters: Doc[]): Doc {
  return filters.length === 0 ? {} : { $and: filters };
}

function checkStage(stage: Doc): Doc {
  const [name, ...more] = Object.keys(stage);
  if (name === undefined || more.length > 0) {
    throw new ServerError(40323, 'Location40323', 'a pipeline stage has exactly one field');
  }
  if (!STAGES.has(name)) {
    throw new ServerError(40324, 'Location40324', `stand-in refuses the pipeline stage ${name}`);
  }
  refuseOperators(stage);
  return stage;
}

/** `resolve` gives the documents of another collection of the database, for $lookup. */
export function aggregate(
  collection: Collection,
  pipeline: Doc[],
  hint: unknown,
  variables: Doc,
  txn: Txn | undefined,
  resolve: (name: string) => Doc[],
): { docs: Doc[]; selected: Selected; rest: Doc[] } {
  const { selection, rest } = headOf(pipeline);
  if (hint !== undefined) selection.hint = hint;
  const selected = select(collection, selection, txn);
  const docs = selected.hits.map(({ doc }) => doc);
  if (rest.length === 0) return { docs, selected, rest };
  return { docs: runStages(docs, rest, variables, resolve), selected, rest };
}

export function runStages(
  docs: Doc[],
  stages: Doc[],
  variables: Doc = {},
  resolve: (name: string) => Doc[] = () => [],
): Doc[] {
  const changes = stages.some((stage) => CHANGING.has(Object.keys(stage)[0] ?? ''));
  return guard(() =>
    new Aggregator(stages, {
      scriptEnabled: false,
      variables,
      collectionResolver: resolve,
      processingMode: changes ? ProcessingMode.CLONE_INPUT : ProcessingMode.CLONE_OFF,
    }).run<Doc>(docs),
  );
}

export function distinct(docs: Doc[], path: string): unknown[] {
  if (typeof path !== 'string') throw badValue('distinct needs a key');
  const values = new Map<string, unknown>();
  for (const doc of docs) {
    for (const value of valuesAt(doc, path)) {
      if (value !== undefined && !Array.isArray(value)) values.set(encode(value), value);
    }
  }
  return [...values].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, value]) => value);
}
