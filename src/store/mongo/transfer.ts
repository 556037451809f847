// A MongoDB database as source or target of a move. Each page of rows is one transaction with the
// mark that says how far the move has come: a page is never written twice, nor left out.
import { setTimeout as sleep } from 'node:timers/promises';
import type { ClientSession, Collection, Db, MongoClient, TransactionOptions } from 'mongodb';
import { connectMongo, type MongoTarget } from '../../clients/mongo.ts';
import { EngineError } from '../../model/errors.ts';
import {
  KINDS,
  type Kind,
  type Place,
  type Progress,
  type Rows,
  type Transfer,
  type TransferUse,
} from '../transfer.ts';
import { type Collections, collectionsOf } from './collections.ts';
import { isCursorGone, isTransient, isUnknownCommit, translateError } from './errors.ts';
import { checkTransactions } from './open.ts';
import { migrate, schemaVersion } from './schema.ts';
import { ensureTenant } from './tenant-number.ts';
import { fillTenant, lastSeq, numbersBehind } from './transfer-counts.ts';
import { readMark, refuseUnfinished, takeOver } from './transfer-mark.ts';
import { type Docs, TO_DOC, TO_ROW } from './transfer-rows.ts';

export interface MongoTransferOptions extends MongoTarget {
  use: TransferUse;
  /** Processes that have signed in as writers are known to be gone. */
  stopped?: boolean;
  /** Documents that are asked for at once. */
  replyRows?: number;
}

const TRANSACTION: TransactionOptions = {
  readConcern: { level: 'snapshot' },
  writeConcern: { w: 'majority' },
  readPreference: 'primary',
};
const REPLY_ROWS = 1_000;
/** Without one more row; each waits for a primary as long as the driver does. */
const READ_TRIES = 5;
/** How long a page is tried: longer than a server keeps the transaction of a killed process. */
const WRITE_WAIT_MS = 90_000;
/** Whatever the fault is. */
const WRITE_TRIES = 3;
const RETRY_MS = 250;

/**
 * Throws NOT_FOUND when the source holds no store, STORE_UNFINISHED when it is an unfinished copy
 * itself, STORE_LOCKED when processes have signed in as writers, and what openMongoStore throws.
 */
export async function openMongoTransfer(options: MongoTransferOptions): Promise<Transfer> {
  const { client, database } = await connectMongo(options).catch((cause) => {
    throw translateError(cause);
  });
  try {
    const db = client.db(database);
    checkTransactions(await db.admin().command({ hello: 1 }));
    const collections = collectionsOf(db);
    if (options.use === 'source') {
      const text = `The MongoDB database ${database} holds no store.`;
      if ((await schemaVersion(collections)) === 0) throw new EngineError('NOT_FOUND', text);
      await refuseUnfinished(collections);
    }
    await migrate(db, collections);
    if (options.stopped !== true) await refuseWriters(collections, database);
    return new DatabaseTransfer(client, db, options.replyRows ?? REPLY_ROWS);
  } catch (cause) {
    await client.close();
    throw translateError(cause);
  }
}

async function refuseWriters({ writers }: Collections, database: string): Promise<void> {
  const known = await writers.countDocuments();
  if (known === 0) return;
  const text =
    `${known} processes have signed in to write to the MongoDB database ${database}: stop them. ` +
    'Those that were killed could not sign out: if none runs any more, add --stopped.';
  throw new EngineError('STORE_LOCKED', text);
}

class DatabaseTransfer implements Transfer {
  readonly label: string;
  readonly #client: MongoClient;
  readonly #db: Db;
  readonly #replyRows: number;
  readonly #collections: Collections;
  readonly #tenants = new Set<string>();
  /** One for all pages: starting the next transaction ends what is left of the last one. */
  #session: ClientSession | undefined;

  constructor(client: MongoClient, db: Db, replyRows: number) {
    this.label = `MongoDB database ${db.databaseName}`;
    this.#client = client;
    this.#db = db;
    this.#replyRows = replyRows;
    this.#collections = collectionsOf(db);
  }

