// Opens a MongoDB database as a store: connects, checks that the server has what the store needs,
// brings the schema up to date. Every thread and process opens its own; they share the database.
import type { Db, Document } from 'mongodb';
import { connectMongo, type MongoTarget } from '../../clients/mongo.ts';
import { EngineError } from '../../model/errors.ts';
import type { Store } from '../port.ts';
import { collectionsOf } from './collections.ts';
import { translateError } from './errors.ts';
import { migrate } from './schema.ts';
import { MongoStore } from './store.ts';
import type { TakeTurn } from './tenant-committer.ts';
import { refuseUnfinished } from './transfer-mark.ts';

export interface MongoOptions extends MongoTarget {
  /** Units in one transaction. */
  groupUnitsMax?: number;
  /** Bytes in one transaction. */
  groupBytesMax?: number;
  /** Units and reads of this store that may be under way at once. */
  callsMax?: number;
  /** Bytes of units of this store that may be under way at once. */
  bytesMax?: number;
  /** How long a unit is tried while the primary is away or others write. */
  commitWaitMs?: number;
  /** A tenant held this long without a commit is taken from a process that is gone. */
  stuckMs?: number;
  /** Where other processes write the same tenants: a line to stand in. */
  takeTurn?: TakeTurn;
  /** Opens the target of an unfinished copy too: for the last checks of the copy itself. */
  admitUnfinished?: boolean;
}

const DEFAULTS = {
  groupUnitsMax: 256,
  groupBytesMax: 8 * 1024 * 1024,
  callsMax: 20_000,
  bytesMax: 256 * 1024 * 1024,
  commitWaitMs: 20_000,
  stuckMs: 4_000,
};

const NO_TRANSACTIONS =
  'The MongoDB server has no transactions: start mongod with --replSet and run rs.initiate(), ' +
  'or name a mongos in MONGODB_URL.';

/**
 * Throws CONFIG_INVALID when the url or the server will not do, STORE_NEWER when a later version
 * wrote the database, STORE_UNAVAILABLE when the server does not answer.
 */
export async function openMongoStore(options: MongoOptions): Promise<Store> {
  const { client, database } = await connectMongo(options).catch((cause) => {
    throw translateError(cause);
  });
  try {
    const db = client.db(database);
    checkTransactions(await readHello(db));
    const collections = collectionsOf(db);
    if (options.admitUnfinished !== true) await refuseUnfinished(collections);
    await migrate(db, collections);
    const { groupUnitsMax, groupBytesMax, bytesMax, ...limits } = { ...DEFAULTS, ...options };
    return new MongoStore(client, db, {
      ...limits,
      unitsMax: groupUnitsMax,
      bytesMax: groupBytesMax,
      callBytesMax: bytesMax,
    });
  } catch (cause) {
    await client.close();
    throw translateError(cause);
  }
}

function readHello(db: Db): Promise<Document> {
  return db.admin().command({ hello: 1 });
}

/**
 * Manual, "Transactions": they need a replica set (hello.setName) or a sharded cluster (hello.msg
 * is isdbgrid), and sessions (hello.logicalSessionTimeoutMinutes). Throws CONFIG_INVALID if not so.
 */
export function checkTransactions(hello: Document): void {
  const clustered = typeof hello.setName === 'string' || hello.msg === 'isdbgrid';
  if (clustered && typeof hello.logicalSessionTimeoutMinutes === 'number') return;
  throw new EngineError('CONFIG_INVALID', NO_TRANSACTIONS);
}
