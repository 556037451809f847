// What every queue promises (src/queue/port.ts). Each adapter's test calls this with its own
// opener.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import type { Queue, Wake } from '../../src/queue/port.ts';

export function queueContract(name: string, open: () => Promise<Queue>): void {
  describe(`${name} keeps the queue's promises`, () => {
    const opened: Queue[] = [];
    const start = async () => {
      const queue = await open();
      opened.push(queue);
      return queue;
    };
    afterEach(async () => {
      await Promise.all(opened.splice(0).map((queue) => queue.close()));
    });

    it('drains a key that was woken before the workers started', async () => {
      const queue = await start();
      const drained: string[] = [];
      queue.wake(key('a'));
      queue.process(async (wake) => {
        drained.push(wake.orderingKey);
        return {};
      }, 2);
      await until(() => drained.length === 1);
      expect(drained).toEqual(['a']);
    });

    it('never drains one key twice at once, and different keys in parallel', async () => {
      const queue = await start();
      const running = new Map<string, number>();
      let [overlap, parallel, done] = [0, 0, 0];
      queue.process(async ({ orderingKey }) => {
        const count = (running.get(orderingKey) ?? 0) + 1;
        running.set(orderingKey, count);
        if (count > 1) overlap += 1;
        parallel = Math.max(parallel, running.size);
        await sleep(5);
        running.delete(orderingKey);
        done += 1;
        return {};
      }, 4);
      for (let round = 0; round < 20; round++) {
        for (const name of ['a', 'b', 'c', 'd']) queue.wake(key(name));
        await sleep(2);
      }
      await until(() => running.size === 0 && done >= 8);
      expect(overlap).toBe(0);
      expect(parallel).toBeGreaterThan(1);
    });

    it('loses no wake-up that arrives while its key is drained', async () => {
      const queue = await start();
      const inbox: number[] = [];
      const applied: number[] = [];
      queue.process(async () => {
        while (inbox.length > 0) applied.push(inbox.shift() as number);
        await sleep(1); // work that arrives from here on is seen by the next drain only
        return {};
      }, 3);
      for (let n = 0; n < 300; n++) {
        inbox.push(n);
        queue.wake(key('one'));
        if (n % 7 === 0) await sleep(1);
      }
      await until(() => applied.length === 300);
      expect(applied).toEqual([...Array(300).keys()]);
    });

    it('tries a key again after the asked delay, and others meanwhile', async () => {
      const queue = await start();
      const order: string[] = [];
      queue.process(async ({ orderingKey }) => {
        order.push(orderingKey);
        return orderingKey === 'slow' && order.filter((name) => name === 'slow').length === 1
          ? { againInMs: 60 }
          : {};
      }, 1);
      queue.wake(key('slow'));
      queue.wake(key('fast'));
      await until(() => order.length === 3);
      expect(order).toEqual(['slow', 'fast', 'slow']);
    });

    it('tells how many keys wait and for how long the oldest does', async () => {
      const queue = await start();
      for (const name of ['a', 'b', 'c']) queue.wake(key(name));
      await until(() => queue.depth().waiting === 3 && (queue.depth().oldestMs ?? 0) >= 20);
      let drained = 0;
      queue.process(async (_wake, _mayGoOn, suspect) => {
        if (!suspect) drained += 1;
        return {};
      }, 1);
      await until(() => drained === 3 && queue.depth().waiting === 0);
      expect(queue.depth()).toEqual({ waiting: 0, active: 0, oldestMs: 0 });
    });

    it('finishes running drains before close answers', async () => {
      const queue = await open();
      let finished = false;
      let begun = false;
      queue.process(async () => {
        begun = true;
        await sleep(30);
        finished = true;
        return {};
      }, 1);
      queue.wake(key('a'));
      await until(() => begun);
      await queue.close();
      expect(finished).toBe(true);
    });
  });
}

function key(orderingKey: string): Wake {
  return { tenant: 'default', orderingKey };
}

/** Waits for a condition; fails after ten seconds, or as many ms as are given. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  ms = 10_000,
): Promise<void> {
  const end = Date.now() + ms;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`the condition did not come true within ${ms} ms`);
    await sleep(2);
  }
}
