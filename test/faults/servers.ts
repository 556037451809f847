// What a cluster needs beside Artery: MongoDB (the stand-in, or a real server) and Redis, and a
// proxy before each. Artery's processes are rig.ts.
import { openProxy, type Proxy as TcpProxy } from '../support/proxy.ts';
import { type RedisServer, startRedis } from '../support/redis.ts';
import { useRealMongo } from './mongo-real.ts';
import { type StandInCalls, startStandIn } from './mongo-stand-in.ts';

export interface Servers {
  mongo: MongoProcess;
  redis: RedisServer;
  /** Between Artery and each of them. */
  proxies: { mongo: TcpProxy; redis: TcpProxy };
  close(): Promise<void>;
}

/** MongoDB, and the faults that it can have wherever it runs. */
export interface MongoProcess {
  url: string;
  /** Unreachable: no connection stays, none is accepted. */
  down(): Promise<void>;
  up(): Promise<void>;
  /** So many commits are applied and their answers lost; before a real server, any requests. */
  loseReplies(times: number): Promise<void>;
  /** So many commands, of any connection, are neither done nor answered. */
  keepReplies(times: number): Promise<void>;
  /** Each command takes so much longer, until 0. */
  slow(ms: number): Promise<void>;
  close(): Promise<void>;
  /** What only the stand-in does and tells; absent before a real server. */
  standIn?: StandInCalls;
}

/** On the stand-in, or in a database of its own on the real server of that url. */
export async function startServers(realUrl?: string): Promise<Servers> {
  const starting = realUrl === undefined ? startStandIn() : useRealMongo(realUrl);
  const [{ mongo, proxy }, redis] = await Promise.all([starting, startRedis()]);
  const proxies = { mongo: proxy, redis: await openProxy(redis.port) };
  return {
    mongo,
    redis,
    proxies,
    async close() {
      await proxies.mongo.close();
      await proxies.redis.close();
      await redis.close();
      await mongo.close();
    },
  };
}
