// The line of writers in a real Redis: one at a time, in the order of asking; and what becomes of
// it when a writer is gone, its word is lost, or Redis forgets or does not answer.
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Line, type LineTimes, openLine } from '../../src/queue/line.ts';
import { until } from '../contract/queue.ts';
import { pause } from '../support/child.ts';
import { type RedisServer, startRedis, WHY_SKIPPED, WITHOUT_REDIS } from '../support/redis.ts';

const LEASE_MS = 600;
/** Longer than a test: who needs it is told too late. */
const NEVER_MS = 60_000;

describe.skipIf(WITHOUT_REDIS)(`line in Redis${WHY_SKIPPED}`, () => {
  let server: RedisServer;
  const open: Line[] = [];
  beforeAll(async () => {
    server = await startRedis();
  });
  afterEach(() => {
    for (const line of open.splice(0)) line.close();
  });
  afterAll(() => server?.close());

  /** Writers that are known to Redis: each hears its own words. */
  async function writers(count: number, times: Partial<LineTimes> = {}): Promise<Line[]> {
    const before = open.length;
    for (let n = 0; n < count; n += 1) {
      const own = { leaseMs: LEASE_MS, askAgainMs: NEVER_MS, answerMs: NEVER_MS, ...times };
      open.push(openLine({ url: server.url, times: own }));
    }
    await until(async () => {
      const channels = await server.client.pubsub('CHANNELS', '{artery}:turn:*');
      return (channels as string[]).length >= open.length;
    });
    for (const line of open.slice(before)) await until(() => isAsking(line));
    return open.slice(before);
  }

  /** Its other connection is there, too. */
  async function isAsking(line: Line): Promise<boolean> {
    const end = await line.take('first');
    const asked = (await server.client.exists('{artery}:turn:holder:first')) === 1;
    end();
    return asked;
  }

  const lengthOf = (name: string) => server.client.llen(`{artery}:turn:line:${name}`);

  /** All ask at once, again and again; answers who had a turn, and how many had one at most. */
  async function contend(all: Line[], name: string, rounds: number) {
    const order: number[] = [];
    let [inside, most] = [0, 0];
    const run = async (line: Line, n: number) => {
      for (let round = 0; round < rounds; round += 1) {
        const end = await line.take(name);
        inside += 1;
        most = Math.max(most, inside);
        order.push(n);
        await pause(2);
        inside -= 1;
        end();
      }
    };
    await Promise.all(all.map(run));
    return { order, most };
  }

  it('are given to one at a time, and to all that wait before anyone has a second', async () => {
    const { order, most } = await contend(await writers(4, { leaseMs: 10_000 }), 'fair', 25);
    expect(most).toBe(1);
    expect(order).toHaveLength(100);
    // Who has just had one stands behind all others, as soon as they all stand there.
    for (let at = 4; at + 8 < order.length; at += 1) {
      expect(new Set(order.slice(at, at + 4)).size).toBe(4);
    }
    expect(await lengthOf('fair')).toBe(0);
  });

  it('of other names do not wait for each other', async () => {
    const [one, other] = (await writers(2)) as [Line, Line];
    const end = await one.take('a');
    (await other.take('b'))();
    end();
  });

  it('end with their lease when their holder is gone', async () => {
    const [gone, next] = (await writers(2, { askAgainMs: 50 })) as [Line, Line];
    await gone.take('gone');
    const begun = performance.now();
    const end = await next.take('gone');
    expect(performance.now() - begun).toBeGreaterThan(LEASE_MS * 0.8);
    end();
  });

  it('pass over one that is gone while it waits', async () => {
    const [holder, gone, last] = (await writers(3, { askAgainMs: 50 })) as [Line, Line, Line];
    const end = await holder.take('passed');
    void gone.take('passed');
    await until(async () => (await lengthOf('passed')) === 1);
    gone.close();
    const waiting = last.take('passed');
    await until(async () => (await lengthOf('passed')) === 2);
    end();
    (await waiting)();
    await until(async () => (await server.client.exists('{artery}:turn:holder:passed')) === 0);
  });

  it('come although the word of them was lost', async () => {
    const [holder, deaf] = (await writers(2, { askAgainMs: 100, leaseMs: 10_000 })) as [Line, Line];
    const end = await holder.take('deaf');
    const waiting = deaf.take('deaf');
    await until(async () => (await lengthOf('deaf')) === 1);
    await server.client.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
    end();
    (await waiting)();
  });

  it('come although Redis forgot who waits', async () => {
    const [holder, other] = (await writers(2, { askAgainMs: 50 })) as [Line, Line];
    const end = await holder.take('flushed');
    const waiting = other.take('flushed');
    await until(async () => (await lengthOf('flushed')) === 1);
    await server.client.flushall();
    const endOther = await waiting;
    // The first one's end takes nothing from the second.
    end();
    await pause(50);
    expect(await server.client.exists('{artery}:turn:holder:flushed')).toBe(1);
    endOther();
    await until(async () => (await server.client.exists('{artery}:turn:holder:flushed')) === 0);
  });

  it('are everyone’s when Redis does not answer, which costs one wait', async () => {
    const times = { answerMs: 200, sulkMs: NEVER_MS };
    const [one, other] = (await writers(2, times)) as [Line, Line];
    (await one.take('frozen'))();
    server.freeze();
    try {
      const begun = performance.now();
      await Promise.all([one.take('frozen'), other.take('frozen')]);
      const first = performance.now() - begun;
      expect(first).toBeGreaterThan(150);
      for (let n = 0; n < 50; n += 1) await one.take('frozen');
      expect(performance.now() - begun - first).toBeLessThan(first);
    } finally {
      server.thaw();
    }
  });

  it('are everyone’s where there is no Redis', async () => {
    const line = openLine({ url: 'redis://127.0.0.1:1' });
    const ends = await Promise.all([line.take('none'), line.take('none')]);
    for (const end of ends) end();
    line.close();
  });

  it('are waited for no longer than the longest wait', async () => {
    const times = { leaseMs: NEVER_MS, askAgainMs: 50, waitMsMax: 300 };
    const [holder, other] = (await writers(2, times)) as [Line, Line];
    const end = await holder.take('long');
    const endOther = await other.take('long');
    endOther();
    await until(async () => (await lengthOf('long')) === 0);
    end();
  });
});
