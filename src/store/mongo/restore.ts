// Puts a copy that backup.ts wrote into an empty database. mongorestore does the same; indexes are
// made when the store is opened.
import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BSON, type Db, type Document } from 'mongodb';
import { connectMongo, type MongoTarget } from '../../clients/mongo.ts';
import { EngineError } from '../../model/errors.ts';
import { BACKUP_COLLECTIONS, type BackupManifest, MANIFEST_FILE } from './backup.ts';
import type { CollectionName } from './collections.ts';
import { translateError } from './errors.ts';
import { SCHEMA_VERSION } from './schema.ts';

const INSERT_DOCUMENTS = 1_000;
const INSERT_BYTES = 8 * 1024 * 1024;

/**
 * Throws NOT_FOUND when the folder holds no backup, STORE_NEWER when a later version wrote it,
 * STORE_CORRUPT when documents are missing, CONFIG_INVALID when the database is not empty.
 */
export async function restoreMongoBackup(folder: string, target: MongoTarget): Promise<void> {
  const manifest = await readManifest(folder);
  if (manifest.schema > SCHEMA_VERSION) throw new EngineError('STORE_NEWER');
  const { client, database } = await connectMongo(target).catch((cause) => {
    throw translateError(cause);
  });
  try {
    const db = client.db(database);
    if ((await db.collection('meta').findOne({})) !== null) {
      throw new EngineError('CONFIG_INVALID', 'The database is not empty; name a new one.');
    }
    for (const name of BACKUP_COLLECTIONS) await restoreCollection(db, folder, manifest, name);
  } catch (cause) {
    throw translateError(cause);
  } finally {
    await client.close();
  }
}

async function readManifest(folder: string): Promise<BackupManifest> {
  let text: string;
  try {
    text = await readFile(join(folder, MANIFEST_FILE), 'utf8');
  } catch (cause) {
    throw new EngineError('NOT_FOUND', 'The folder holds no backup of a MongoDB store.', { cause });
  }
  const manifest = JSON.parse(text) as BackupManifest;
  if (manifest.format !== 1) throw new EngineError('STORE_NEWER');
  return manifest;
}

async function restoreCollection(
  db: Db,
  folder: string,
  manifest: BackupManifest,
  name: CollectionName,
): Promise<void> {
  let count = 0;
  let documents: Document[] = [];
  let bytes = 0;
  const insert = async (): Promise<void> => {
    if (documents.length > 0) await db.collection(name).insertMany(documents);
    documents = [];
    bytes = 0;
  };
  const path = join(folder, manifest.database, `${name}.bson`);
  for await (const raw of readDocuments(path)) {
    documents.push(BSON.deserialize(raw, { promoteBuffers: true }));
    bytes += raw.byteLength;
    count += 1;
    if (documents.length >= INSERT_DOCUMENTS || bytes >= INSERT_BYTES) await insert();
  }
  await insert();
  if (count !== manifest.documents[name]) throw damaged();
}

/** BSON begins with its own length (int32, little endian). */
async function* readDocuments(path: string): AsyncGenerator<Buffer> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024 })) {
    rest = rest.length === 0 ? (chunk as Buffer) : Buffer.concat([rest, chunk as Buffer]);
    let offset = 0;
    while (rest.length - offset >= 4) {
      const length = rest.readInt32LE(offset);
      if (length < 5) throw damaged();
      if (rest.length - offset < length) break;
      yield rest.subarray(offset, offset + length);
      offset += length;
    }
    rest = rest.subarray(offset);
  }
  if (rest.length > 0) throw damaged();
}

function damaged(): EngineError {
  return new EngineError('STORE_CORRUPT', 'The backup is damaged or incomplete; take another.');
}
