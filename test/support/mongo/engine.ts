// Databases, collections and open cursors of the stand-in: everything that outlives a command.
// Knows no command and no connection.
import { BSON } from 'mongodb';
import { Collection } from './collection.ts';
import { ServerError } from './errors.ts';
import { Transactions } from './transaction.ts';
import type { Doc } from './values.ts';

interface OpenCursor {
  ns: string;
  rest: Doc[];
  session: string;
}

const FIRST_BATCH = 101;
const BATCH_BYTES_MAX = 16 * 1024 * 1024;

export class Engine {
  readonly txns: Transactions;
  /** Commands, stages, operators and options that were refused, in order. */
  readonly refused: string[] = [];
  /** The last retryable write of each session: they run one after the other. */
  readonly turns = new Map<string, Promise<unknown>>();
  readonly #databases = new Map<string, Map<string, Collection>>();
  readonly #cursors = new Map<number, OpenCursor>();
  readonly #compatible: boolean;
  #cursorId = 1_000;

  /** `compatible`: plans as DocumentDB makes them. */
  constructor(lifetimeMs: number, compatible = false) {
    this.#compatible = compatible;
    this.txns = new Transactions(lifetimeMs);
  }

  collections(database: string): Collection[] {
    return [...(this.#databases.get(database)?.values() ?? [])];
  }

  find(database: string, name: string): Collection | undefined {
    return this.#databases.get(database)?.get(name);
  }

  /** A reader of an absent collection gets an empty one that is not kept. */
  forRead(database: string, name: string): Collection {
    return this.find(database, name) ?? new Collection(database, name, this.txns, this.#compatible);
  }

  /** A write creates its collection, also inside a transaction (it stays when that aborts). */
  forWrite(database: string, name: string): Collection {
    const known = this.find(database, name);
    if (known !== undefined) return known;
    const made = new Collection(database, name, this.txns, this.#compatible);
    const collections = this.#databases.get(database) ?? new Map<string, Collection>();
    collections.set(name, made);
    this.#databases.set(database, collections);
    return made;
  }

  drop(database: string, name: string): void {
    if (this.#databases.get(database)?.delete(name) !== true) {
      throw new ServerError(26, 'NamespaceNotFound', 'ns not found');
    }
  }

  dropDatabase(database: string): void {
    this.#databases.delete(database);
  }

  /** The first batch of a cursor; its id is 0 when nothing is left. */
  openCursor(ns: string, docs: Doc[], options: { batchSize?: unknown; session: string }): Doc {
    const { batchSize, session } = options;
    const size = typeof batchSize === 'number' ? batchSize : FIRST_BATCH;
    const cursor: OpenCursor = { ns, rest: docs, session };
    const firstBatch = take(cursor, size);
    const id = cursor.rest.length > 0 ? ++this.#cursorId : 0;
    if (id > 0) this.#cursors.set(id, cursor);
    return { firstBatch, id: BSON.Long.fromNumber(id), ns };
  }

  nextBatch(id: number, batchSize: unknown): Doc {
    const cursor = this.#cursors.get(id);
    if (cursor === undefined) {
      throw new ServerError(43, 'CursorNotFound', `cursor id ${id} not found`);
    }
    const size = typeof batchSize === 'number' && batchSize > 0 ? batchSize : cursor.rest.length;
    const nextBatch = take(cursor, size);
    if (cursor.rest.length === 0) this.#cursors.delete(id);
    const left = cursor.rest.length === 0 ? 0 : id;
    return { nextBatch, id: BSON.Long.fromNumber(left), ns: cursor.ns };
  }

  killCursor(id: number): boolean {
    return this.#cursors.delete(id);
  }

  /** What a restart of the server forgets. */
  crash(): void {
    this.txns.abortAll();
    this.#cursors.clear();
  }

  endSession(session: string): void {
    this.txns.endSession(session);
    for (const [id, cursor] of this.#cursors) {
      if (cursor.session === session) this.#cursors.delete(id);
    }
  }
}

function take(cursor: OpenCursor, size: number): Doc[] {
  let bytes = 0;
  let count = 0;
  for (const doc of cursor.rest) {
    if (count >= size) break;
    bytes += BSON.calculateObjectSize(doc);
    if (count > 0 && bytes > BATCH_BYTES_MAX) break;
    count++;
  }
  const batch = cursor.rest.slice(0, count);
  cursor.rest = cursor.rest.slice(count);
  return batch;
}
