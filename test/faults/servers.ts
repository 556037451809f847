// What a cluster needs beside Artery: the MongoDB stand-in and Redis, each a process of its own,
// and a proxy before each. Artery's processes are rig.ts.
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import type { Fault } from '../support/mongo/server.ts';
import { openProxy, type Proxy as TcpProxy } from '../support/proxy.ts';
import { type RedisServer, startRedis } from '../support/redis.ts';
import type { StandInCall } from './mongo-process.ts';

export interface Servers {
  mongo: MongoProcess;
  redis: RedisServer;
  /** Between Artery and each of them. */
  proxies: { mongo: TcpProxy; redis: TcpProxy };
  close(): Promise<void>;
}

export interface MongoProcess {
  url: string;
  fault(fault: Fault): Promise<void>;
  clearFaults(): Promise<void>;
  stepDown(ms: number): Promise<void>;
  down(): Promise<void>;
  crash(): Promise<void>;
  up(): Promise<void>;
  /** Commands per name since the start. */
  counts(): Promise<Record<string, number>>;
  /** What it was asked and does not imitate. */
  refused(): Promise<string[]>;
  close(): Promise<void>;
}

export async function startServers(): Promise<Servers> {
  const [mongo, redis] = await Promise.all([startMongo(), startRedis()]);
  const proxies = {
    mongo: await openProxy(Number(new URL(mongo.url).port)),
    redis: await openProxy(redis.port),
  };
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

async function startMongo(): Promise<MongoProcess> {
  const child = fork(new URL('./mongo-process.ts', import.meta.url), { serialization: 'advanced' });
  const waiting = new Map<number, (value: unknown) => void>();
  const told = new Promise<unknown>((resolve) => waiting.set(0, resolve));
  child.on('message', ({ id, value }: { id: number; value: unknown }) => waiting.get(id)?.(value));
  const url = (await told) as string;
  const ask = (name: StandInCall['name'], ...values: unknown[]) =>
    new Promise<unknown>((resolve) => {
      const id = waiting.size;
      waiting.set(id, resolve);
      child.send({ id, name, values } satisfies StandInCall);
    });
  const order =
    (name: StandInCall['name']) =>
    async (...values: unknown[]) =>
      void (await ask(name, ...values));
  return {
    url,
    fault: order('fault'),
    clearFaults: order('clearFaults'),
    stepDown: order('stepDown'),
    down: order('down'),
    crash: order('crash'),
    up: order('up'),
    counts: async () => (await ask('counts')) as Record<string, number>,
    refused: async () => (await ask('refused')) as string[],
    close: () => endProcess(child),
  };
}

async function endProcess(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.disconnect();
  await gone;
}
