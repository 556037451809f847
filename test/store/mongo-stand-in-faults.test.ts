// The scripted faults of the MongoDB stand-in, seen through the unmodified driver.
import { MongoClient, MongoError, MongoServerError } from 'mongodb';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type StandIn, startMongoStandIn } from '../support/mongo/server.ts';

const UNKNOWN = 'UnknownTransactionCommitResult';

let stand: StandIn;
let client: MongoClient;

beforeEach(async () => {
  stand = await startMongoStandIn({ port: 0, transactionLifetimeMs: 1_000 });
  client = new MongoClient(stand.url, { serverSelectionTimeoutMS: 5_000 });
  await rows().insertOne({ _id: 'a', n: 0 });
  stand.resetCounts();
});

afterEach(async () => {
  await client.close();
  await stand.stop();
});

const rows = () => client.db('test').collection<{ _id: string; n: number }>('rows');
const number = async () => (await rows().findOne({ _id: 'a' }))?.n;
const increment = () => rows().updateOne({ _id: 'a' }, { $inc: { n: 1 } });

function inTransaction(): Promise<void> {
  return client.withSession((session) =>
    session.withTransaction(async () => {
      await rows().updateOne({ _id: 'a' }, { $inc: { n: 1 } }, { session });
    }),
  );
}

async function caught(run: Promise<unknown>): Promise<unknown> {
  return run.then(
    () => undefined,
    (error: unknown) => error,
  );
}

describe('a retryable write', () => {
  it('is done once when its reply is lost', async () => {
    stand.fault({ on: 'update', kind: 'lost-reply' });
    await increment();
    expect([await number(), stand.counts().update]).toEqual([1, 2]);
  });

  it('is done once when the connection is cut before it', async () => {
    stand.fault({ on: 'update', collection: 'rows', kind: 'cut' });
    await increment();
    expect([await number(), stand.counts().update]).toEqual([1, 2]);
  });

  it('is sent again to the next primary', async () => {
    stand.fault({ on: 'update', kind: 'not-primary' });
    await increment();
    expect([await number(), stand.counts().update]).toEqual([1, 2]);
  });

  it('is done once when its client gave up waiting and sent it again', async () => {
    const hasty = new MongoClient(stand.url, { socketTimeoutMS: 60 });
    const session = client.startSession();
    session.startTransaction();
    await rows().updateOne({ _id: 'a' }, { $inc: { n: 10 } }, { session });
    const there = hasty.db('test').collection<{ _id: string; n: number }>('rows');
    expect(await caught(there.updateOne({ _id: 'a' }, { $inc: { n: 1 } }))).toBeInstanceOf(
      MongoError,
    );
    await session.abortTransaction();
    await session.endSession();
    await increment();
    expect([await number(), stand.counts().update]).toEqual([2, 4]);
    await hasty.close();
  });

  it('waits for a primary through a stepdown', async () => {
    stand.stepDown(200);
    await increment();
    expect(await number()).toBe(1);
  });

  it('goes on after the server was away', async () => {
    await stand.down();
    const write = increment();
    await stand.up();
    await write;
    expect(await number()).toBe(1);
  });
});

