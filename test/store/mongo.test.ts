// The MongoDB store keeps the contract, on the stand-in; mongo-real.test.ts: on a real server.
import { randomUUID } from 'node:crypto';
import { afterAll, expect } from 'vitest';
import { openMongoStore } from '../../src/store/mongo/open.ts';
import { restoreMongoBackup } from '../../src/store/mongo/restore.ts';
import { storeContract } from '../contract/store.ts';
import { startMongoStandIn } from '../support/mongo/server.ts';
import { temporaryFolder } from './folder.ts';
import { plansSuite } from './mongo-plans.ts';

const server = await startMongoStandIn({ port: 0 });
const folder = temporaryFolder();

storeContract('mongodb (stand-in)', {
  open: () => openMongoStore({ url: server.url, database: 'contract' }),
  newBackupFolder: async () => folder.path(randomUUID()),
  openBackup: async (path) => {
    const target = { url: server.url, database: `restored-${randomUUID()}` };
    await restoreMongoBackup(path, target);
    return openMongoStore(target);
  },
  clean: async () => folder.remove(),
});

plansSuite(() => ({ url: server.url, database: 'plans' }));

afterAll(async () => {
  await server.stop();
  expect(server.refused).toEqual([]);
});
