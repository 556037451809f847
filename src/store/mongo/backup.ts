// A consistent logical copy while the store runs: one file of concatenated BSON per collection,
// laid out as mongodump does, so that mongorestore reads it as well as restore.ts.
// https://www.mongodb.com/docs/manual/reference/read-concern-snapshot/
import { existsSync } from 'node:fs';
import { type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { BSON, type ClientSession, type Db, type MongoClient } from 'mongodb';
import { EngineError } from '../../model/errors.ts';
import { COLLECTION_NAMES, type CollectionName, type Collections } from './collections.ts';
import { isTransient, translateError } from './errors.ts';
import { SCHEMA_VERSION } from './schema.ts';

export const MANIFEST_FILE = 'artery-backup.json';

/** How many documents each file holds: a copy that lost its end is not restored. */
export interface BackupManifest {
  format: 1;
  schema: number;
  database: string;
  documents: Partial<Record<CollectionName, number>>;
}

/** All but the registrations of running processes. */
export const BACKUP_COLLECTIONS = COLLECTION_NAMES.filter((name) => name !== 'writers');
const WRITE_BYTES = 1024 * 1024;
const NO_SNAPSHOT =
  'MongoDB was written to meanwhile and keeps no snapshot: stop the writers, or use mongodump.';

/** Reads that all see one moment. */
interface Snapshot {
  db: Db;
  session: ClientSession;
  /** Of each read: a session for snapshot reads names the concern, a transaction does not. */
  options: { session: ClientSession; readConcern?: { level: 'snapshot' } };
}

/**
 * The folder appears under its name when it is complete and on disk. Throws CONFIG_INVALID if it
 * exists already, STORE_UNAVAILABLE when the server can give no consistent view.
 */
export async function backupDatabase(
  client: MongoClient,
  db: Db,
  collections: Collections,
  folder: string,
): Promise<void> {
  if (existsSync(folder)) {
    throw new EngineError('CONFIG_INVALID', 'The folder of the backup exists; name a new one.');
  }
  const partial = `${folder}.partial`;
  await rm(partial, { recursive: true, force: true });
  const snapshot = await openSnapshot(client, db);
  try {
    await mkdir(join(partial, db.databaseName), { recursive: true, mode: 0o700 });
    await copyAll(snapshot, collections, partial);
    await rename(partial, folder);
    await syncFolder(dirname(folder));
  } catch (cause) {
    await rm(partial, { recursive: true, force: true });
    throw isFileFault(cause) ? unavailable(cause) : translateError(cause);
  } finally {
    if (snapshot.session.inTransaction()) await snapshot.session.abortTransaction();
    await snapshot.session.endSession();
  }
}

/** A session of snapshot reads (MongoDB 5.0), else a read-only transaction. */
async function openSnapshot(client: MongoClient, db: Db): Promise<Snapshot> {
  const session = client.startSession({ snapshot: true, causalConsistency: false });
  const options = { session, readConcern: { level: 'snapshot' } } as const;
  try {
    await db.collection('meta').findOne({ _id: 'schema' as never }, options);
    // The driver keeps the time that the server named, for the reads to come; none = no snapshot.
    if (Reflect.get(session, 'snapshotTime') !== undefined) return { db, session, options };
  } catch (cause) {
    if (isTransient(cause)) throw translateError(cause);
    // The server knows no snapshot reads outside transactions.
  }
  await session.endSession();
  const transaction = client.startSession({ causalConsistency: false });
  transaction.startTransaction({ readConcern: { level: 'snapshot' }, readPreference: 'primary' });
  return { db, session: transaction, options: { session: transaction } };
}

async function copyAll(
  snapshot: Snapshot,
  { tenants }: Collections,
  partial: string,
): Promise<void> {
  const { db, options } = snapshot;
  const readCommits = (): Promise<unknown[]> =>
    tenants.find({}, options).project({ commits: 1 }).sort({ _id: 1 }).toArray();
  const before = await readCommits();
  const documents: BackupManifest['documents'] = {};
  for (const name of BACKUP_COLLECTIONS) {
    documents[name] = await copyCollection(snapshot, name, join(partial, db.databaseName));
  }
  // Every commit moves a tenant's counter: equal counters mean that nothing was committed, or seen.
  const after = await readCommits();
  if (JSON.stringify(after) !== JSON.stringify(before)) {
    throw new EngineError('STORE_UNAVAILABLE', NO_SNAPSHOT);
  }
  const manifest: BackupManifest = {
    format: 1,
    schema: SCHEMA_VERSION,
    database: db.databaseName,
    documents,
  };
  await writeFile(join(partial, MANIFEST_FILE), async (file) => {
    await file.writeFile(`${JSON.stringify(manifest, undefined, 2)}\n`);
  });
  await syncFolder(join(partial, db.databaseName));
  await syncFolder(partial);
}

/** Answers how many documents there are. */
async function copyCollection(
  { db, options }: Snapshot,
  name: CollectionName,
  folder: string,
): Promise<number> {
  let count = 0;
  await writeFile(join(folder, `${name}.bson`), async (file) => {
    let chunks: Uint8Array[] = [];
    let bytes = 0;
    const write = async (): Promise<void> => {
      if (chunks.length > 0) await file.writev(chunks);
      chunks = [];
      bytes = 0;
    };
    for await (const document of db.collection(name).find({}, options)) {
      const chunk = BSON.serialize(document);
      chunks.push(chunk);
      bytes += chunk.byteLength;
      count += 1;
      if (bytes >= WRITE_BYTES) await write();
    }
    await write();
  });
  return count;
}

async function writeFile(path: string, fill: (file: FileHandle) => Promise<void>): Promise<void> {
  const file = await open(path, 'wx', 0o600);
  try {
    await fill(file);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function isFileFault(thrown: unknown): boolean {
  return thrown instanceof Error && 'syscall' in thrown;
}

function unavailable(cause: unknown): EngineError {
  return new EngineError('STORE_UNAVAILABLE', 'The backup could not be written.', { cause });
}
