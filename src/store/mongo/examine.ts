// Looks at a MongoDB server as the store would use it, and changes nothing: for `artery doctor`.
import { connectMongo, type MongoTarget } from '../../clients/mongo.ts';
import { EngineError } from '../../model/errors.ts';
import { collectionsOf } from './collections.ts';
import { translateError } from './errors.ts';
import { checkTransactions } from './open.ts';
import { SCHEMA_VERSION, schemaVersion } from './schema.ts';
import { refuseUnfinished } from './transfer-mark.ts';

export interface MongoFacts {
  /** As the server names it: `8.0.4`. */
  version: string;
  /** Name of the replica set; '' = a sharded cluster. */
  replicaSet: string;
  /** Members of the replica set that hold data, 0 = not told. */
  members: number;
  database: string;
  /** false: the first start will fill it. */
  used: boolean;
}

/**
 * Throws STORE_UNAVAILABLE (no answer), CONFIG_INVALID (url, login, no transactions), STORE_NEWER,
 * STORE_UNFINISHED.
 */
export async function examineMongo(target: MongoTarget): Promise<MongoFacts> {
  const { client, database } = await connectMongo(target).catch((cause) => {
    throw translateError(cause);
  });
  try {
    const db = client.db(database);
    const hello = await db.admin().command({ hello: 1 });
    checkTransactions(hello);
    // A read of the database: a login that may not is found here.
    const collections = collectionsOf(db);
    const schema = await schemaVersion(collections);
    if (schema > SCHEMA_VERSION) throw new EngineError('STORE_NEWER');
    await refuseUnfinished(collections);
    const { version } = await db.admin().command({ buildInfo: 1 });
    const replicaSet = typeof hello.setName === 'string' ? hello.setName : '';
    const members = Array.isArray(hello.hosts) ? hello.hosts.length : 0;
    return { version: String(version), replicaSet, members, database, used: schema > 0 };
  } catch (cause) {
    throw translateError(cause);
  } finally {
    await client.close();
  }
}
