// A worker process for tests: drains keys of a shared inbox as flow/work.ts does, one message after
// the other, and fails one in twenty. Arguments: one JSON object. Ends at SIGTERM. Told STAND_STILL
// it stops itself (SIGSTOP) just before its next message is applied, when it holds no lock of the
// inbox: a signal from outside could come within a transaction, and block all the others.
import { setTimeout as sleep } from 'node:timers/promises';
import { openBullQueue, type QueueTimes } from '../../src/queue/bullmq.ts';
import { createTelemetry } from '../../src/telemetry/events.ts';
import { silentLogger } from '../../src/telemetry/logger.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { SharedInbox } from './shared-inbox.ts';
import { randomFrom } from './store-units.ts';

export interface WorkerArguments {
  name: string;
  url: string;
  prefix: string;
  inbox: string;
  seed: number;
  times: Partial<QueueTimes>;
}

export const STAND_STILL = 'stand still';

const READ_MAX = 4;

export async function runWorker(given: WorkerArguments): Promise<void> {
  const { name, url, prefix, times } = given;
  const inbox = new SharedInbox(given.inbox);
  const random = randomFrom(given.seed);
  const telemetry = createTelemetry(silentLogger(), createMetrics());
  const queue = await openBullQueue({ url, prefix, times, telemetry, waitingMax: 10_000 });
  let standStill = false;
  const drain = async (key: string, mayGoOn: () => boolean) => {
    for (;;) {
      const rows = inbox.waiting(key, READ_MAX);
      for (const seq of rows) {
        if (!mayGoOn()) return { againInMs: 0 };
        if (random() < 0.05) return { againInMs: 10 };
        await sleep(random() * 3);
        if (standStill) {
          standStill = false;
          process.send?.('standing still');
          process.kill(process.pid, 'SIGSTOP');
        }
        inbox.apply(seq, key, name);
      }
      if (rows.length < READ_MAX) {
        await sleep(random() * 5); // what arrives from here on is seen by the next drain only
        return {};
      }
    }
  };
  queue.process(async ({ orderingKey }, mayGoOn) => {
    inbox.log(orderingKey, name, 1);
    try {
      return await drain(orderingKey, mayGoOn);
    } finally {
      inbox.log(orderingKey, name, -1);
    }
  }, 8);
  process.once('SIGTERM', async () => {
    await queue.close();
    inbox.close();
    process.disconnect();
  });
  process.on('message', (word) => {
    standStill = word === STAND_STILL;
  });
  process.send?.('ready');
  process.once('disconnect', () => process.exit(0));
}

if (import.meta.main) await runWorker(JSON.parse(process.argv[2] ?? '') as WorkerArguments);
