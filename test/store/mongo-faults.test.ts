// The MongoDB store when the server fails: whatever meets a command of a commit, its unit is
// applied exactly once, or not at all and the caller is told. On the stand-in, whose faults are
// scripted.
import { setTimeout as sleep } from 'node:timers/promises';
import { MongoClient } from 'mongodb';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type MongoOptions, openMongoStore } from '../../src/store/mongo/open.ts';
import type { Store, Unit } from '../../src/store/port.ts';
import { type Fault, type StandIn, startMongoStandIn } from '../support/mongo/server.ts';
import { freshTenant, message, randomFrom } from '../support/store-units.ts';
import { everyWriteSuite } from './mongo-every-write.ts';
import { networkSuite } from './mongo-network.ts';
import { expectWhole, processesSuite, wholeUnit } from './mongo-processes.ts';

const TUNING = { selectionTimeoutMs: 3_000, replyTimeoutMs: 1_000, stuckMs: 400 };
const DATABASE = 'faults';
const COMMANDS = ['findAndModify', 'find', 'insert', 'update', 'commitTransaction'] as const;
const KINDS = ['lost-reply', 'cut', 'not-primary', 'write-conflict'] as const;
const UNITS = 250;
/** Set to a printed seed to replay it. */
const SEED: number | undefined = undefined;

let server: StandIn;
let store: Store;

const open = (set: Partial<MongoOptions> = {}): Promise<Store> =>
  openMongoStore({ url: server.url, database: DATABASE, ...TUNING, ...set });

beforeAll(async () => {
  server = await startMongoStandIn({ port: 0, majorityCommits: true });
  store = await open();
});
afterEach(() => server.clearFaults());
afterAll(async () => {
  await store.close();
  await server.stop();
});

describe('a fault at one command of a commit', () => {
  const kinds: Fault['kind'][] = ['lost-reply', 'cut', 'not-primary', 'half-open'];
  const rows = COMMANDS.flatMap((on) => kinds.map((kind) => ({ on, kind })));
  it.each(rows)('applies the unit once: $kind at $on', async ({ on, kind }) => {
    const tenant = freshTenant();
    await store.commit(wholeUnit(tenant));
    server.fault({ on, kind });
    const answer = await store.commit(wholeUnit(tenant, 1));
    expect(answer.auditSeq).toBe(2);
    await expectWhole(store, tenant, 2);
  });

  it.each(['findAndModify', 'insert', 'update', 'commitTransaction'])(
    'applies the unit once: write conflicts at %s',
    async (on) => {
      const tenant = freshTenant();
      await store.commit(wholeUnit(tenant));
      server.fault({ on, kind: 'write-conflict', times: 3 });
      await store.commit(wholeUnit(tenant, 1));
      await expectWhole(store, tenant, 2);
    },
  );
});

it('shows signs of life while a transaction lasts, and none after', async () => {
  const tenant = freshTenant();
  const client = await new MongoClient(server.url).connect();
  const writers = client.db(DATABASE).collection<{ tenant: string; beats?: number }>('writers');
  const beatsNow = async () => (await writers.findOne({ tenant }))?.beats ?? 0;
  await store.commit(wholeUnit(tenant));
  const before = await beatsNow();
  server.fault({ on: '*', kind: 'slow', ms: 150, times: Number.POSITIVE_INFINITY });
  await store.commit(wholeUnit(tenant, 1));
  server.clearFaults();
  await sleep(300);
  const after = await beatsNow();
  expect(after).toBeGreaterThan(before);
  await sleep(500);
  expect(await beatsNow()).toBe(after);
  await client.close();
});

