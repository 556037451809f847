// The MongoDB store on a real server, the one named in MONGODB_URL or one that is downloaded:
// contract (the search suite is part of it), several processes, a network that fails, plans, and a
// move. `npm run test:mongo`. Everything is written into databases of its own, dropped at the end.
import { randomUUID } from 'node:crypto';
import { MongoClient } from 'mongodb';
import { afterAll, describe, it } from 'vitest';
import { openMongoStore } from '../../src/store/mongo/open.ts';
import { restoreMongoBackup } from '../../src/store/mongo/restore.ts';
import { storeContract } from '../contract/store.ts';
import { realServer } from '../support/mongo/real.ts';
import { roundTripSuite } from './copy-round-trip.ts';
import { temporaryFolder } from './folder.ts';
import { everyWriteSuite } from './mongo-every-write.ts';
import { networkSuite } from './mongo-network.ts';
import { plansSuite } from './mongo-plans.ts';
import { processesSuite } from './mongo-processes.ts';

const server = await realServer(process.env);

if (server === undefined) {
  it.skip('MongoDB store on a real server: MONGODB_URL is not set', () => undefined);
} else {
  const { url } = server;
  const folder = temporaryFolder();
  const databases: string[] = [];
  const newDatabase = (): string => {
    const name = `artery-test-${randomUUID().slice(0, 8)}`;
    databases.push(name);
    return name;
  };

  describe('mongodb', () => {
    const [contract, shared, moved] = [newDatabase(), newDatabase(), newDatabase()];
    afterAll(async () => {
      const client = new MongoClient(url);
      for (const name of databases) await client.db(name).dropDatabase();
      await client.close();
      await server.stop();
      folder.remove();
    });

    storeContract('mongodb (real server)', {
      open: () => openMongoStore({ url, database: contract }),
      newBackupFolder: async () => folder.path(randomUUID()),
      openBackup: async (path) => {
        const target = { url, database: newDatabase() };
        await restoreMongoBackup(path, target);
        return openMongoStore(target);
      },
      clean: async () => undefined,
    });
    processesSuite(() => ({ url, database: shared }));
    everyWriteSuite(() => ({ url, database: shared }));
    networkSuite(() => ({ url, database: shared }));
    plansSuite(() => ({ url, database: shared }));
    roundTripSuite(() => ({ url, database: moved }));
  });
}
