// artery store copy: what the embedded engine has taken in is served by the cluster engine, and
// again by the embedded one, with the same tokens, messages, resources and a whole audit log.
import { cpSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CommandContext } from '../../src/commands/context.ts';
import { copyRows } from '../../src/store/copy.ts';
import { openSqliteTransfer } from '../../src/store/sqlite/transfer.ts';
import { type Json, newFolder, openTestEngine, removeFolders } from '../support/engine.ts';
import { adt, oru } from '../support/messages.ts';
import { type StandIn, startMongoStandIn } from '../support/mongo/server.ts';
import { startRedis, WHY_SKIPPED, WITHOUT_REDIS } from '../support/redis.ts';
import { type Ran, runArtery } from './program.ts';

const first = newFolder();
const rootKey = join(first, 'data', 'keys', 'root.key');
let mongo: StandIn;
let token: string;
let served: Json;

beforeAll(async () => {
  mongo = await startMongoStandIn({ port: 0 });
  const engine = await openTestEngine({ folder: first });
  const visits = Array.from({ length: 12 }, (_, n) => adt({ id: `M-${n}`, pid: `P${n % 4}` }));
  await engine.send('adt-inbound', ...visits, adt({ id: 'M-gone', pid: 'GONE' }));
  await engine.send('lab-inbound', oru({ id: 'L-1', pid: 'P1' }));
  await engine.settle();
  token = await engine.token('system/*.rs');
  const { json } = await engine.request('GET', '/fhir/R4/Patient?identifier=GONE', { token });
  const id = json.entry[0].resource.id;
  const forgotten = await engine.request('POST', `/admin/patients/${id}/forget`);
  expect(forgotten.status).toBe(200);
  served = await ask(engine);
  expect(served['Patient?family=Quillf'].length).toBeGreaterThan(2);
  expect(served['Observation?_sort=_id'].length).toBeGreaterThan(0);
  expect(served.messages).toHaveLength(14);
  await engine.stop();
}, 60_000);
afterAll(async () => {
  await mongo.stop();
  removeFolders();
});

/** What a client reads with the first engine's token. */
async function ask(engine: Awaited<ReturnType<typeof openTestEngine>>): Promise<Json> {
  const answers: Json = {};
  for (const query of ['Patient?_sort=_id', 'Patient?family=Quillf', 'Observation?_sort=_id']) {
    const { status, json } = await engine.request('GET', `/fhir/R4/${query}&_count=50`, { token });
    expect(status).toBe(200);
    answers[query] = (json.entry ?? []).map(({ resource }: Json) => resource);
  }
  const { messages } = await engine.get('/admin/messages?limit=50');
  const report = await engine.request('POST', '/admin/audit/verify', { body: '{}' });
  expect(report.json).toMatchObject({ ok: true });
  return { ...answers, messages };
}

function copy(from: string, to: string, environment: Record<string, string> = {}): Promise<Ran> {
  const context: Partial<CommandContext> = {
    environment: {
      ARTERY_DATA_DIR: join(first, 'data'),
      ARTERY_ROOT_KEY_FILE: rootKey,
      ...environment,
    },
    now: Date.now,
  };
  return runArtery(['store', 'copy', '--from', from, '--to', to], context);
}

