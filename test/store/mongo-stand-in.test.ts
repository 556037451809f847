// The MongoDB stand-in against the unmodified driver: reads, writes, indexes, transactions.
// Scripted faults are in mongo-stand-in-faults.test.ts.
import { Binary, type ClientSession, Long, MongoClient, MongoServerError, UUID } from 'mongodb';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type StandIn, startMongoStandIn } from '../support/mongo/server.ts';

interface Row {
  _id: string;
  n?: number;
  m?: number;
  k?: number;
  x?: number;
  at?: number;
  list?: number[];
  all?: boolean;
  once?: unknown;
  tenant?: string;
  key?: number;
  tokens?: string[];
  ranges?: { p: string; low: number }[];
}

let stand: StandIn;
let client: MongoClient;

beforeAll(async () => {
  stand = await startMongoStandIn({ port: 0 });
  client = await new MongoClient(stand.url).connect();
});

afterAll(async () => {
  await client.close();
  await stand.stop();
});

beforeEach(async () => {
  await client.db('test').dropDatabase();
});

const rows = (name = 'rows') => client.db('test').collection<Row>(name);

async function failure(run: Promise<unknown>): Promise<MongoServerError> {
  const error = await run.then(
    () => undefined,
    (cause: unknown) => cause,
  );
  if (error instanceof MongoServerError) return error;
  throw new Error('expected a server error', { cause: error });
}

async function inTransaction<T>(run: (session: ClientSession) => Promise<T>): Promise<T> {
  const session = client.startSession();
  try {
    return await run(session);
  } finally {
    await session.endSession();
  }
}

describe('documents', () => {
  it('come back with their BSON types and the order of their fields', async () => {
    const typed = client.db('test').collection<{ _id: string }>('rows');
    const row = {
      _id: 'a',
      z: new Binary(Buffer.from([0, 1, 255])),
      id: new UUID('0190f3f0-0000-7000-8000-000000000001'),
      at: new Date(5),
      big: Long.fromString('9223372036854775807'),
      half: 0.5,
      none: null,
      inner: { b: [1, { c: 2 }], a: 'é\u0000x' },
    };
    await typed.insertOne(row);
    const found = await typed.findOne({ _id: 'a' });
    expect(found).toEqual(row);
    expect(Object.keys(found ?? {})).toEqual(Object.keys(row));
  });

  it('are found by Binary and UUID keys, one by one and in long lists', async () => {
    const ids = Array.from({ length: 30 }, () => new UUID());
    const byId = client.db('test').collection<{ _id: UUID; at: number }>('ids');
    await byId.insertMany(ids.map((_id, at) => ({ _id, at })));
    expect((await byId.findOne({ _id: new UUID(ids[7]?.toString()) }))?.at).toBe(7);
    expect(await byId.countDocuments({ _id: { $in: ids.slice(3, 23) } })).toBe(20);
  });

  it('are updated by operators, replacement, pipeline and upsert', async () => {
    await rows().insertOne({ _id: 'a', n: 1, list: [1] });
    const upsert = { upsert: true };
    expect(
      await rows().updateOne({ _id: 'a' }, { $inc: { n: 2 }, $push: { list: 2 } }),
    ).toMatchObject({ matchedCount: 1, modifiedCount: 1 });
    expect(await rows().updateOne({ _id: 'a' }, { $set: { n: 3 } })).toMatchObject({
      matchedCount: 1,
      modifiedCount: 0,
    });
    expect(
      await rows().updateOne({ _id: 'b', k: 5 }, { $setOnInsert: { n: 9 } }, upsert),
    ).toMatchObject({ matchedCount: 0, upsertedId: 'b' });
    await rows().updateOne({ _id: 'b' }, [{ $set: { sum: { $add: ['$k', '$n'] } } }]);
    expect(
      await rows().findOneAndReplace({ _id: 'a' }, { x: 1 }, { returnDocument: 'after' }),
    ).toEqual({
      _id: 'a',
      x: 1,
    });
    expect(await rows().findOne({ _id: 'b' })).toEqual({ _id: 'b', k: 5, n: 9, sum: 14 });
    expect((await rows().updateMany({}, { $set: { all: true } })).modifiedCount).toBe(2);
    expect(
      (await failure(rows().updateOne({ _id: 'a' }, { $set: { x: 2 }, $inc: { x: 1 } }))).code,
    ).toBe(40);
  });

  it('are read in batches, sorted, skipped, limited and projected', async () => {
    await rows().insertMany(Array.from({ length: 250 }, (_, n) => ({ _id: `r${n}`, n, m: n % 7 })));
    expect(await rows().find().batchSize(40).toArray()).toHaveLength(250);
    const page = rows().find({ m: 3 }, { projection: { m: 0 } });
    expect(await page.sort({ n: -1 }).skip(1).limit(2).toArray()).toEqual([
      { _id: 'r241', n: 241 },
      { _id: 'r234', n: 234 },
    ]);
    expect(
      await rows()
        .find({ n: 3 }, { projection: { n: 1, _id: 0 } })
        .toArray(),
    ).toEqual([{ n: 3 }]);
    const groups = rows().aggregate([{ $match: { m: { $lt: 2 } } }, { $group: group() }]);
    expect(await groups.toArray()).toEqual([
      { _id: 0, count: 36 },
      { _id: 1, count: 36 },
    ]);
    expect(await rows().distinct('m')).toEqual([0, 1, 2, 3, 4, 5, 6]);
    expect(await rows().countDocuments({ m: 6 })).toBe(35);
  });

  it('of a cursor that was closed are gone', async () => {
    await rows().insertMany(Array.from({ length: 10 }, (_, n) => ({ _id: `r${n}` })));
    const reply = await client.db('test').command({ find: 'rows', batchSize: 2 });
    const getMore = { getMore: reply.cursor.id, collection: 'rows' };
    await client.db('test').command({ killCursors: 'rows', cursors: [reply.cursor.id] });
    expect((await failure(client.db('test').command(getMore))).code).toBe(43);
  });
});

