// The MongoDB store keeps the contract, on the stand-in. The same on a real server: mongo-real.test.ts.
import { randomUUID } from 'node:crypto';
import { openMongoStore } from '../../src/store/mongo/open.ts';
import { restoreMongoBackup } from '../../src/store/mongo/restore.ts';
import { storeContract } from '../contract/store.ts';
import { startMongoStandIn } from '../support/mongo/server.ts';
import { temporaryFolder } from './folder.ts';

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
  clean: async () => {
    folder.remove();
    await server.stop();
  },
});
