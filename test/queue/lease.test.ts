// Leases in a real Redis: one holder, renewed, taken again after a flush, and known to be lost.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openRedis, type Redis, whenReady } from '../../src/clients/redis.ts';
import { type Leases, openLeases } from '../../src/queue/lease.ts';
import { until } from '../contract/queue.ts';
import { type RedisServer, startRedis, WHY_SKIPPED, WITHOUT_REDIS } from '../support/redis.ts';

const LEASE_MS = 500;

describe.skipIf(WITHOUT_REDIS)(`leases in Redis${WHY_SKIPPED}`, () => {
  let server: RedisServer;
  let redis: Redis;
  let mine: Leases;
  let others: Leases;
  beforeAll(async () => {
    server = await startRedis();
    redis = openRedis({ url: server.url, use: 'worker', fault: () => undefined });
    await whenReady(redis, 5_000);
    mine = openLeases(redis, 'test', LEASE_MS);
    others = openLeases(redis, 'test', LEASE_MS);
  });
  afterAll(async () => {
    mine?.close();
    others?.close();
    redis?.disconnect();
    await server?.close();
  });

  it('have one holder, until it is released', async () => {
    const lease = await mine.acquire('a');
    expect(lease?.held()).toBe(true);
    expect(await others.acquire('a')).toBeUndefined();
    expect(await mine.acquire('a')).toBeUndefined();
    expect(await others.acquire('b')).toBeDefined();
    lease?.release();
    expect(await others.acquire('a')).toBeDefined();
  });

  it('are renewed while they are held', async () => {
    const lease = await mine.acquire('long');
    await pastExpiry();
    expect(lease?.held()).toBe(true);
    expect(await others.acquire('long')).toBeUndefined();
    lease?.release();
  });

  it('are taken again after a flush, when nobody else took them', async () => {
    const lease = await mine.acquire('flushed');
    await server.client.flushall();
    await until(async () => (await server.client.exists('test:lease:flushed')) === 1);
    expect(await others.acquire('flushed')).toBeUndefined();
    lease?.release();
  });

  it('are known to be lost when another took them, who then keeps them', async () => {
    const lease = await mine.acquire('taken');
    await server.client.flushall();
    const other = await others.acquire('taken');
    await until(() => lease?.held() === false);
    expect(other?.held()).toBe(true);
    lease?.release();
    expect(await mine.acquire('taken')).toBeUndefined();
    other?.release();
  });

  it('run out by the clock of the holder when Redis does not answer', async () => {
    const lease = await mine.acquire('mute');
    server.freeze();
    await pastExpiry();
    expect(lease?.held()).toBe(false);
    server.thaw();
    lease?.release();
  });
});

function pastExpiry(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, LEASE_MS * 1.5));
}
