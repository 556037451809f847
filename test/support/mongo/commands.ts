// The commands that the adapter sends, each with the options it may carry; what is not in this
// table, or an option that is not in its row, is refused and recorded. Database Commands manual.
import { Timestamp } from 'mongodb';
import type { Collection } from './collection.ts';
import type { Engine } from './engine.ts';
import { badValue, ServerError } from './errors.ts';
import { explainReply } from './explain.ts';
import type { IndexSpec } from './indexes.ts';
import type { Sort } from './planner.ts';
import { aggregate, distinct, headOf, project, type Selection, select } from './reads.ts';
import { visible } from './record.ts';
import type { Txn } from './transaction.ts';
import { type Doc, encode, isDoc } from './values.ts';
import { findAndModify, insert, remove, update } from './writes.ts';

export interface Context {
  engine: Engine;
  database: string;
  command: Doc;
  session: string;
  /** The transaction of this statement, or the moment of a snapshot session. */
  txn: Txn | undefined;
  inTransaction: boolean;
  deadline: number;
}

export interface Command {
  options: string[];
  run(context: Context): Doc | Promise<Doc>;
  kind: 'read' | 'write' | 'catalog' | 'any';
  inTransaction: boolean;
}

export const COMMANDS: Record<string, Command> = {
  find: read(
    'filter sort projection skip limit batchSize singleBatch hint allowDiskUse noCursorTimeout',
    runFind,
  ),
  aggregate: read('pipeline cursor hint let allowDiskUse', runAggregate),
  distinct: read('key query', runDistinct),
  getMore: read('collection batchSize', runGetMore),
  killCursors: read('cursors', runKillCursors),
  count: { ...read('query limit skip hint', runCount), inTransaction: false },
  explain: { ...read('verbosity', runExplain), inTransaction: false },
  insert: write('documents ordered', (context) =>
    insert(target(context), list(context.command.documents), ordered(context), context),
  ),
  update: write('updates ordered let', (context) => {
    const { updates, let: variables } = context.command;
    const given = isDoc(variables) ? variables : undefined;
    return update(target(context), list(updates), ordered(context), given, context);
  }),
  delete: write('deletes ordered', (context) =>
    remove(target(context), list(context.command.deletes), ordered(context), context),
  ),
  findAndModify: write('query sort update remove new upsert fields arrayFilters hint let', (c) =>
    findAndModify(target(c), c.command, c),
  ),
  create: { ...catalog('', runCreate), inTransaction: true },
  drop: catalog('', runDrop),
  dropDatabase: catalog('', runDropDatabase),
  createIndexes: catalog('indexes', runCreateIndexes),
  dropIndexes: catalog('index', runDropIndexes),
  listIndexes: catalog('cursor', runListIndexes),
  listCollections: catalog('filter nameOnly cursor authorizedCollections', runListCollections),
};

type Run = Command['run'];

function read(options: string, run: Run): Command {
  return { kind: 'read', options: words(options), run, inTransaction: true };
}

function write(options: string, run: Run): Command {
  return { kind: 'write', options: words(options), run, inTransaction: true };
}

function catalog(options: string, run: Run): Command {
  return { kind: 'catalog', options: words(options), run, inTransaction: false };
}

function words(text: string): string[] {
  return text === '' ? [] : text.split(' ');
}

function list(value: unknown): Doc[] {
  if (!Array.isArray(value)) throw badValue('a list of documents is missing');
  return value as Doc[];
}

function ordered({ command }: Context): boolean {
  return command.ordered !== false;
}

/** Name of the collection: the value of the command's first field. */
export function collectionName(command: Doc): string {
  const [first] = Object.values(command);
  return typeof first === 'string' ? first : '';
}

function target({ engine, database, command }: Context): Collection {
  return engine.forWrite(database, collectionName(command));
}

function source({ engine, database, command }: Context): Collection {
  return engine.forRead(database, collectionName(command));
}

function runFind(context: Context): Doc {
  const { command, engine } = context;
  const collection = source(context);
  const { hits } = select(collection, selectionOf(command), context.txn);
  const docs = project(
    hits.map(({ doc }) => doc),
    command.projection,
  );
  return cursorReply(context, engine, collection.ns, docs, command.batchSize);
}

/** The moment of a snapshot session as its client sends it back: a logical clock, not a time. */
function snapshotTime({ txn, inTransaction }: Context): Timestamp | undefined {
  return txn === undefined || inTransaction
    ? undefined
    : new Timestamp({ t: txn.snapshot + 1, i: 1 });
}

function cursorReply(
  context: Context,
  engine: Engine,
  ns: string,
  docs: Doc[],
  batchSize: unknown,
): Doc {
  const cursor = engine.openCursor(ns, docs, { batchSize, session: context.session });
  const at = snapshotTime(context);
  return { cursor: at === undefined ? cursor : { ...cursor, atClusterTime: at }, ok: 1 };
}

function selectionOf(command: Doc): Selection {
  const { filter, sort, skip, limit, hint } = command;
  return {
    filter: isDoc(filter) ? filter : {},
    ...(isDoc(sort) ? { sort: sort as Sort } : {}),
    ...(typeof skip === 'number' ? { skip } : {}),
    ...(typeof limit === 'number' ? { limit: Math.abs(limit) } : {}),
    ...(hint === undefined ? {} : { hint }),
  };
}