function group(): Record<string, unknown> {
  return { _id: '$m', count: { $sum: 1 } };
}

describe('indexes', () => {
  it('refuse a second document with a unique key and name the key', async () => {
    await rows().createIndex({ tenant: 1, key: 1 }, { unique: true });
    await rows().insertOne({ _id: 'a', tenant: 't', key: 1 });
    const error = await failure(rows().insertOne({ _id: 'b', tenant: 't', key: 1 }));
    expect([error.code, error.keyPattern, error.keyValue]).toEqual([
      11000,
      { tenant: 1, key: 1 },
      { tenant: 't', key: 1 },
    ]);
    expect((await failure(rows().insertOne({ _id: 'a' }))).keyPattern).toEqual({ _id: 1 });
    await rows().updateOne({ _id: 'a' }, { $set: { key: 2 } });
    await rows().insertOne({ _id: 'b', tenant: 't', key: 1 });
    expect((await failure(rows().updateOne({ _id: 'b' }, { $set: { key: 2 } }))).code).toBe(11000);
    const again = failure(rows().createIndex({ tenant: 1 }, { unique: true }));
    expect((await again).code).toBe(11000);
  });

  it('go on after a refused document when the insert is unordered', async () => {
    const docs = ['a', 'b', 'a', 'c'].map((_id) => ({ _id }));
    const ordered = await failure(rows().insertMany(docs));
    expect([ordered.code, await rows().countDocuments()]).toEqual([11000, 2]);
    await failure(rows().insertMany(docs, { ordered: false }));
    expect(await rows().countDocuments()).toBe(3);
  });

  it('that are partial hold, and are used for, only what their condition says', async () => {
    const partialFilterExpression = { once: { $exists: true } };
    await rows().createIndex({ once: 1 }, { unique: true, partialFilterExpression });
    await rows().insertMany([{ _id: 'a' }, { _id: 'b' }, { _id: 'c', once: 'x' }]);
    expect((await failure(rows().insertOne({ _id: 'd', once: 'x' }))).code).toBe(11000);
    expect(await stagesOf({ once: 'x' }, {})).toContain('IXSCAN');
    expect(await stagesOf({ once: null }, {})).toContain('COLLSCAN');
  });

  it('are listed, conflict when changed, and are dropped', async () => {
    await rows().createIndex({ at: 1 }, { expireAfterSeconds: 60 });
    expect((await failure(rows().createIndex({ at: 1 }, { expireAfterSeconds: 61 }))).code).toBe(
      86,
    );
    expect((await rows().indexes()).map(({ name }) => name)).toEqual(['_id_', 'at_1']);
    await rows().dropIndex('at_1');
    expect(await rows().indexes()).toHaveLength(1);
  });

  it('are shown by explain as they serve filter and sort', async () => {
    await rows().createIndex({ tenant: 1, tokens: 1, at: -1, _id: 1 });
    await rows().createIndex({ 'ranges.p': 1, 'ranges.low': 1 });
    await rows().insertOne({
      _id: 'a',
      tenant: 't',
      tokens: ['x', 'y'],
      at: 1,
      ranges: [range(1)],
    });
    const byToken = { tenant: 't', tokens: 'x' };
    expect(await stagesOf(byToken, { at: -1, _id: 1 })).toEqual(['FETCH', 'IXSCAN']);
    expect(await stagesOf(byToken, { at: 1, _id: -1 })).toEqual(['FETCH', 'IXSCAN']);
    expect(await stagesOf(byToken, { at: 1, _id: 1 })).toEqual(['SORT', 'FETCH', 'IXSCAN']);
    const either = { tenant: 't', tokens: { $in: ['x', 'y'] } };
    expect(await stagesOf(either, { at: -1 })).toEqual(['FETCH', 'SORT_MERGE', 'IXSCAN', 'IXSCAN']);
    expect(await stagesOf({ at: 1 }, {})).toEqual(['COLLSCAN']);
    const element = { ranges: { $elemMatch: { p: 'date', low: { $gte: 1, $lte: 2 } } } };
    expect(await stagesOf(element, {})).toEqual(['FETCH', 'IXSCAN']);
    expect(await rows().countDocuments(element)).toBe(1);
  });
});