describe('a transaction', () => {
  it('is committed once when the reply of the commit is lost', async () => {
    stand.fault({ on: 'commitTransaction', kind: 'lost-reply' });
    await inTransaction();
    expect(await number()).toBe(1);
    expect(stand.counts()).toMatchObject({ commitTransaction: 2, update: 1 });
  });

  it('is committed once when the connection is cut before the commit', async () => {
    stand.fault({ on: 'commitTransaction', kind: 'cut' });
    await inTransaction();
    expect(await number()).toBe(1);
    expect(stand.counts()).toMatchObject({ commitTransaction: 2, update: 1 });
  });

  it('runs again from its start when the primary steps down at the commit', async () => {
    stand.fault({ on: 'commitTransaction', kind: 'not-primary' });
    await inTransaction();
    expect([await number(), stand.counts().update]).toEqual([1, 2]);
  });

  it('runs again after a write conflict, at a statement or at the commit', async () => {
    stand.fault({ on: 'update', kind: 'write-conflict' });
    stand.fault({ on: 'commitTransaction', kind: 'write-conflict' });
    await inTransaction();
    expect([await number(), stand.counts().update]).toEqual([1, 3]);
  });

  it('says by labels what a caller without withTransaction may do', async () => {
    stand.fault({ on: 'commitTransaction', times: 2, kind: 'lost-reply' });
    await client.withSession(async (session) => {
      session.startTransaction();
      await rows().updateOne({ _id: 'a' }, { $inc: { n: 1 } }, { session });
      const error = await caught(session.commitTransaction());
      expect(error instanceof MongoError && error.hasErrorLabel(UNKNOWN)).toBe(true);
      await session.commitTransaction();
    });
    expect(await number()).toBe(1);
  });

  it('of a client that died holds its documents until its lifetime ends', async () => {
    const session = client.startSession();
    session.startTransaction();
    await rows().updateOne({ _id: 'a' }, { $inc: { n: 5 } }, { session });
    expect(stand.openTransactions()).toBe(1);
    await increment(); // waits for the end of the forgotten transaction
    expect([await number(), stand.openTransactions()]).toEqual([1, 0]);
    expect(await caught(session.commitTransaction())).toHaveProperty('code', 251);
    await session.endSession();
  });

  it('runs again from its start when the server crashes in the middle', async () => {
    let attempts = 0;
    await client.withSession((session) =>
      session.withTransaction(async () => {
        await rows().updateOne({ _id: 'a' }, { $inc: { n: 1 } }, { session });
        if (++attempts > 1) return;
        await stand.crash();
        await stand.up();
      }),
    );
    expect([attempts, await number()]).toEqual([2, 1]);
  });

  it('is ended by killSessions', async () => {
    const session = client.startSession();
    session.startTransaction();
    await rows().updateOne({ _id: 'a' }, { $inc: { n: 5 } }, { session });
    await client.db('admin').command({ killSessions: [session.id] });
    expect(stand.openTransactions()).toBe(0);
    await session.abortTransaction();
    await session.endSession();
  });
});

describe('faults', () => {
  it('of a full disk last until they are cleared, and reads go on', async () => {
    stand.fault({ on: 'update', times: Number.POSITIVE_INFINITY, kind: 'full' });
    for (let round = 0; round < 2; round++) {
      const error = await caught(increment());
      expect(error).toBeInstanceOf(MongoServerError);
      expect(error).toMatchObject({ code: 14031, codeName: 'OutOfDiskSpace' });
    }
    expect(await number()).toBe(0);
    stand.clearFaults();
    await increment();
    expect(await number()).toBe(1);
  });

  it('begin with the nth command', async () => {
    stand.fault({ on: 'insert', nth: 3, kind: 'full' });
    const outcomes: unknown[] = [];
    for (const _id of ['b', 'c', 'd', 'e']) {
      outcomes.push(await caught(rows().insertOne({ _id, n: 1 })));
    }
    expect(outcomes.map((error) => error === undefined)).toEqual([true, true, false, true]);
  });

  it('of a half open connection end by the socket time limit of the client', async () => {
    const limited = new MongoClient(stand.url, { socketTimeoutMS: 150, retryWrites: false });
    const there = limited.db('test').collection<{ _id: string; n: number }>('rows');
    stand.fault({ on: 'update', kind: 'half-open' });
    const error = await caught(there.updateOne({ _id: 'a' }, { $inc: { n: 1 } }));
    expect(error).toHaveProperty('name', 'MongoNetworkTimeoutError');
    await there.updateOne({ _id: 'a' }, { $inc: { n: 1 } });
    expect(await number()).toBe(1);
    await limited.close();
  });

  it('of a slow command delay it, not the others', async () => {
    stand.fault({ on: 'update', kind: 'slow', ms: 700 });
    let done = false;
    const slow = increment().then(() => {
      done = true;
    });
    expect(await number()).toBe(0);
    expect(done).toBe(false);
    await slow;
    expect(await number()).toBe(1);
  });
});

it('is a mongos or a standalone server when it is told so', async () => {
  const refusal = { originalError: { code: 20 } };
  for (const topology of ['mongos', 'standalone'] as const) {
    const other = await startMongoStandIn({ port: 0, topology });
    const there = new MongoClient(other.url, { retryWrites: false });
    const hello = await there.db('admin').command({ hello: 1 });
    expect([hello.msg, hello.setName]).toEqual([
      topology === 'mongos' ? 'isdbgrid' : undefined,
      undefined,
    ]);
    if (topology === 'mongos') expect(await committedAt(there)).toBe(1);
    else expect(await caught(committedAt(there))).toMatchObject(refusal);
    await there.close();
    await other.stop();
  }
});

async function committedAt(there: MongoClient): Promise<number> {
  const other = there.db('test').collection('other');
  await there.withSession((session) =>
    session.withTransaction(async () => {
      await other.insertOne({}, { session });
    }),
  );
  return other.countDocuments();
}
