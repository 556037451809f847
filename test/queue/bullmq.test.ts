// The queue's contract over a real Redis, and what is special to it: Redis may go and come.
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Queue as TokenQueue } from 'bullmq';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type BullQueue, type BullQueueOptions, openBullQueue } from '../../src/queue/bullmq.ts';
import { createTelemetry, type Telemetry } from '../../src/telemetry/events.ts';
import { silentLogger } from '../../src/telemetry/logger.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { queueContract, until } from '../contract/queue.ts';
import { openProxy } from '../support/proxy.ts';
import { type RedisServer, startRedis, WHY_SKIPPED, WITHOUT_REDIS } from '../support/redis.ts';

describe.skipIf(WITHOUT_REDIS)(`the queue over BullMQ${WHY_SKIPPED}`, () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await startRedis();
  });
  afterAll(() => server?.close());
  const open = (given: Partial<BullQueueOptions> = {}) => openTestQueue(server.url, given);

  queueContract('BullMQ', async () => (await open()).queue);

  it('keeps ids and tokens only in Redis, and nothing once all is drained', async () => {
    const { queue } = await open({ prefix: '{tidy}' });
    let drained = 0;
    queue.process(async () => {
      drained += 1;
      return drained === 1 ? { againInMs: 20 } : {};
    }, 2);
    queue.wake({ tenant: 'default', orderingKey: '0a1b2c3d4e5f6071' });
    await until(() => drained === 2);
    await queue.close();
    const keys = (await server.client.keys('{tidy}*')).map((key) => key.split(':').at(-1));
    expect(keys.sort()).toEqual(['events', 'id', 'meta', 'stalled-check']);
  });

  it('keeps the delay of a key that is woken meanwhile, and drains it for that too', async () => {
    const { queue } = await open();
    const at: number[] = [];
    queue.process(async () => {
      at.push(performance.now());
      if (at.length > 1) return {};
      queue.wake(wakeOf('a'));
      await sleep(50);
      return { againInMs: 400 };
    }, 2);
    queue.wake(wakeOf('a'));
    await until(() => at.length === 1);
    const rewake = setInterval(() => queue.wake(wakeOf('a')), 20);
    await until(() => at.length >= 2);
    clearInterval(rewake);
    expect((at[1] ?? 0) - (at[0] ?? 0)).toBeGreaterThan(400);
    await until(() => at.length >= 3);
    await queue.close();
  });

  it('drains a key that waited while the clock was set back', async () => {
    const { queue } = await open({ prefix: '{clock}', times: { refreshMs: 100 } });
    const tokens = new TokenQueue('drain', { connection: server.client, prefix: '{clock}' });
    const hourAhead = Date.now() + 3_600_000;
    const deduplication = { id: 'default a', keepLastIfActive: true };
    await tokens.add('drain', wakeOf('a'), { delay: 200, timestamp: hourAhead, deduplication });
    const drained: string[] = [];
    queue.process(async ({ orderingKey }) => {
      drained.push(orderingKey);
      return {};
    }, 2);
    await until(() => drained.length > 0);
    expect(drained).toEqual(['a']);
    await queue.close();
    await tokens.close();
  });

  it('leaves a key alone whose delay is not over', async () => {
    const { queue } = await open({ times: { refreshMs: 20, busyMs: 100 } });
    const at: number[] = [];
    queue.process(async () => {
      at.push(performance.now());
      return at.length === 1 ? { againInMs: 600 } : {};
    }, 2);
    queue.wake(wakeOf('a'));
    await until(() => at.length === 2);
    expect((at[1] ?? 0) - (at[0] ?? 0)).toBeGreaterThan(599);
    await queue.close();
  });

  it('tells depth and age of what waits', async () => {
    const { queue } = await open({ times: { refreshMs: 50 } });
    for (const name of ['a', 'b', 'c']) queue.wake(wakeOf(name));
    await until(() => queue.depth().waiting === 3 && (queue.depth().oldestMs ?? 0) > 100);
    expect(queue.ready()).toBe(true);
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    queue.process(async () => {
      await held;
      return {};
    }, 2);
    await until(() => queue.depth().active === 2 && queue.depth().waiting === 1);
    release();
    await until(() => queue.depth().active === 0 && queue.depth().waiting === 0);
    await queue.close();
  });

  it('tells a running drain to stop when it closes, and leaves its key to others', async () => {
    const prefix = `{${randomUUID()}}`;
    const [first, second] = [await open({ prefix }), await open({ prefix })];
    let begun = 0;
    first.queue.process(async (_wake, mayGoOn) => {
      begun += 1;
      while (mayGoOn()) await sleep(5);
      return { againInMs: 0 };
    }, 1);
    first.queue.wake(wakeOf('a'));
    await until(() => begun === 1);
    let taken = 0;
    second.queue.process(async () => {
      taken += 1;
      return {};
    }, 1);
    await first.queue.close();
    await until(() => taken === 1);
    await second.queue.close();
  });

  it('lets one of its processes sweep per interval, and none while Redis is away', async () => {
    const own = await startRedis();
    const given = { prefix: '{sweep}', times: { patienceMs: 200 } };
    const { queue: one } = await openTestQueue(own.url, given);
    const { queue: other } = await openTestQueue(own.url, given);
    const claims = await Promise.all([one.claimSweep(300), other.claimSweep(300)]);
    expect(claims.sort()).toEqual([false, true]);
    await until(() => other.claimSweep(300));
    await own.kill();
    await until(() => !one.ready());
    expect(await one.claimSweep(1)).toBe(false);
    await Promise.all([one.close(), other.close()]);
    await own.close();
  });

  it('tells a sweep of many keys whole, each key once', async () => {
    const { queue } = await open({ waitingMax: 10_000 });
    const drained = new Map<string, number>();
    for (let n = 0; n < 9_000; n++) queue.wake(wakeOf(`k${n}`));
    queue.process(async ({ orderingKey }) => {
      drained.set(orderingKey, (drained.get(orderingKey) ?? 0) + 1);
      return {};
    }, 32);
    await until(() => drained.size === 9_000);
    expect([...drained.values()].filter((count) => count > 1)).toEqual([]);
    await queue.close();
  });

  it('opens without Redis, drops and counts wake-ups, and works when it comes', async () => {
    const own = await startRedis();
    await own.kill();
    const { queue, telemetry } = await openTestQueue(own.url, { times: { patienceMs: 200 } });
    const drained: string[] = [];
    queue.process(async ({ orderingKey }) => {
      drained.push(orderingKey);
      return {};
    }, 2);
    queue.wake(wakeOf('lost'));
    queue.wake(wakeOf('lost-too'));
    expect(queue.ready()).toBe(false);
    expect(await countOf(telemetry, 'queue.wake-dropped')).toBe(2);
    expect(await countOf(telemetry, 'queue.unreachable')).toBe(1);
    await own.restart();
    await until(() => queue.ready());
    queue.wake(wakeOf('kept'));
    await until(() => drained.length === 1);
    expect(drained).toEqual(['kept']);
    await queue.close();
    await own.close();
  });

  it('closes within its patience while Redis does not answer', async () => {
    const own = await startRedis();
    const { queue } = await openTestQueue(own.url, { times: { patienceMs: 200 } });
    queue.process(async () => ({}), 2);
    own.freeze();
    queue.wake(wakeOf('a'));
    await sleep(20);
    await queue.close();
    await own.close();
  });

  it('replaces a worker whose connection is half open and takes nothing', async () => {
    const proxy = await openProxy(server.port);
    const { queue, telemetry } = await openTestQueue(`redis://127.0.0.1:${proxy.port}`, {
      times: { refreshMs: 50, idleMs: 400, patienceMs: 300 },
    });
    const drained: string[] = [];
    queue.process(async ({ orderingKey }) => {
      drained.push(orderingKey);
      return {};
    }, 2);
    queue.wake(wakeOf('before'));
    await until(() => drained.length === 1);
    // All that is open falls silent; only the queue's first connection, its control, comes anew.
    proxy.silence();
    proxy.cut(0);
    await until(() => queue.ready());
    const telling = setInterval(() => queue.wake(wakeOf('after')), 50);
    await until(() => drained.includes('after'));
    clearInterval(telling);
    expect(await countOf(telemetry, 'queue.worker-replaced')).toBeGreaterThan(0);
    await queue.close();
    await proxy.close();
  });
});

async function openTestQueue(
  url: string,
  given: Partial<BullQueueOptions>,
): Promise<{ queue: BullQueue; telemetry: Telemetry }> {
  const telemetry = createTelemetry(silentLogger(), createMetrics());
  const prefix = `{${randomUUID()}}`;
  const queue = await openBullQueue({ url, telemetry, waitingMax: 1_000, prefix, ...given });
  return { queue, telemetry };
}

function wakeOf(orderingKey: string) {
  return { tenant: 'default', orderingKey };
}

async function countOf(telemetry: Telemetry, event: string): Promise<number> {
  const text = await telemetry.metrics.text();
  const line = text.split('\n').find((one) => one.includes(`event="${event}"`));
  return Number(line?.split(' ').at(-1) ?? 0);
}
