// The cluster engine on a real MongoDB server, the one named in MONGODB_URL or one that is
// downloaded, under every fault that a proxy before it can make. `npm run test:mongo`. What is
// written goes into a database of its own, dropped at the end. More rounds: test/fault-rounds.ts.
import { afterAll, describe, it } from 'vitest';
import { realServer } from '../support/mongo/real.ts';
import { WHY_SKIPPED, WITHOUT_REDIS } from '../support/redis.ts';
import { allAtOnce, faultsOf } from './catalog.ts';
import { clusterSuite } from './cluster-suite.ts';

/** Each takes long to be noticed: they are waited for together. */
const TOGETHER = [
  ['kill-work', 'kill-all', 'half-open-redis', 'half-open-mongo'],
  ['worker-stands-still', 'reply-never-comes'],
];

const server = WITHOUT_REDIS ? undefined : await realServer(process.env);

if (server === undefined) {
  const why = WHY_SKIPPED || ': MONGODB_URL is not set';
  it.skip(`the cluster engine on a real MongoDB server${why}`, () => undefined);
} else {
  describe('mongodb', () => {
    afterAll(() => server.stop());
    const alone = faultsOf('cluster').filter(
      ({ name, standInOnly }) => standInOnly === undefined && !TOGETHER.flat().includes(name),
    );
    const rounds = [...alone, ...TOGETHER.map(allAtOnce)];
    clusterSuite('the cluster engine on a real server', rounds, server.url);
  });
}
