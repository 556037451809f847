// MongoDB and Redis for the cluster scenarios: the servers that the environment names, else the
// stand-in of the tests and a redis-server of its own. Counts the commands that each was sent.
import { type ChildProcess, fork } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';
import { MongoClient } from 'mongodb';
import { startRedis, WITHOUT_REDIS } from '../test/support/redis.ts';

/** How often each command was called since the server started. */
export type Counts = Record<string, number>;

export interface Backends {
  mongodbUrl: string;
  redisUrl: string;
  /** True = figures are those of the stand-in, which keeps all in memory and in one process. */
  standIn: boolean;
  /** Undefined where the server does not tell. Asking may add a command or two. */
  mongoCommands(): Promise<Counts | undefined>;
  redisCommands(): Promise<Counts>;
  /** Leaves nothing behind: database and keys go, servers that were started end. */
  close(): Promise<void>;
}

type Mongo = Pick<Backends, 'mongodbUrl' | 'standIn' | 'mongoCommands' | 'close'>;
type Queue = Pick<Backends, 'redisUrl' | 'redisCommands' | 'close'>;

const KEYS = '{artery}:*';

/** Throws when what is named does not answer, or is in use. */
export async function openBackends(environment: NodeJS.ProcessEnv): Promise<Backends> {
  const { MONGODB_URL = '', REDIS_URL = '' } = environment;
  const queue = await (REDIS_URL === '' ? startOwnRedis() : useRedis(REDIS_URL));
  try {
    const mongo = await (MONGODB_URL === '' ? startStandIn() : useMongo(MONGODB_URL));
    const close = async () => {
      await mongo.close();
      await queue.close();
    };
    return { ...mongo, ...queue, close };
  } catch (thrown) {
    await queue.close();
    throw thrown;
  }
}

/** The calls between two counts; the bench's own asking is left out. */
export function sentBetween(before: Counts, after: Counts): { total: number; most: string } {
  const sent = Object.entries(after)
    .map(([name, count]): [string, number] => [name, count - (before[name] ?? 0)])
    .filter(([name, count]) => count > 0 && name !== 'serverStatus' && name !== 'info')
    .sort((one, other) => other[1] - one[1]);
  const total = sent.reduce((sum, [, count]) => sum + count, 0);
  const most = sent.slice(0, 6).map(([name, count]) => `${name} ${count}`);
  return { total, most: most.join(', ') };
}

async function startStandIn(): Promise<Mongo> {
  const child = fork(fileURLToPath(new URL('./stand-in.ts', import.meta.url)));
  const { url } = await nextMessage<{ url: string }>(child);
  return {
    mongodbUrl: url,
    standIn: true,
    mongoCommands() {
      child.send('counts');
      return nextMessage<Counts>(child);
    },
    async close() {
      const gone = once(child, 'exit');
      child.disconnect();
      await gone;
    },
  };
}

async function nextMessage<T>(child: ChildProcess): Promise<T> {
  const stop = new AbortController();
  const { signal } = stop;
  try {
    const ended = once(child, 'exit', { signal }).then(() => {
      throw new Error('the stand-in ended');
    });
    const [message] = await Promise.race([once(child, 'message', { signal }), ended]);
    return message as T;
  } finally {
    stop.abort();
  }
}

/** A database of its own on the server, dropped at the end. */
async function useMongo(url: string): Promise<Mongo> {
  const database = `artery-bench-${randomUUID().slice(0, 8)}`;
  const mongodbUrl = withDatabase(url, database);
  const client = await new MongoClient(mongodbUrl).connect();
  return {
    mongodbUrl,
    standIn: false,
    async mongoCommands() {
      try {
        // Manual, "serverStatus": metrics.commands has a total for each command of the server.
        const { metrics } = await client.db('admin').command({ serverStatus: 1 });
        const rows = Object.entries<{ total?: number }>(metrics.commands);
        return Object.fromEntries(rows.map(([name, { total }]) => [name, Number(total ?? 0)]));
      } catch {
        return undefined;
      }
    },
    async close() {
      await client.db(database).dropDatabase();
      await client.close();
    },
  };
}

/** Users are looked up where the given url says it, also when another database is named. */
function withDatabase(url: string, database: string): string {
  const match = /^(mongodb(?:\+srv)?:\/\/[^/?]+)(?:\/([^?]*))?(?:\?(.*))?$/.exec(url);
  if (match === null) throw new Error('MONGODB_URL is not a MongoDB connection string');
  const [, servers = '', named = '', options = ''] = match;
  const source = `authSource=${named || 'admin'}`;
  const wanted = servers.includes('@') && !/authSource=|authMechanism=/i.test(options);
  const all = [options, wanted ? source : ''].filter((part) => part !== '').join('&');
  return `${servers}/${database}${all === '' ? '' : `?${all}`}`;
}

async function startOwnRedis(): Promise<Queue> {
  if (WITHOUT_REDIS) throw new Error('redis-server is not installed: install it or set REDIS_URL');
  const server = await startRedis();
  return {
    redisUrl: server.url,
    redisCommands: () => countRedis(server.client),
    close: () => server.close(),
  };
}

async function useRedis(redisUrl: string): Promise<Queue> {
  const client = new Redis(redisUrl);
  client.on('error', () => undefined);
  const [found] = await keysOf(client);
  if (found !== undefined) {
    client.disconnect();
    throw new Error('the Redis of REDIS_URL holds a queue of Artery: name another database (/1)');
  }
  return {
    redisUrl,
    redisCommands: () => countRedis(client),
    async close() {
      const keys = await keysOf(client);
      if (keys.length > 0) await client.unlink(...keys);
      client.disconnect();
    },
  };
}

async function keysOf(client: Redis): Promise<string[]> {
  const found: string[] = [];
  for await (const keys of client.scanStream({ match: KEYS, count: 1_000 })) found.push(...keys);
  return found;
}

/** INFO counts the commands that scripts run as well. */
async function countRedis(client: Redis): Promise<Counts> {
  const rows = (await client.info('commandstats')).matchAll(/^cmdstat_(\S+?):calls=(\d+)/gm);
  return Object.fromEntries([...rows].map(([, name = '', calls]) => [name, Number(calls)]));
}
