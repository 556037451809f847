// A real MongoDB server as a rig sees it: a database of its own, dropped at the end, behind a proxy
// that makes the faults. The proxy knows no protocol, so it cannot choose commits among requests.
import { randomUUID } from 'node:crypto';
import { connectMongo } from '../../src/clients/mongo.ts';
import { pause } from '../support/child.ts';
import { startMongoProxy } from '../support/mongo/proxy.ts';
import { withDatabase } from '../support/mongo/url.ts';
import type { RequestFault, Proxy as TcpProxy } from '../support/proxy.ts';
import type { MongoProcess } from './servers.ts';

/** Requests from one fault to the next: more than one try of a commit has. */
const APART = 23;
/** Requests of a commit: so many lost replies meet the answer to one commitTransaction. */
const COMMIT_REQUESTS = 10;
/** More than `transactionLifetimeLimitSeconds`. */
const DROP_MS_MAX = 90_000;

export async function useRealMongo(
  serverUrl: string,
): Promise<{ mongo: MongoProcess; proxy: TcpProxy }> {
  const url = withDatabase(serverUrl, `artery-test-${randomUUID().slice(0, 8)}`);
  const proxy = await startMongoProxy(url);
  const mongo: MongoProcess = {
    url,
    down: () => proxy.down(),
    up: () => proxy.up(),
    loseReplies: (times) => meet(proxy, 'lost-reply', times * COMMIT_REQUESTS),
    keepReplies: (times) => meet(proxy, 'half-open', times),
    slow: async (ms) => proxy.slow(ms),
    close: () => drop(url),
  };
  return { mongo, proxy };
}

/** Resolves when so many requests met the fault, here and there among others. */
async function meet(proxy: TcpProxy, kind: RequestFault, times: number): Promise<void> {
  for (let n = 0; n < times; n += 1) proxy.fault(kind, 1 + n * APART);
  while (proxy.armed > 0) await pause(10);
}

/** A killed process may have left a transaction open, which the server keeps for its lifetime. */
async function drop(url: string): Promise<void> {
  const { client, database } = await connectMongo({ url, replyTimeoutMs: DROP_MS_MAX });
  try {
    for (const end = performance.now() + DROP_MS_MAX; ; await pause(1_000)) {
      try {
        await client.db(database).dropDatabase();
        return;
      } catch (thrown) {
        if (performance.now() > end) throw thrown;
      }
    }
  } finally {
    await client.close();
  }
}
