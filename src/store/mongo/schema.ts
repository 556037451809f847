// Makes the collections and indexes and brings an older database up to them. Any number of
// processes may do so at once: each step may be repeated. A released step is never edited.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Db } from 'mongodb';
import { EngineError } from '../../model/errors.ts';
import { COLLECTION_NAMES, type CollectionName, type Collections, INDEXES } from './collections.ts';
import { isDuplicateKey, isNamespaceExists, isWriteConflict } from './errors.ts';

/** Steps beyond collections and indexes: the one at `index` leads to version `index + 1`. */
const MIGRATIONS: ((collections: Collections) => Promise<void>)[] = [async () => undefined];

const CREATE_TRIES = 10;
const CREATE_DELAY_MS = 200;

export const SCHEMA_VERSION = MIGRATIONS.length;

/**
 * Throws STORE_NEWER when a later version of the program wrote the database: nothing is changed
 * then. Indexes are made again at each start, which costs nothing where they exist and repairs a
 * database that was restored without them.
 */
export async function migrate(db: Db, collections: Collections): Promise<void> {
  const found = await schemaVersion(collections);
  if (found > SCHEMA_VERSION) {
    throw new EngineError(
      'STORE_NEWER',
      `The database has schema ${found}; this version of Artery knows up to ${SCHEMA_VERSION}.`,
    );
  }
  // Collections are made first: one that a transaction would have to make takes exclusive locks.
  for (const name of COLLECTION_NAMES) await createCollection(db, name);
  // All at once: DocumentDB looks for new indexes to build every two seconds.
  await Promise.all(COLLECTION_NAMES.map((name) => createIndexes(db, name)));
  for (let version = found + 1; version <= SCHEMA_VERSION; version++) {
    await MIGRATIONS[version - 1]?.(collections);
    await writeVersion(collections, version);
  }
}

/** 0 = an empty database. */
export async function schemaVersion(collections: Collections): Promise<number> {
  const row = await collections.meta.findOne({ _id: 'schema' });
  return row?.version ?? 0;
}

async function createCollection(db: Db, name: string): Promise<void> {
  try {
    await db.createCollection(name);
  } catch (cause) {
    if (!isNamespaceExists(cause)) throw cause;
  }
}

/** Processes that start together may stand in each other's way. */
async function createIndexes(db: Db, name: CollectionName): Promise<void> {
  const indexes = INDEXES[name];
  if (!indexes) return;
  for (let tries = 1; ; tries += 1) {
    try {
      await db.collection(name).createIndexes(indexes);
      return;
    } catch (cause) {
      if (!isWriteConflict(cause) || tries >= CREATE_TRIES) throw cause;
      await sleep(Math.random() * CREATE_DELAY_MS);
    }
  }
}

async function writeVersion({ meta }: Collections, version: number): Promise<void> {
  const older = { _id: 'schema', version: { $lt: version } };
  const { matchedCount } = await meta.updateOne(older, { $set: { version } });
  if (matchedCount > 0) return;
  try {
    await meta.insertOne({ _id: 'schema', version });
  } catch (cause) {
    // Another process was faster; it wrote this version or a later one.
    if (!isDuplicateKey(cause)) throw cause;
  }
}
