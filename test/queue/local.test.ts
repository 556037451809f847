import { MessageChannel } from 'node:worker_threads';
import { expect, it } from 'vitest';
import { openLocalQueue, receiveWakes, wakeThrough } from '../../src/queue/local.ts';
import { queueContract, until } from '../contract/queue.ts';

queueContract('the local queue', async () => openLocalQueue({ waitingMax: 100 }));

it('drops wake-ups beyond its limit instead of growing', async () => {
  const queue = openLocalQueue({ waitingMax: 3 });
  for (let n = 0; n < 10; n++) queue.wake({ tenant: 't', orderingKey: `k${n}` });
  expect(queue.depth()).toMatchObject({ waiting: 3, active: 0 });
  await queue.close();
});

it('is woken from another thread, many keys in one message', async () => {
  const { port1, port2 } = new MessageChannel();
  const queue = openLocalQueue({ waitingMax: 100 });
  const drained: string[] = [];
  queue.process(async (wake) => {
    drained.push(wake.orderingKey);
    return {};
  }, 2);
  receiveWakes(port2, queue);
  const sender = wakeThrough(port1);
  for (const orderingKey of ['a', 'b', 'c']) sender.wake({ tenant: 't', orderingKey });
  await until(() => drained.length === 3);
  expect(drained).toEqual(['a', 'b', 'c']);
  await queue.close();
  port1.close();
});