describe('a commit without a reply', () => {
  it('is looked up when every repeated commit is lost too', async () => {
    const tenant = freshTenant();
    await store.commit(wholeUnit(tenant));
    server.fault({ on: 'commitTransaction', kind: 'lost-reply', times: 8 });
    const units = [1, 2, 3].map((n) => store.commit(wholeUnit(tenant, n)));
    const answers = await Promise.all(units);
    expect(answers.map(({ auditSeq }) => auditSeq)).toEqual([2, 3, 4]);
    await expectWhole(store, tenant, 4);
  });

  it('is sent again before anything is run again', async () => {
    const tenant = freshTenant();
    await store.commit(wholeUnit(tenant));
    server.resetCounts();
    // The driver sends it again once by itself.
    server.fault({ on: 'commitTransaction', kind: 'lost-reply', times: 3 });
    await store.commit(wholeUnit(tenant, 1));
    expect(server.counts()).toMatchObject({ findAndModify: 1, commitTransaction: 4 });
    await expectWhole(store, tenant, 2);
  });

  it('is run again when it never arrived', async () => {
    const tenant = freshTenant();
    await store.commit(wholeUnit(tenant));
    server.fault({ on: 'commitTransaction', kind: 'cut', times: 8 });
    const answers = await Promise.all([1, 2].map((n) => store.commit(wholeUnit(tenant, n))));
    expect(answers.map(({ auditSeq }) => auditSeq)).toEqual([2, 3]);
    await expectWhole(store, tenant, 3);
    expect(server.openTransactions()).toBe(0);
  });

  it('fails in the end with STORE_UNAVAILABLE; the unit is there once or not at all', async () => {
    const hasty = await open({ commitWaitMs: 300 });
    const tenant = freshTenant();
    await hasty.commit(wholeUnit(tenant));
    server.fault({ on: 'commitTransaction', kind: 'cut', times: Number.POSITIVE_INFINITY });
    await expect(hasty.commit(wholeUnit(tenant, 1))).rejects.toMatchObject({
      code: 'STORE_UNAVAILABLE',
    });
    server.clearFaults();
    const again = await hasty.commit(wholeUnit(tenant, 1)).then(
      () => 'taken',
      (error: Error) => error.name,
    );
    expect(['taken', 'CommitConflict']).toContain(again);
    await expectWhole(hasty, tenant, 2);
    await hasty.close();
  });
});

describe('a server that goes and comes', () => {
  async function commitThrough(act: () => Promise<void>): Promise<void> {
    const tenant = freshTenant();
    await store.commit(wholeUnit(tenant));
    const commits: Promise<unknown>[] = [];
    for (let n = 1; n <= 120; n++) {
      commits.push(store.commit(wholeUnit(tenant, n)));
      if (n === 40) await act();
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    await Promise.all(commits);
    await expectWhole(store, tenant, 121);
  }

  it('loses and doubles nothing when the primary steps down', async () => {
    await commitThrough(async () => server.stepDown(400));
  });

  it('loses and doubles nothing when the server is away for a moment', async () => {
    await commitThrough(async () => {
      await server.down();
      setTimeout(() => server.up(), 500);
    });
  });

  it('answers STORE_UNAVAILABLE while it is away, and goes on by itself', async () => {
    const hasty = await open({ selectionTimeoutMs: 300, commitWaitMs: 300 });
    const tenant = freshTenant();
    await hasty.commit(wholeUnit(tenant));
    await server.down();
    const down = { code: 'STORE_UNAVAILABLE' };
    await expect(hasty.commit(wholeUnit(tenant, 1))).rejects.toMatchObject(down);
    await expect(hasty.intake.get(tenant, 'm0')).rejects.toMatchObject(down);
    await expect(open({ selectionTimeoutMs: 200 })).rejects.toMatchObject(down);
    await server.up();
    await expect.poll(() => hasty.intake.get(tenant, 'm0'), { timeout: 20_000 }).toBeDefined();
    await hasty.commit(wholeUnit(tenant, 2));
    await expectWhole(hasty, tenant, 2);
    await hasty.close();
  });
});

describe('faults at random', () => {
  const seed = SEED ?? Math.floor(Math.random() * 2 ** 31);
  it(`loses and doubles nothing: three processes, seed ${seed}`, async () => {
    const random = randomFrom(seed);
    const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)] as T;
    const tenant = freshTenant();
    const stores = await Promise.all([open(), open(), open()]);
    const commits: Promise<unknown>[] = [];
    for (let n = 0; n < UNITS; n++) {
      if (random() < 0.15)
        server.fault({ on: pick(COMMANDS), kind: pick(KINDS), nth: 1 + (n % 3) });
      if (random() < 0.01) server.stepDown(50);
      commits.push(pick(stores).commit(wholeUnit(tenant, n)));
      if (random() < 0.3) await new Promise((resolve) => setTimeout(resolve, 3));
    }
    const answers = await Promise.allSettled(commits);
    expect(answers.filter(({ status }) => status === 'rejected')).toEqual([]);
    server.clearFaults();
    await expectWhole(store, tenant, UNITS);
    await Promise.all(stores.map((opened) => opened.close()));
  });
});

