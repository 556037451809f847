// Backups of the MongoDB store that must not be restored, and bodies that it must not take.
import { readdirSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openMongoStore } from '../../src/store/mongo/open.ts';
import { restoreMongoBackup } from '../../src/store/mongo/restore.ts';
import type { Store } from '../../src/store/port.ts';
import { type StandIn, startMongoStandIn } from '../support/mongo/server.ts';
import { freshTenant, resource, writing } from '../support/store-units.ts';
import { temporaryFolder } from './folder.ts';

const folder = temporaryFolder();
const tenant = freshTenant();
let server: StandIn;
let store: Store;

beforeAll(async () => {
  server = await startMongoStandIn({ port: 0 });
  store = await openMongoStore({ url: server.url, database: 'backup' });
  const rows = Array.from({ length: 50 }, (_, n) => resource(`p${n}`));
  await store.commit(writing(tenant, ...rows));
});
afterAll(async () => {
  await store.close();
  await server.stop();
  folder.remove();
});

async function backup(name: string): Promise<string> {
  const path = folder.path(name);
  await store.backup(path);
  return path;
}

describe('a backup', () => {
  it('is readable by its owner alone', async () => {
    const path = await backup('modes');
    const files = readdirSync(join(path, 'backup'));
    expect(files).toContain('resources.bson');
    for (const file of files) expect(statSync(join(path, 'backup', file)).mode & 0o077).toBe(0);
  });

  const cuts: [string, (size: number) => number][] = [
    ['within a document', (size) => size - 7],
    ['of all its documents', () => 0],
  ];
  it.each(cuts)('is not restored when a file is cut off: %s', async (name, cut) => {
    const path = await backup(name);
    const file = join(path, 'backup', 'resources.bson');
    truncateSync(file, cut(statSync(file).size));
    const target = { url: server.url, database: `cut-${name.length}` };
    await expect(restoreMongoBackup(path, target)).rejects.toMatchObject({ code: 'STORE_CORRUPT' });
  });

  it('is not restored over another database, nor from nothing', async () => {
    const path = await backup('twice');
    const used = { url: server.url, database: 'backup' };
    await expect(restoreMongoBackup(path, used)).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    const none = restoreMongoBackup(folder.path('nothing'), { ...used, database: 'empty' });
    await expect(none).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});

it('refuses a body that no document can hold, and takes its neighbours', async () => {
  const bytes = new Uint8Array(15 * 1024 * 1024 + 1);
  const results = await Promise.allSettled([
    store.commit(writing(tenant, resource('before'))),
    store.commit(writing(tenant, resource('large', { body: { keyId: 'k', bytes } }))),
    store.commit(writing(tenant, resource('after'))),
  ]);
  expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  expect(results[1]).toMatchObject({ reason: { code: 'TOO_LARGE' } });
});
