// The stand-in's indexes against its own collection scan: the same documents in the same order,
// for random documents, filters and sorts, also while transactions hold old versions.
import { type Document, MongoClient } from 'mongodb';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type StandIn, startMongoStandIn } from '../support/mongo/server.ts';

const SEED = Number(process.env.SEED ?? Date.now() % 1_000_000);

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

/** mulberry32 */
function randomFrom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 4_294_967_296) * below);
  };
}

type Random = ReturnType<typeof randomFrom>;

const INDEXES: Record<string, 1 | -1>[] = [
  { a: 1, b: -1 },
  { b: 1 },
  { tags: 1, _id: 1 },
  { a: 1, tags: 1, _id: 1 },
  { tags: 1, a: 1, _id: 1 },
  { 'parts.p': 1, 'parts.low': 1 },
  { a: 1, 'parts.p': 1, 'parts.high': -1 },
  { a: 1, tags: 1, b: 1, _id: 1 },
];

function scalar(random: Random): unknown {
  const values = [null, 0, 1, 2, -3.5, 'x', 'y', 'xy', true, new Date(1), new Date(2)];
  return values[random(values.length)];
}

function document(random: Random, at: number): Document {
  const doc: Document = { _id: `d${String(at).padStart(3, '0')}` };
  if (random(8) > 0) doc.a = random(4);
  if (random(8) > 0) doc.b = scalar(random);
  doc.tags = Array.from({ length: random(4) }, () => `t${random(5)}`);
  doc.parts = Array.from({ length: random(3) }, () => part(random));
  return doc;
}

function part(random: Random): Document {
  const low = random(10);
  return { p: `p${random(3)}`, low, high: low + random(5) };
}

function clause(random: Random): Document {
  const [low, high] = [random(6), random(8)];
  const clauses: Document[] = [
    { a: random(5) },
    { a: { $in: [random(4), random(4)] } },
    { a: { $gte: low, $lt: high } },
    { b: scalar(random) },
    { b: { $gt: scalar(random) } },
    { b: { $lte: scalar(random) } },
    { tags: `t${random(6)}` },
    { tags: { $in: [`t${random(6)}`, `t${random(6)}`] } },
    { tags: { $all: [`t${random(5)}`, `t${random(5)}`] } },
    { tags: { $gte: 't1', $lt: 't3' } },
    { parts: { $elemMatch: { p: `p${random(3)}`, low: { $lte: high }, high: { $gte: low } } } },
    { 'parts.p': `p${random(3)}`, 'parts.low': { $gte: low } },
    { 'parts.low': { $gte: low, $lte: high } },
    { _id: { $gt: `d0${random(10)}0` } },
  ];
  return clauses[random(clauses.length)] ?? {};
}

function filter(random: Random): Document {
  const parts = Array.from({ length: random(4) }, () => clause(random));
  if (random(4) === 0) return { $or: [clause(random), { $and: [clause(random), clause(random)] }] };
  if (random(3) === 0) parts.push({ $or: [clause(random), clause(random)] });
  return parts.length > 0 ? { $and: parts } : {};
}

function sort(random: Random): Record<string, 1 | -1> {
  const way = (): 1 | -1 => (random(2) === 0 ? 1 : -1);
  const sorts: Record<string, 1 | -1>[] = [
    {},
    { a: way() },
    { a: way(), b: way() },
    { b: way() },
    { tags: way() },
    { 'parts.low': way() },
  ];
  const chosen = sorts[random(sorts.length)] ?? {};
  return { ...chosen, _id: way() }; // a total order, so that both answers must be equal
}

it(`finds the same through indexes as by scanning (SEED=${SEED})`, {
  timeout: 60_000,
}, async () => {
  const random = randomFrom(SEED);
  const rows = client.db('plans').collection<Document>('rows');
  for (const key of INDEXES) await rows.createIndex(key);
  await rows.insertMany(Array.from({ length: 200 }, (_, at) => document(random, at)));
  const session = client.startSession();
  session.startTransaction({ readConcern: { level: 'snapshot' } });
  const frozen = await rows.find({}, { session }).sort({ _id: 1 }).toArray();
  for (let at = 0; at < 60; at++) {
    const fresh = document(random, random(220));
    await rows.replaceOne({ _id: fresh._id }, fresh, { upsert: true });
    if (at % 6 === 0) await rows.deleteOne({ _id: document(random, random(200))._id });
  }
  for (let round = 0; round < 400; round++) {
    const [wanted, order, limit] = [filter(random), sort(random), random(3) * 7];
    for (const options of [{}, { session }]) {
      const one = rows.find(wanted, { ...options, sort: order, limit });
      const two = rows.find(wanted, { ...options, sort: order, limit, hint: { $natural: 1 } });
      const told = JSON.stringify({ wanted, order, limit, inside: 'session' in options });
      expect(ids(await one.toArray()), told).toEqual(ids(await two.toArray()));
    }
  }
  expect(await rows.find({}, { session }).sort({ _id: 1 }).toArray()).toEqual(frozen);
  await session.abortTransaction();
  await session.endSession();
});

function ids(docs: Document[]): unknown[] {
  return docs.map(({ _id }) => _id);
}

it(`keeps the sum of accounts under concurrent transfers (SEED=${SEED})`, async () => {
  const random = randomFrom(SEED + 1);
  const accounts = client.db('plans').collection<{ _id: number; n: number }>('accounts');
  const log = client.db('plans').collection<Document>('log');
  await accounts.insertMany(Array.from({ length: 6 }, (_, _id) => ({ _id, n: 100 })));
  const transfer = async (): Promise<void> => {
    const [from, to] = [random(6), random(6)];
    await client.withSession((session) =>
      session.withTransaction(async () => {
        await accounts.updateOne({ _id: from }, { $inc: { n: -1 } }, { session });
        await accounts.updateOne({ _id: to }, { $inc: { n: 1 } }, { session });
        await log.insertOne({ from, to }, { session });
      }),
    );
  };
  const watch = async (): Promise<number> =>
    client.withSession((session) =>
      session.withTransaction(async () => {
        const seen = await accounts.find({}, { session }).toArray();
        return seen.reduce((sum, { n }) => sum + n, 0);
      }),
    );
  const lane = async (): Promise<void> => {
    for (let at = 0; at < 12; at++) {
      await transfer();
      expect(await watch()).toBe(600);
    }
  };
  await Promise.all(Array.from({ length: 4 }, lane));
  expect(await log.countDocuments()).toBe(48);
  expect(stand.openTransactions()).toBe(0);
});