describe('a slow server', () => {
  it('is not taken for a dead process', async () => {
    const tenant = freshTenant();
    const stores = await Promise.all([open(), open(), open()]);
    await Promise.all(stores.map((opened, n) => opened.commit(wholeUnit(tenant, n))));
    server.resetCounts();
    server.fault({ on: '*', kind: 'slow', ms: 60, times: Number.POSITIVE_INFINITY });
    const commits = Array.from({ length: 12 }, async (_, n) => {
      await stores[n % 3]?.commit(wholeUnit(tenant, n + 3));
    });
    await Promise.all(commits);
    server.clearFaults();
    expect(server.counts().killSessions ?? 0).toBe(0);
    await expectWhole(store, tenant, 15);
    await Promise.all(stores.map((opened) => opened.close()));
  });
});

describe('a full disk', () => {
  it('refuses commits, answers reads, and goes on when there is room', async () => {
    const tenant = freshTenant();
    await store.commit(wholeUnit(tenant));
    const full: Fault = { on: 'insert', kind: 'full', times: Number.POSITIVE_INFINITY };
    server.fault(full);
    const refused = await Promise.allSettled([1, 2].map((n) => store.commit(wholeUnit(tenant, n))));
    for (const result of refused) {
      expect(result).toMatchObject({ reason: { code: 'STORE_UNAVAILABLE' } });
    }
    await expectWhole(store, tenant, 1);
    server.clearFaults();
    await store.commit(wholeUnit(tenant, 1));
    await expectWhole(store, tenant, 2);
  });
});

processesSuite(() => ({ url: server.url, database: DATABASE, ...TUNING }));
everyWriteSuite(() => ({ url: server.url, database: DATABASE }));
networkSuite(() => ({ url: server.url, database: DATABASE }));

describe('opening', () => {
  it('refuses a server without transactions, and says what to do', async () => {
    const alone = await startMongoStandIn({ port: 0, topology: 'standalone' });
    await expect(openMongoStore({ url: alone.url })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining('--replSet'),
    });
    await alone.stop();
  });

  it('takes a mongos', async () => {
    const mongos = await startMongoStandIn({ port: 0, topology: 'mongos' });
    const opened = await openMongoStore({ url: mongos.url });
    const tenant = freshTenant();
    await opened.commit(wholeUnit(tenant));
    await expectWhole(opened, tenant, 1);
    await opened.close();
    await mongos.stop();
  });

  it('does not repeat a url that it cannot read', async () => {
    const thrown: Error = await openMongoStore({ url: 'mongodb://u:hidden@[broken' }).catch(
      (error) => error,
    );
    expect(thrown).toMatchObject({ code: 'CONFIG_INVALID' });
    expect(thrown.cause).toBeUndefined();
    expect(thrown.message).not.toContain('hidden');
  });

  it('refuses a database that a later version wrote', async () => {
    const client = new MongoClient(server.url);
    await client
      .db('later')
      .collection<{ _id: string }>('meta')
      .insertOne({
        _id: 'schema',
        ...{ version: 99 },
      });
    await client.close();
    await expect(open({ database: 'later' })).rejects.toMatchObject({ code: 'STORE_NEWER' });
  });
});

describe('what is sent', () => {
  /** Commands of MongoDB per unit, with 32 units in flight. */
  async function commandsPerUnit(make: (tenant: string, n: number) => Unit): Promise<number> {
    const [tenant, units] = [freshTenant(), 640];
    await store.commit({ tenant, intake: [message({ id: 'first' })] });
    server.resetCounts();
    let next = 0;
    const feed = async (): Promise<void> => {
      while (next < units) await store.commit(make(tenant, next++));
    };
    await Promise.all(Array.from({ length: 32 }, feed));
    const { hello: _, ping: __, ...sent } = server.counts();
    return Object.values(sent).reduce((sum, count) => sum + count, 0) / units;
  }

  it('is less than one command per unit when 32 are in flight', async () => {
    const receive = (tenant: string, n: number): Unit => ({
      tenant,
      intake: [message({ id: `m${n}`, dedupe: `d${n}` })],
    });
    expect(await commandsPerUnit(receive)).toBeLessThan(0.5);
    expect(await commandsPerUnit(wholeUnit)).toBeLessThan(0.5);
  });

  it('is nothing that the stand-in does not know', () => {
    expect(server.refused).toEqual([]);
  });
});
