// artery doctor on the servers of the cluster engine: the MongoDB stand-in and a real Redis, in the
// states that an operator meets. It must change nothing in either.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MongoClient } from 'mongodb';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Check } from '../../src/commands/check.ts';
import { checkMongo, checkRedis } from '../../src/commands/doctor-servers.ts';
import { openMongoStore } from '../../src/store/mongo/open.ts';
import { until } from '../contract/queue.ts';
import { type StandIn, startMongoStandIn } from '../support/mongo/server.ts';
import { type RedisServer, startRedis, WHY_SKIPPED, WITHOUT_REDIS } from '../support/redis.ts';
import { runArtery } from './program.ts';

let mongo: StandIn;

beforeAll(async () => {
  mongo = await startMongoStandIn({ port: 0 });
});
afterAll(async () => {
  await mongo.stop();
});

function at(server: StandIn, database: string): string {
  return server.url.replace(/\/(\?|$)/, `/${database}$1`);
}

describe('MongoDB', () => {
  it('that is well, new and in use', async () => {
    const url = at(mongo, 'well');
    const fresh = await checkMongo(url);
    const set = '8.0.0, replica set artery-test of 1, with transactions; database well';
    expect(fresh).toEqual({ name: 'mongodb', state: 'ok', text: `${set} will be filled` });
    const written = ['create', 'insert', 'update', 'createIndexes'];
    expect(written.map((name) => mongo.counts()[name] ?? 0)).toEqual([0, 0, 0, 0]);
    await (await openMongoStore({ url })).close();
    expect(await checkMongo(url)).toMatchObject({ state: 'ok', text: set });
  });

  it('as a sharded cluster', async () => {
    const mongos = await startMongoStandIn({ port: 0, topology: 'mongos' });
    const check = await checkMongo(mongos.url);
    await mongos.stop();
    expect(check).toMatchObject({ state: 'ok', text: expect.stringContaining('sharded cluster') });
  });

  it('without transactions', async () => {
    const alone = await startMongoStandIn({ port: 0, topology: 'standalone' });
    const check = await checkMongo(alone.url);
    await alone.stop();
    expect(check.state).toBe('failed');
    expect(check.text).toContain('run rs.initiate()');
  });

  it.each([
    ['schema', { version: 999 }, /newer version of Artery/],
    [
      'copy',
      { step: 0, progress: '{"source":"other store"}' },
      /unfinished copy of the other store/,
    ],
  ])('that must not be started on: %s', async (_id, set, reason) => {
    const client = await new MongoClient(mongo.url).connect();
    const meta = client.db(`with-${_id}`).collection<{ _id: string }>('meta');
    await meta.insertOne({ _id, ...set });
    await client.close();
    const check = await checkMongo(at(mongo, `with-${_id}`));
    expect(check.state).toBe('failed');
    expect(check.text).toMatch(reason);
  });

  it('that is away, without a word of its url', async () => {
    const gone = await startMongoStandIn({ port: 0 });
    const url = gone.url.replace('mongodb://', 'mongodb://user:secret-word@');
    await gone.stop();
    const check = await checkMongo(url);
    expect(check.state).toBe('failed');
    expect(check.text).toMatch(/^MongoDB does not answer: .*: start it, or correct MONGODB_URL$/);
    expect(check.text).not.toContain('secret-word');
  });
});

describe.skipIf(WITHOUT_REDIS)(`Redis${WHY_SKIPPED}`, () => {
  let redis: RedisServer;
  beforeAll(async () => {
    redis = await startRedis();
  });
  afterAll(() => redis.close());
  beforeEach(async () => {
    await set({ appendonly: 'yes', 'maxmemory-policy': 'noeviction', maxmemory: '0' });
    await redis.client.replicaof('NO', 'ONE');
  });

  async function set(settings: Record<string, string>): Promise<void> {
    for (const [name, value] of Object.entries(settings)) {
      await redis.client.config('SET', name, value);
    }
  }

  it('that is well', async () => {
    const text = expect.stringMatching(/^\d+\.\d+\.\d+, noeviction, append-only file$/);
    expect(await checkRedis(redis.url)).toEqual({ name: 'redis', state: 'ok', text });
  });

  it.each<[Record<string, string>, Check['state'], RegExp]>([
    [{ 'maxmemory-policy': 'allkeys-lru' }, 'warning', /\(allkeys-lru\): set maxmemory-policy/],
    [{ 'maxmemory-policy': 'volatile-ttl', maxmemory: '100mb' }, 'failed', /evicts keys/],
    [{ appendonly: 'no' }, 'warning', /no append-only file: .*; appendonly yes/],
  ])('with %j: %s', async (settings, state, text) => {
    await set(settings);
    expect(await checkRedis(redis.url)).toMatchObject({
      state,
      text: expect.stringMatching(text),
    });
  });

  it('that takes no writes', async () => {
    await redis.client.replicaof('127.0.0.1', 1);
    const check = await checkRedis(redis.url);
    expect(check).toMatchObject({ state: 'failed', text: expect.stringContaining('a replica') });
  });

  it('with another password, without a word of it', async () => {
    await set({ requirepass: 'the right one' });
    try {
      const url = redis.url.replace('redis://', 'redis://:secret-word@');
      for (const given of [redis.url, url]) {
        const check = await checkRedis(given);
        expect(check.state).toBe('failed');
        expect(check.text).toMatch(/refuses the user of REDIS_URL: REDIS_(NOAUTH|WRONGPASS)/);
        expect(check.text).not.toContain('secret-word');
      }
    } finally {
      await set({ requirepass: '' });
    }
  });

  it('and MongoDB stand in the list of artery doctor, which fails when one is away', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'artery-doctor-'));
    const file = join(folder, 'root.key');
    const environment = {
      ARTERY_DATA_DIR: join(folder, 'data'),
      ARTERY_HTTP_PORT: '0',
      ARTERY_ADT_PORT: '0',
      ARTERY_LAB_PORT: '0',
      ARTERY_ROOT_KEY_FILE: file,
      MONGODB_URL: mongo.url,
      REDIS_URL: redis.url,
    };
    const doctor = () => runArtery(['doctor'], { environment });
    const keyless = await doctor();
    expect(keyless.code).toBe(1);
    expect(keyless.out).toMatch(/FAIL +root key .*artery key make/);
    expect((await runArtery(['key', 'make', file])).code).toBe(0);
    const well = await doctor();
    expect(well.code, well.out).toBe(0);
    expect(well.out).toMatch(/ok +mongodb +8\.0\.0, .*\nok +redis +\d/);
    await redis.kill();
    const ill = await doctor();
    expect(ill.code).toBe(1);
    expect(ill.out).toMatch(/FAIL +redis +Redis does not answer: ECONNREFUSED: start it/);
    await redis.restart();
    await until(async () => (await checkRedis(redis.url)).state === 'ok');
    rmSync(folder, { recursive: true, force: true });
  }, 60_000);
});