const range = (low: number) => ({ p: 'date', low });

async function stagesOf(filter: object, sort: Record<string, 1 | -1>): Promise<string[]> {
  const shown = await rows().find(filter).sort(sort).explain('queryPlanner');
  const names: string[] = [];
  const visit = (stage: { stage: string; inputStage?: never; inputStages?: never[] }): void => {
    names.push(stage.stage);
    for (const inner of [stage.inputStage ?? [], stage.inputStages ?? []].flat()) visit(inner);
  };
  visit(shown.queryPlanner.winningPlan);
  return names;
}

describe('transactions', () => {
  it('show their writes to themselves, to others only after the commit', async () => {
    await rows().insertOne({ _id: 'a', n: 1 });
    await inTransaction(async (session) => {
      session.startTransaction();
      await rows().updateOne({ _id: 'a' }, { $inc: { n: 1 } }, { session });
      await rows('other').insertOne({ _id: 'b' }, { session });
      expect(await rows('other').countDocuments({}, { session })).toBe(1);
      expect(await rows('other').countDocuments()).toBe(0);
      expect((await rows().findOne({ _id: 'a' }))?.n).toBe(1);
      await session.commitTransaction();
    });
    expect((await rows().findOne({ _id: 'a' }))?.n).toBe(2);
    expect(await rows('other').countDocuments()).toBe(1);
  });

  it('leave nothing after an abort, nor after an error in a statement', async () => {
    await rows().insertOne({ _id: 'a', n: 1 });
    await inTransaction(async (session) => {
      session.startTransaction();
      await rows().deleteOne({ _id: 'a' }, { session });
      await rows().insertOne({ _id: 'b' }, { session });
      await session.abortTransaction();
      session.startTransaction();
      await rows().insertOne({ _id: 'c' }, { session });
      expect((await failure(rows().insertOne({ _id: 'a' }, { session }))).code).toBe(11000);
      const after = await failure(rows().insertOne({ _id: 'd' }, { session }));
      expect([after.code, after.hasErrorLabel('TransientTransactionError')]).toEqual([251, true]);
    });
    expect(await rows().find().toArray()).toEqual([{ _id: 'a', n: 1 }]);
  });

  it('read one moment, whatever is written meanwhile', async () => {
    await rows().createIndex({ k: 1 });
    await rows().insertMany([
      { _id: 'a', k: 1 },
      { _id: 'b', k: 1 },
    ]);
    await inTransaction(async (session) => {
      session.startTransaction({ readConcern: { level: 'snapshot' } });
      expect(await rows().countDocuments({ k: 1 }, { session })).toBe(2);
      await rows().updateOne({ _id: 'a' }, { $set: { k: 2 } });
      await rows().deleteOne({ _id: 'b' });
      await rows().insertOne({ _id: 'c', k: 1 });
      const seen = await rows().find({ k: 1 }, { session }).sort({ _id: 1 }).toArray();
      expect(seen.map(({ _id }) => _id)).toEqual(['a', 'b']);
      await session.commitTransaction();
    });
    expect((await rows().find({ k: 1 }).toArray()).map(({ _id }) => _id)).toEqual(['c']);
  });

  it('lose against the first writer, held or committed, with the transient label', async () => {
    await rows().insertMany([
      { _id: 'a', n: 0 },
      { _id: 'b', n: 0 },
    ]);
    await inTransaction(async (one) => {
      one.startTransaction();
      await rows().updateOne({ _id: 'a' }, { $inc: { n: 1 } }, { session: one });
      await inTransaction(async (two) => {
        two.startTransaction();
        const held = await failure(
          rows().updateOne({ _id: 'a' }, { $inc: { n: 1 } }, { session: two }),
        );
        expect([held.code, held.errorLabels]).toEqual([112, ['TransientTransactionError']]);
        await two.abortTransaction();
        two.startTransaction();
        await rows().findOne({ _id: 'a' }, { session: two });
        await one.commitTransaction();
        const late = await failure(
          rows().updateOne({ _id: 'a' }, { $inc: { n: 1 } }, { session: two }),
        );
        expect(late.code).toBe(112);
      });
    });
    expect((await rows().findOne({ _id: 'a' }))?.n).toBe(1);
  });

  it('conflict on a unique key that another one holds', async () => {
    await rows().createIndex({ once: 1 }, { unique: true });
    await inTransaction(async (one) => {
      one.startTransaction();
      await rows().insertOne({ _id: 'a', once: 1 }, { session: one });
      await inTransaction(async (two) => {
        two.startTransaction();
        expect(
          (await failure(rows().insertOne({ _id: 'b', once: 1 }, { session: two }))).code,
        ).toBe(112);
      });
      await one.abortTransaction();
    });
    await rows().insertOne({ _id: 'b', once: 1 });
  });

  it('make a write outside of them wait', async () => {
    await rows().insertOne({ _id: 'a', n: 1 });
    await inTransaction(async (session) => {
      session.startTransaction();
      await rows().updateOne({ _id: 'a' }, { $set: { n: 10 } }, { session });
      const late = await failure(
        rows().updateOne({ _id: 'a' }, { $inc: { n: 1 } }, { maxTimeMS: 20 }),
      );
      expect(late.code).toBe(50);
      const waiting = rows().updateOne({ _id: 'a' }, { $inc: { n: 1 } });
      await session.commitTransaction();
      await waiting;
    });
    expect((await rows().findOne({ _id: 'a' }))?.n).toBe(11);
  });

  it('of eight writers add up', async () => {
    await rows().insertOne({ _id: 'sum', n: 0 });
    const add = () =>
      inTransaction((session) =>
        session.withTransaction(async () => {
          const row = await rows().findOne({ _id: 'sum' }, { session });
          await rows().updateOne({ _id: 'sum' }, { $set: { n: Number(row?.n) + 1 } }, { session });
        }),
      );
    await Promise.all(Array.from({ length: 8 }, add));
    expect((await rows().findOne({ _id: 'sum' }))?.n).toBe(8);
  });

  it('refuse what the manual forbids in them', async () => {
    await rows().insertOne({ _id: 'a' });
    await inTransaction(async (session) => {
      session.startTransaction();
      const error = await failure(client.db('test').command({ count: 'rows' }, { session }));
      expect(error.code).toBe(263);
    });
  });
});

