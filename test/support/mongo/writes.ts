// insert, update, delete and findAndModify, one statement at a time. Outside a transaction a
// statement that meets a held document waits for the end of that transaction and starts anew.
import type { Collection } from './collection.ts';
import { ServerError } from './errors.ts';
import { compile } from './match.ts';
import type { Sort } from './planner.ts';
import { type Hit, project, type Selection, select } from './reads.ts';
import { Busy, type Txn } from './transaction.ts';
import { type UpdateSpec, updated, upserted } from './update-document.ts';
import { type Doc, isDoc } from './values.ts';

export interface WriteContext {
  txn: Txn | undefined;
  /** ms since the epoch after which waiting ends with MaxTimeMSExpired; infinity = no limit. */
  deadline: number;
}

/** Runs one statement; again after each transaction that held one of its documents. */
export async function settled<T>(context: WriteContext, statement: () => T): Promise<T> {
  for (;;) {
    try {
      return statement();
    } catch (error) {
      if (!(error instanceof Busy)) throw error;
      await waitFor(error.txn, context.deadline);
    }
  }
}

async function waitFor(txn: Txn, deadline: number): Promise<void> {
  if (deadline === Number.POSITIVE_INFINITY) return txn.ended;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const expired = new ServerError(50, 'MaxTimeMSExpired', 'operation exceeded time limit');
    timer = setTimeout(() => reject(expired), Math.max(0, deadline - Date.now()));
  });
  try {
    await Promise.race([txn.ended, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** `{ n, writeErrors? }` over all statements; `run` does the i-th. */
async function statements(
  count: number,
  ordered: boolean,
  context: WriteContext,
  run: (at: number) => void,
): Promise<Doc[]> {
  const errors: Doc[] = [];
  for (let at = 0; at < count; at++) {
    try {
      await settled(context, () => run(at));
    } catch (error) {
      const perDocument = error instanceof ServerError && !COMMAND_ERRORS.has(error.code);
      if (!perDocument) throw error;
      errors.push({ index: at, code: error.code, errmsg: error.message, ...error.extra });
      if (ordered || context.txn !== undefined) break;
    }
  }
  return errors;
}

/** Errors that fail the command, not one of its statements. */
const COMMAND_ERRORS = new Set([50, 112, 251]);

export async function insert(
  collection: Collection,
  docs: Doc[],
  ordered: boolean,
  context: WriteContext,
): Promise<Doc> {
  let n = 0;
  const errors = await statements(docs.length, ordered, context, (at) => {
    const doc = docs[at] ?? {};
    insertOne(collection, doc, context.txn);
    n++;
  });
  return reply({ n }, errors);
}

function insertOne(collection: Collection, doc: Doc, txn: Txn | undefined): Doc {
  const whole = '_id' in doc && Object.keys(doc)[0] !== '_id' ? { _id: doc._id, ...doc } : doc;
  if (!('_id' in whole))
    throw new ServerError(2, 'BadValue', 'stand-in wants the driver to set _id');
  if (Array.isArray(whole._id)) throw new ServerError(53, 'InvalidIdField', '_id is an array');
  collection.write(collection.recordForInsert(whole, txn), whole, txn);
  return whole;
}

export async function update(
  collection: Collection,
  updates: Doc[],
  ordered: boolean,
  variables: Doc | undefined,
  context: WriteContext,
): Promise<Doc> {
  const upsertedIds: Doc[] = [];
  let [n, nModified] = [0, 0];
  const errors = await statements(updates.length, ordered, context, (at) => {
    const done = updateOne(collection, updates[at] ?? {}, variables, context.txn);
    n += done.matched;
    nModified += done.modified;
    if (done.upserted !== undefined) upsertedIds.push({ index: at, _id: done.upserted._id });
  });
  const counts = { n: n + upsertedIds.length, nModified };
  return reply(upsertedIds.length > 0 ? { ...counts, upserted: upsertedIds } : counts, errors);
}

function updateOne(
  collection: Collection,
  statement: Doc,
  variables: Doc | undefined,
  txn: Txn | undefined,
): { matched: number; modified: number; upserted?: Doc } {
  allowOnly(statement, ['q', 'u', 'upsert', 'multi', 'arrayFilters', 'hint', 'sort', 'c']);
  const spec = specOf(statement.q, statement.u, statement.arrayFilters, variables);
  const { hits } = select(
    collection,
    { ...selection(statement.q, statement.sort, statement.hint), limit: statement.multi ? 0 : 1 },
    txn,
  );
  if (hits.length === 0 && statement.upsert === true) {
    return { matched: 0, modified: 0, upserted: insertOne(collection, upserted(spec), txn) };
  }
  return { matched: hits.length, modified: writeAll(collection, hits, spec, txn) };
}

/** Every document is known to be free before the first is written: no half done statement waits. */
function writeAll(
  collection: Collection,
  hits: Hit[],
  spec: UpdateSpec,
  txn: Txn | undefined,
): number {
  let modified = 0;
  for (const { record } of hits) collection.checkFree(record, txn);
  for (const { record, doc } of hits) {
    const next = updated(doc, spec);
    if (next === undefined) continue;
    collection.write(record, next, txn);
    modified++;
  }
  return modified;
}

export async function remove(
  collection: Collection,
  deletes: Doc[],
  ordered: boolean,
  context: WriteContext,
): Promise<Doc> {
  let n = 0;
  const errors = await statements(deletes.length, ordered, context, (at) => {
    const statement = deletes[at] ?? {};
    allowOnly(statement, ['q', 'limit', 'hint']);
    const wanted = { ...selection(statement.q, undefined, statement.hint) };
    const limit = Number(statement.limit ?? 0);
    const { hits } = select(collection, { ...wanted, limit }, context.txn);
    for (const { record } of hits) collection.checkFree(record, context.txn);
    for (const { record } of hits) {
      collection.write(record, null, context.txn);
      n++;
    }
  });
  return reply({ n }, errors);
}

export async function findAndModify(
  collection: Collection,
  command: Doc,
  context: WriteContext,
): Promise<Doc> {
  return settled(context, () => modifyOne(collection, command, context.txn));
}

function modifyOne(collection: Collection, command: Doc, txn: Txn | undefined): Doc {
  const query = isDoc(command.query) ? command.query : {};
  const { hits } = select(
    collection,
    { ...selection(query, command.sort, command.hint), limit: 1 },
    txn,
  );
  const [hit] = hits;
  const shown = (doc: Doc): unknown => project([doc], command.fields)[0] ?? null;
  if (command.remove === true) {
    if (hit !== undefined) collection.write(hit.record, null, txn);
    return { lastErrorObject: { n: hits.length }, value: hit ? shown(hit.doc) : null, ok: 1 };
  }
  const letVariables = isDoc(command.let) ? command.let : undefined;
  const spec = specOf(query, command.update, command.arrayFilters, letVariables);
  if (hit === undefined) {
    if (command.upsert !== true) {
      return { lastErrorObject: { n: 0, updatedExisting: false }, value: null, ok: 1 };
    }
    const doc = insertOne(collection, upserted(spec), txn);
    const lastErrorObject = { n: 1, updatedExisting: false, upserted: doc._id };
    return { lastErrorObject, value: command.new === true ? shown(doc) : null, ok: 1 };
  }
  const next = updated(hit.doc, spec);
  if (next !== undefined) collection.write(hit.record, next, txn);
  const value = shown(command.new === true ? (next ?? hit.doc) : hit.doc);
  return { lastErrorObject: { n: 1, updatedExisting: true }, value, ok: 1 };
}

function selection(filter: unknown, sort: unknown, hint: unknown): Selection {
  return {
    filter: isDoc(filter) ? filter : {},
    ...(isDoc(sort) ? { sort: sort as Sort } : {}),
    ...(hint === undefined ? {} : { hint }),
  };
}

function specOf(filter: unknown, change: unknown, filters: unknown, variables?: Doc): UpdateSpec {
  compile(isDoc(filter) ? filter : {});
  return {
    filter: isDoc(filter) ? filter : {},
    update: change as Doc | Doc[],
    arrayFilters: Array.isArray(filters) ? (filters as Doc[]) : undefined,
    variables,
  };
}

function allowOnly(statement: Doc, names: string[]): void {
  for (const name of Object.keys(statement)) {
    if (names.includes(name)) continue;
    throw new ServerError(40415, 'Location40415', `stand-in refuses the option ${name}`);
  }
}

function reply(counts: Doc, writeErrors: Doc[]): Doc {
  return writeErrors.length > 0 ? { ...counts, writeErrors, ok: 1 } : { ...counts, ok: 1 };
}