describe('store copy', () => {
  it('moves the store to MongoDB and tells how it goes', async () => {
    const ran = await copy(join(first, 'data'), `${mongo.url}&appName=test`);
    expect(ran.code, ran.notes).toBe(0);
    expect(ran.notes).toMatch(/artery: copying resources: (\d+) of \1\n/);
    expect(ran.notes).toMatch(/artery: comparing audit: (\d+) of \1/);
    expect(ran.out).toMatch(/resources +\d+ +[0-9a-f]{16}/);
    expect(ran.out).toMatch(
      /is equal to the SQLite store in .* its audit log is whole: \d+ entries/,
    );
  });

  it.skipIf(WITHOUT_REDIS)(
    `and the cluster engine serves the same${WHY_SKIPPED}`,
    async () => {
      const redis = await startRedis();
      const environment = {
        MONGODB_URL: mongo.url,
        REDIS_URL: redis.url,
        ARTERY_ROOT_KEY_FILE: rootKey,
      };
      const engine = await openTestEngine({ environment });
      try {
        expect(await ask(engine)).toEqual(served);
        const [answer] = await engine.send('adt-inbound', adt({ id: 'M-0', pid: 'P0' }));
        expect(answer).toContain('MSA|AA|M-0');
        await engine.send('adt-inbound', adt({ id: 'M-later', pid: 'P0', family: 'Later' }));
        await engine.settle();
        const query = '/fhir/R4/Patient?family=Later';
        expect((await engine.request('GET', query, { token })).json.entry).toHaveLength(1);
      } finally {
        await engine.stop();
        await redis.close();
      }
    },
    60_000,
  );

  it('moves it back, and the embedded engine serves the same', async () => {
    const copied = `${mongo.url}&appName=again`;
    const elsewhere = join(newFolder(), 'data');
    const fresh = await startMongoStandIn({ port: 0 });
    try {
      // From the first store again: the database above has gone on since.
      expect(await copy(join(first, 'data'), fresh.url)).toMatchObject({ code: 0 });
      const word = { MONGODB_URL: fresh.url, REDIS_URL: 'redis://127.0.0.1:1' };
      const ran = await copy('mongodb', elsewhere, word);
      expect(ran.code, ran.notes).toBe(0);
      expect(ran.out).toContain(`is put to ${join(elsewhere, 'keys', 'root.key')}`);
    } finally {
      await fresh.stop();
    }
    mkdirSync(join(elsewhere, 'keys'), { mode: 0o700 });
    cpSync(rootKey, join(elsewhere, 'keys', 'root.key'));
    const engine = await openTestEngine({ folder: dirname(elsewhere) });
    try {
      expect(await ask(engine)).toEqual(served);
      const entries = await engine.get('/admin/audit?from=1&limit=1000');
      const copies = JSON.stringify(entries).match(/store-copy/g) ?? [];
      expect(copies.length).toBeGreaterThanOrEqual(2);
    } finally {
      await engine.stop();
    }
    const again = await copy(copied, elsewhere);
    expect(again).toMatchObject({ code: 4, notes: expect.stringContaining('holds data already') });
  }, 60_000);
});

describe('store copy refuses, with one line of reason', () => {
  const data = join(first, 'data');
  const empty = () => join(newFolder(), 'data');
  it.each<[string, () => Promise<Ran>, number, RegExp]>([
    ['a source that is not there', () => copy(empty(), empty()), 3, /holds no store/],
    ['itself as target', () => copy(data, data), 4, /holds data already/],
    ['the word mongodb without its url', () => copy('mongodb', empty()), 2, /MONGODB_URL/],
    [
      'without the root key',
      () => copy(data, empty(), { ARTERY_ROOT_KEY_FILE: join(first, 'none') }),
      4,
      /root key .* is missing/,
    ],
  ])('%s', async (_, run, code, reason) => {
    const ran = await run();
    expect(ran.code, ran.notes).toBe(code);
    expect(ran.notes).toMatch(reason);
    expect(ran.notes.split('\n')).toHaveLength(1);
  });

  it('another root key, before anything is copied', async () => {
    const file = join(newFolder(), 'other.key');
    expect(await runArtery(['key', 'make', file])).toMatchObject({ code: 0 });
    const to = empty();
    expect(await copy(data, to, { ARTERY_ROOT_KEY_FILE: file })).toMatchObject({ code: 4 });
    expect(await copy(data, to)).toMatchObject({ code: 0 });
  });

  it('a source that a server runs on', async () => {
    const engine = await openTestEngine({ folder: first });
    const ran = await copy(data, empty());
    await engine.stop();
    expect(ran).toMatchObject({ code: 4, notes: expect.stringContaining('Another process') });
  });

  it('to start on a copy that is not finished, until it is', async () => {
    const to = empty();
    const source = await openSqliteTransfer(join(data, 'store'), 'source');
    const target = await openSqliteTransfer(join(to, 'store'), 'target');
    const tell = () => {
      throw new Error('broken off');
    };
    await expect(copyRows(source, target, { rowsMax: 3, tell })).rejects.toThrow('broken off');
    await source.close();
    await target.close();
    const environment = { ARTERY_DATA_DIR: to, ARTERY_ROOT_KEY_FILE: rootKey };
    const list = () =>
      runArtery(['message', 'ls'], {
        environment,
        openApp: async (config, options) =>
          (await import('../../src/app.ts')).openApp(config, options),
      });
    expect(await list()).toMatchObject({
      code: 4,
      notes: expect.stringContaining('run the same artery store copy again'),
    });
    expect(await copy(data, to)).toMatchObject({ code: 0 });
    expect(await list()).toMatchObject({ code: 0 });
  });
});