function runAggregate(context: Context): Doc {
  const { command, engine } = context;
  if (typeof command.aggregate !== 'string') throw badValue('stand-in refuses aggregate: 1');
  const collection = source(context);
  const variables = isDoc(command.let) ? command.let : {};
  const { docs } = aggregate(
    collection,
    list(command.pipeline),
    command.hint,
    variables,
    context.txn,
    (name) => all(engine.forRead(context.database, name), context.txn),
  );
  const batchSize = isDoc(command.cursor) ? command.cursor.batchSize : undefined;
  return cursorReply(context, engine, collection.ns, docs, batchSize);
}

function all(collection: Collection, txn: Txn | undefined): Doc[] {
  const docs = [...collection.records.values()].map((record) => visible(record, txn));
  return docs.filter((doc) => doc !== null);
}

function runCount(context: Context): Doc {
  const { command } = context;
  const selection = selectionOf({ ...command, filter: command.query });
  return { n: select(source(context), selection, context.txn).hits.length, ok: 1 };
}

function runDistinct(context: Context): Doc {
  const { command } = context;
  const filter = isDoc(command.query) ? command.query : {};
  const { hits } = select(source(context), { filter }, context.txn);
  const docs = hits.map(({ doc }) => doc);
  return { values: distinct(docs, String(command.key)), ok: 1 };
}

function runGetMore({ command, engine }: Context): Doc {
  return { cursor: engine.nextBatch(Number(command.getMore), command.batchSize), ok: 1 };
}

function runKillCursors({ command, engine }: Context): Doc {
  const ids = Array.isArray(command.cursors) ? command.cursors : [];
  const killed = ids.filter((id) => engine.killCursor(Number(id)));
  const missing = ids.filter((id) => !killed.includes(id));
  return {
    cursorsKilled: killed,
    cursorsNotFound: missing,
    cursorsAlive: [],
    cursorsUnknown: [],
    ok: 1,
  };
}

function runExplain(context: Context): Doc {
  const inner = isDoc(context.command.explain) ? context.command.explain : {};
  const collection = context.engine.forRead(context.database, collectionName(inner));
  const { selection, rest } = explained(inner);
  return explainReply(collection, selection, select(collection, selection, context.txn), rest);
}

function explained(inner: Doc): { selection: Selection; rest: Doc[] } {
  if ('find' in inner) return { selection: selectionOf(inner), rest: [] };
  if ('aggregate' in inner) return headOf(list(inner.pipeline));
  if ('count' in inner) return { selection: selectionOf({ filter: inner.query }), rest: [] };
  const [statement] = list(inner.updates ?? inner.deletes ?? []);
  if (statement !== undefined) return { selection: selectionOf({ filter: statement.q }), rest: [] };
  if ('findAndModify' in inner) {
    return {
      selection: selectionOf({ filter: inner.query, sort: inner.sort, limit: 1 }),
      rest: [],
    };
  }
  throw badValue('stand-in refuses to explain this command');
}

function runCreate(context: Context): Doc {
  const name = collectionName(context.command);
  if (context.engine.find(context.database, name) !== undefined) {
    throw new ServerError(48, 'NamespaceExists', `Collection ${name} already exists`);
  }
  context.engine.forWrite(context.database, name);
  return { ok: 1 };
}

function runDrop(context: Context): Doc {
  context.engine.drop(context.database, collectionName(context.command));
  return { ok: 1 };
}

function runDropDatabase({ engine, database }: Context): Doc {
  engine.dropDatabase(database);
  return { dropped: database, ok: 1 };
}

function runCreateIndexes(context: Context): Doc {
  const collection = target(context);
  const before = collection.indexes.size;
  for (const spec of list(context.command.indexes) as unknown as IndexSpec[]) {
    const there = collection.indexes.get(spec.name);
    if (there === undefined) collection.addIndex(spec);
    else if (encode({ ...there.spec, v: 2 }) !== encode({ ...spec, v: 2 })) {
      throw new ServerError(86, 'IndexKeySpecsConflict', `${spec.name} exists with other options`);
    }
  }
  return { numIndexesBefore: before, numIndexesAfter: collection.indexes.size, ok: 1 };
}

function runDropIndexes(context: Context): Doc {
  const collection = target(context);
  const { index } = context.command;
  const before = collection.indexes.size;
  for (const name of [...collection.indexes.keys()]) {
    if (name !== '_id_' && (index === '*' || index === name)) collection.indexes.delete(name);
  }
  if (index !== '*' && collection.indexes.size === before) {
    throw new ServerError(27, 'IndexNotFound', `index not found with name [${String(index)}]`);
  }
  return { nIndexesWas: before, ok: 1 };
}

function runListIndexes(context: Context): Doc {
  const collection = context.engine.find(context.database, collectionName(context.command));
  if (collection === undefined) throw new ServerError(26, 'NamespaceNotFound', 'ns does not exist');
  const specs = [...collection.indexes.values()].map(({ spec }) => ({ v: 2, ...spec }));
  return cursorReply(context, context.engine, collection.ns, specs, undefined);
}

function runListCollections(context: Context): Doc {
  const filter = isDoc(context.command.filter) ? context.command.filter : {};
  const docs = context.engine
    .collections(context.database)
    .map(({ name }) => ({ name, type: 'collection', options: {}, info: { readOnly: false } }))
    .filter(({ name }) => filter.name === undefined || filter.name === name);
  const ns = `${context.database}.$cmd.listCollections`;
  return cursorReply(context, context.engine, ns, docs, undefined);
}