  /** One cursor, as some servers sort whatever the index; opened anew behind what it gave. */
  async *rows<K extends Kind>(
    kind: K,
    after: Place | null,
  ): AsyncGenerator<{ row: Rows[K]; place: Place }> {
    let last = String(after?.[0] ?? '');
    for (let tries = 1; ; tries += 1) {
      try {
        const behind = this.#collection(kind).find({ _id: { $gt: last } as never });
        for await (const doc of behind.sort({ _id: 1 }).batchSize(this.#replyRows)) {
          last = doc._id;
          tries = 0;
          yield { row: TO_ROW[kind](doc as Docs[K]), place: [last] };
        }
        return;
      } catch (cause) {
        const again = isTransient(cause) || isCursorGone(cause);
        if (!again || tries >= READ_TRIES) throw translateError(cause);
        await sleep(Math.random() * RETRY_MS);
      }
    }
  }

  count: Transfer['count'] = (kind) => told(this.#collection(kind).countDocuments());

  /** Every commit counts in its tenant's document. */
  state: Transfer['state'] = async () => {
    const rows = this.#collections.tenants.find().sort({ _id: 1 });
    const commits = await told(rows.project({ commits: 1, auditHash: 1 }).toArray());
    return JSON.stringify(commits);
  };

  progress: Transfer['progress'] = () => told(readMark(this.#collections));

  isEmpty: Transfer['isEmpty'] = async () => {
    for (const name of [...KINDS, 'tenants']) {
      if ((await told(this.#db.collection(name).findOne({}))) !== null) return false;
    }
    return true;
  };

  begin: Transfer['begin'] = async (progress) => {
    const text = JSON.stringify(progress);
    await told(this.#collections.meta.insertOne({ _id: 'copy', step: 0, progress: text }));
  };

  write: Transfer['write'] = async (kind, rows, progress) => {
    for (const { tenant } of rows) {
      if (this.#tenants.has(tenant)) continue;
      await told(ensureTenant(this.#collections, tenant));
      this.#tenants.add(tenant);
    }
    await told(this.#writePage(kind, rows.map(TO_DOC[kind]), progress));
  };

  finish: Transfer['finish'] = async () => {
    const tenants = await told(this.#collections.tenants.find().project({ _id: 1 }).toArray());
    const names = tenants.map(({ _id }) => String(_id));
    let seq = 0;
    for (const name of names) seq = Math.max(seq, await told(lastSeq(this.#collections, name)));
    const numbers = await told(numbersBehind(this.#collections, seq));
    for (const name of names) await told(fillTenant(this.#collections, name, numbers));
  };

  admit: Transfer['admit'] = async () => {
    await told(this.#collections.meta.deleteOne({ _id: 'copy' }));
  };

  close: Transfer['close'] = async () => {
    await this.#session?.endSession();
    await this.#client.close();
  };

  #collection(kind: Kind): Collection<{ _id: string }> {
    return this.#db.collection(kind);
  }

  /** After a lost reply the mark tells, in the next transaction, whether the page is there. */
  async #writePage(kind: Kind, docs: { _id: string }[], progress: Progress): Promise<void> {
    if (this.#session === undefined) {
      this.#session = this.#client.startSession({ causalConsistency: false });
      await takeOver(this.#client, this.#collections, this.#session);
    }
    const session = this.#session;
    const deadline = Date.now() + WRITE_WAIT_MS;
    for (let tries = 1; ; tries += 1) {
      try {
        return await this.#attempt(session, kind, docs, progress);
      } catch (cause) {
        // Another try does no harm; some servers say of a passing fault only that there was one.
        const again = isTransient(cause) || isUnknownCommit(cause) || tries < WRITE_TRIES;
        if (!again || Date.now() >= deadline) throw cause;
        await sleep(Math.random() * RETRY_MS);
      }
    }
  }

  async #attempt(
    session: ClientSession,
    kind: Kind,
    docs: { _id: string }[],
    progress: Progress,
  ): Promise<void> {
    if (session.inTransaction()) await session.abortTransaction();
    session.startTransaction(TRANSACTION);
    const { step } = progress;
    const { meta } = this.#collections;
    const before = { _id: 'copy', step: step - 1 };
    const set = { $set: { step, progress: JSON.stringify(progress) } };
    const { matchedCount } = await meta.updateOne(before, set, { session });
    if (matchedCount === 1) {
      await this.#collection(kind).insertMany(docs, { session });
    } else {
      const mark = await meta.findOne({ _id: 'copy' }, { session });
      const text = `Another process copies into the ${this.label}: let one of them finish.`;
      if (mark?.step !== step) throw new EngineError('STORE_LOCKED', text);
    }
    await session.commitTransaction();
  }
}

/** Errors in the terms of model/errors.ts. */
async function told<T>(asked: Promise<T>): Promise<T> {
  try {
    return await asked;
  } catch (cause) {
    throw translateError(cause);
  }
}
