// The MongoDB store on a server that is compatible but no MongoDB: the stand-in as a DocumentDB.
// What such a server does otherwise was seen on a real one; see docs/reference/mongodb.md.
import { randomUUID } from 'node:crypto';
import { afterAll } from 'vitest';
import { openMongoStore } from '../../src/store/mongo/open.ts';
import { restoreMongoBackup } from '../../src/store/mongo/restore.ts';
import { storeContract } from '../contract/store.ts';
import { startMongoStandIn } from '../support/mongo/server.ts';
import { temporaryFolder } from './folder.ts';
import { everyWriteSuite } from './mongo-every-write.ts';
import { networkSuite } from './mongo-network.ts';
import { plansSuite } from './mongo-plans.ts';
import { processesSuite } from './mongo-processes.ts';

const server = await startMongoStandIn({ port: 0, topology: 'documentdb' });
const folder = temporaryFolder();

storeContract('mongodb (stand-in as DocumentDB)', {
  open: () => openMongoStore({ url: server.url, database: 'contract' }),
  newBackupFolder: async () => folder.path(randomUUID()),
  openBackup: async (path) => {
    const target = { url: server.url, database: `restored-${randomUUID()}` };
    await restoreMongoBackup(path, target);
    return openMongoStore(target);
  },
  clean: async () => folder.remove(),
});

processesSuite(() => ({ url: server.url, database: 'shared' }));
everyWriteSuite(() => ({ url: server.url, database: 'shared' }));
networkSuite(() => ({ url: server.url, database: 'shared' }));
plansSuite(() => ({ url: server.url, database: 'plans' }));

afterAll(() => server.stop());