it('reads one moment in a snapshot session', async () => {
  await rows().insertMany([{ _id: 'a' }, { _id: 'b' }]);
  const session = client.startSession({ snapshot: true });
  expect(await rows().find({}, { session }).toArray()).toHaveLength(2);
  await rows().deleteOne({ _id: 'a' });
  await rows('late').insertOne({ _id: 'c' });
  expect(await rows().find({}, { session }).toArray()).toHaveLength(2);
  expect(await rows('late').find({}, { session }).toArray()).toEqual([]);
  await session.endSession();
  expect(await rows().countDocuments()).toBe(1);
});

it('refuses loudly what it does not imitate', async () => {
  const before = stand.refused.length;
  expect((await failure(client.db('test').command({ collStats: 'rows' }))).code).toBe(59);
  expect((await failure(rows().find({ $where: 'true' }).toArray())).code).toBe(2);
  expect(
    (
      await failure(
        rows()
          .aggregate([{ $out: 'x' }])
          .toArray(),
      )
    ).code,
  ).toBe(40324);
  expect((await failure(rows().find().collation({ locale: 'de' }).toArray())).code).toBe(40415);
  expect((await failure(rows().createIndex({ a: 'text' }))).code).toBe(67);
  expect(stand.refused.length - before).toBe(5);
});
