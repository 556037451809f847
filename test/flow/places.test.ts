// Bounds of a channel's work: how many of its messages at once, how many per second, and that the
// keys of other channels do not wait for them.
import { afterEach, describe, expect, it, vi } from 'vitest';
import { openPlaces } from '../../src/flow/places.ts';
import type { Channel } from '../../src/model/channel.ts';
import type { Wake } from '../../src/queue/port.ts';
import { openFlowBench } from '../support/flow-bench.ts';
import { adt } from '../support/messages.ts';
import { randomFrom } from '../support/store-units.ts';

const seed = Number(process.env.ARTERY_TEST_SEED ?? Date.now() % 1_000_000);

afterEach(() => {
  vi.useRealTimers();
});

/** Keys with messages of one channel, drained as flow/work.ts does it, in the clock of the test. */
class Drains {
  readonly begun: number[] = [];
  most = 0;
  readonly #places;
  readonly #left = new Map<string, number>();
  readonly #drained = new Set<string>();
  readonly #messageMs: () => number;
  #running = 0;

  constructor(limits: () => Pick<Channel, 'work'>, messageMs: () => number) {
    this.#messageMs = messageMs;
    this.#places = openPlaces(limits, (wake) => setTimeout(() => this.wake(wake), 1));
  }

  give(key: string, messages: number): void {
    this.#left.set(key, (this.#left.get(key) ?? 0) + messages);
    this.wake({ tenant: 'default', orderingKey: key });
  }

  waiting(): number {
    return this.#places.waiting();
  }

