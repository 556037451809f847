// Two worker processes over one Redis, with one drain in twenty failing: nothing lost, nothing
// twice, order kept, whatever happens to Redis or to a worker. The seed is printed on a failure.
import { type ChildProcess, fork } from 'node:child_process';
import { randomInt, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type BullQueue, openBullQueue, type QueueTimes } from '../../src/queue/bullmq.ts';
import { createTelemetry } from '../../src/telemetry/events.ts';
import { silentLogger } from '../../src/telemetry/logger.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { until } from '../contract/queue.ts';
import { STAND_STILL, type WorkerArguments } from '../support/queue-worker.ts';
import { type RedisServer, startRedis, WHY_SKIPPED, WITHOUT_REDIS } from '../support/redis.ts';
import { SharedInbox } from '../support/shared-inbox.ts';

const KEYS = 12;
const PER_KEY = 40;
const SWEEP_MS = 300;

describe.skipIf(WITHOUT_REDIS)(`two processes over one Redis${WHY_SKIPPED}`, () => {
  let server: RedisServer;
  const folder = mkdtempSync(join(tmpdir(), 'artery-queue-'));
  beforeAll(async () => {
    server = await startRedis();
  });
  afterAll(async () => {
    await server?.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const begin = (options: Parameters<typeof startRun>[2] = {}) => startRun(server, folder, options);

  it('lose no wake-up, keep the order and never drain a key together', async () => {
    const run = await begin({ sweeps: false });
    await feed(run);
    await settled(run);
    expectAllOnce(run);
    expect(run.inbox.overlaps(), `seed ${run.seed}`).toBe(0);
    expect(new Set(run.inbox.applied().map(({ worker }) => worker)).size).toBe(2);
    await stop(run);
  });

  it('lose nothing by FLUSHALL', async () => {
    const run = await begin();
    const flushing = setInterval(() => void server.client.flushall(), 60);
    await feed(run);
    clearInterval(flushing);
    await settled(run);
    expectAllOnce(run);
    await stop(run);
  });

  it('go on by themselves when Redis is killed and comes back, with its file or not', async () => {
    const run = await begin();
    const feeding = feed(run);
    for (const forget of [false, true]) {
      await sleep(80);
      await server.kill({ forget });
      await sleep(200);
      await server.restart();
    }
    await feeding;
    await settled(run);
    expectAllOnce(run);
    await stop(run);
  });

  it('take over from a worker that was killed', async () => {
    const run = await begin({ times: { leaseMs: 1_000, busyMs: 100 } });
    const feeding = feed(run);
    await sleep(100);
    const killed = run.workers.shift();
    killed?.kill('SIGKILL');
    await feeding;
    await settled(run);
    expectAllOnce(run);
    await stop(run);
  });

  it('have no effect twice when a worker stood still longer than its lease', async () => {
    const run = await begin({ times: { leaseMs: 600, busyMs: 100 } });
    const feeding = feed(run);
    await sleep(100);
    const [worker] = run.workers as [ChildProcess];
    const standing = once(worker, 'message');
    worker.send(STAND_STILL);
    await standing;
    await sleep(1_500);
    worker.kill('SIGCONT');
    await feeding;
    await settled(run);
    expectAllOnce(run);
    await stop(run);
  });
});

interface Run {
  seed: number;
  inbox: SharedInbox;
  queue: BullQueue;
  workers: ChildProcess[];
  sweeping: NodeJS.Timeout | undefined;
}

async function startRun(
  server: RedisServer,
  folder: string,
  options: { sweeps?: boolean; times?: Partial<QueueTimes> },
): Promise<Run> {
  const seed = randomInt(1_000_000);
  const file = join(folder, `${randomUUID()}.db`);
  const inbox = new SharedInbox(file);
  const prefix = `{${randomUUID()}}`;
  const { url } = server;
  const times = { busyMs: 100, ...options.times };
  const workers = await Promise.all(
    ['one', 'two'].map((name, index) =>
      startWorker({ name, url, prefix, inbox: file, seed: seed + index, times }),
    ),
  );
  const telemetry = createTelemetry(silentLogger(), createMetrics());
  const queue = await openBullQueue({ url, prefix, telemetry, waitingMax: 10_000 });
  const sweep = () => {
    for (const key of inbox.keysWaiting()) queue.wake(wakeOf(key));
  };
  const sweeping = options.sweeps === false ? undefined : setInterval(sweep, SWEEP_MS);
  return { seed, inbox, queue, workers, sweeping };
}

async function startWorker(given: WorkerArguments): Promise<ChildProcess> {
  const file = join(import.meta.dirname, '..', 'support', 'queue-worker.ts');
  const child = fork(file, [JSON.stringify(given)], { stdio: 'inherit' });
  await once(child, 'message');
  return child;
}

/** As receive.ts does: the message is in the store before its key is woken. */
async function feed(run: Run): Promise<void> {
  for (let n = 0; n < PER_KEY; n++) {
    for (let key = 0; key < KEYS; key++) {
      run.inbox.add(`k${key}`);
      run.queue.wake(wakeOf(`k${key}`));
    }
    await sleep(Math.random() * 12);
  }
}

function wakeOf(orderingKey: string) {
  return { tenant: 'default', orderingKey };
}

async function settled(run: Run): Promise<void> {
  const done = until(() => run.inbox.keysWaiting().length === 0);
  await done.catch((cause: unknown) => {
    throw new Error(`seed ${run.seed}: ${run.inbox.keysWaiting()} still wait`, { cause });
  });
}

function expectAllOnce({ seed, inbox }: Run): void {
  const applied = inbox.applied();
  expect(applied.length, `seed ${seed}`).toBe(KEYS * PER_KEY);
  for (let key = 0; key < KEYS; key++) {
    const seqs = applied.filter((row) => row.key === `k${key}`).map(({ seq }) => seq);
    expect(seqs, `seed ${seed}, key ${key}`).toEqual([...seqs].sort((one, other) => one - other));
    expect(new Set(seqs).size).toBe(PER_KEY);
  }
}

async function stop({ queue, workers, sweeping, inbox }: Run): Promise<void> {
  clearInterval(sweeping);
  await queue.close();
  for (const worker of workers) {
    const gone = once(worker, 'exit');
    worker.kill('SIGTERM');
    expect(await gone).toEqual([0, null]);
  }
  inbox.close();
}