  wake(wake: Wake): void {
    if (this.#places.isWaiting(wake) || this.#drained.has(wake.orderingKey)) return;
    this.#drained.add(wake.orderingKey);
    void this.#drain(wake).finally(() => {
      this.#drained.delete(wake.orderingKey);
      this.#places.leave(wake);
    });
  }

  async #drain(wake: Wake): Promise<void> {
    const key = wake.orderingKey;
    for (let left = this.#left.get(key) ?? 0; left > 0; left -= 1) {
      if (!this.#places.take(wake, 'adt-inbound')) return;
      this.begun.push(performance.now());
      this.#running += 1;
      this.most = Math.max(this.most, this.#running);
      await new Promise((resolve) => setTimeout(resolve, this.#messageMs()));
      this.#running -= 1;
      this.#left.set(key, left - 1);
    }
  }
}

function useFakeClock(): void {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
}

/** The most that began within any second. */
function mostPerSecond(begun: number[]): number {
  const within = (from: number) => begun.filter((at) => at >= from && at < from + 1_000).length;
  return Math.max(...begun.map(within));
}

describe('places', () => {
  it(`are as many as the channel says, and none stays free for long (seed ${seed})`, async () => {
    useFakeClock();
    const random = randomFrom(seed);
    const drains = new Drains(
      () => ({ work: { concurrency: 3 } }),
      () => random() * 10,
    );
    for (let n = 0; n < 40; n += 1) drains.give(`k${n}`, 5);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(drains.begun).toHaveLength(200);
    expect(drains.most).toBe(3);
    // Three at a time, 5 ms each on average, and a way to the queue and back for each key.
    const tookMs = (drains.begun.at(-1) ?? 0) - (drains.begun[0] ?? 0);
    expect(tookMs).toBeLessThan((200 * 10 + 40 * 10) / 3 + 100);
  });

  it('are given at the rate of the channel, however many wait', async () => {
    useFakeClock();
    const ratePerSecond = 50;
    const drains = new Drains(
      () => ({ work: { ratePerSecond } }),
      () => 3,
    );
    for (let n = 0; n < 30; n += 1) drains.give(`k${n}`, 1 + (n % 9));
    const all = [...Array(30).keys()].reduce((sum, n) => sum + 1 + (n % 9), 0);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(drains.begun).toHaveLength(all);
    expect(mostPerSecond(drains.begun)).toBeLessThanOrEqual(ratePerSecond * 1.1 + 1);
    const tookMs = (drains.begun.at(-1) ?? 0) - (drains.begun[0] ?? 0);
    expect(tookMs).toBeLessThan((all / ratePerSecond) * 1_000 * 1.25);
  });

  it('are free for all when the channel file no longer bounds them', async () => {
    useFakeClock();
    let work: Channel['work'] = { ratePerSecond: 1 };
    const drains = new Drains(
      () => ({ work }) as Pick<Channel, 'work'>,
      () => 1,
    );
    for (let n = 0; n < 100; n += 1) drains.give(`k${n}`, 1);
    await vi.advanceTimersByTimeAsync(2_500);
    expect(drains.begun.length).toBeLessThanOrEqual(4);
    expect(drains.waiting()).toBeGreaterThan(90);
    work = undefined;
    await vi.advanceTimersByTimeAsync(1_500);
    expect(drains.begun).toHaveLength(100);
    expect(drains.waiting()).toBe(0);
  });

  it('are not lost with a woken key that never comes', async () => {
    useFakeClock();
    const woken: string[] = [];
    const limits = () => ({ work: { concurrency: 1 } });
    const places = openPlaces(limits, (wake) => woken.push(wake.orderingKey));
    const [a, b, c] = ['a', 'b', 'c'].map((orderingKey) => ({ tenant: 'default', orderingKey }));
    if (!a || !b || !c) throw new Error('three keys');
    expect([a, b, c].map((wake) => places.take(wake, 'adt-inbound'))).toEqual([true, false, false]);
    places.leave(a);
    expect(woken).toEqual(['b']);
    // Another process took b; its message of then is no affair of this one any more.
    await vi.advanceTimersByTimeAsync(2_500);
    expect(woken).toEqual(['b', 'c']);
    expect(places.isWaiting(b)).toBe(false);
    expect(places.take(c, 'adt-inbound')).toBe(true);
    places.close();
  });
});

it('hold up no key of another channel, and keep the order of each', async () => {
  const running = { most: 0, now: 0 };
  const order: string[] = [];
  const begun = new Set<string>();
  const applied = new Map<string, string[]>();
  const bench = await openFlowBench({
    workers: 1,
    channel: { 'adt-slow': { work: { concurrency: 1 } } },
    commit: (next) => async (unit) => {
      const isSlow = slow.has(unit.transitions?.[0]?.id ?? '');
      if (!isSlow) return next(unit);
      running.now += 1;
      running.most = Math.max(running.most, running.now);
      // As long as others have something to do: eight workers, and more keys than that wait.
      while (order.filter((name) => name.startsWith('FAST')).length < 20) {
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      running.now -= 1;
      return next(unit);
    },
    pipeline: (run) => (input) => {
      const { channel, id, orderingKey } = input.envelope;
      // A commit that lost a race has its message mapped anew.
      if (begun.has(id)) return run(input);
      begun.add(id);
      if (channel === 'adt-slow') slow.add(id);
      order.push(orderingKey);
      const [family = ''] = /Name\d/.exec(Buffer.from(input.raw).toString('latin1')) ?? [];
      applied.set(orderingKey, [...(applied.get(orderingKey) ?? []), family]);
      return run(input);
    },
  });
  for (let round = 0; round < 3; round += 1) {
    for (let n = 0; n < 12; n += 1) {
      const text = adt({ pid: `SLOW${n}`, family: `Name${round}`, event: 'A08' });
      expect(await bench.send(text, 'adt-slow')).toBe('AA');
    }
  }
  for (let n = 0; n < 20; n += 1) await bench.send(adt({ pid: `FAST${n}` }));
  await bench.ended(56);
  expect(running.most).toBe(1);
  for (let n = 0; n < 12; n += 1) {
    expect(applied.get(`SLOW${n}`)).toEqual(['Name0', 'Name1', 'Name2']);
  }
  const lastFast = order.findLastIndex((name) => name.startsWith('FAST'));
  expect(order.slice(0, lastFast).filter((name) => name.startsWith('SLOW'))).toHaveLength(1);
  expect(bench.finished.filter(({ state }) => state === 'processed')).toHaveLength(56);
  await bench.close();
});

const slow = new Set<string>();
