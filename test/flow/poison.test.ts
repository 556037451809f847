// Promise 4 for messages that end the process that works on them: they are set aside after their
// attempts, on both engines, and nobody else suffers more than the wait.
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it, onTestFinished } from 'vitest';
import { markFile } from '../../src/assembly/work-mark.ts';
import { runArtery } from '../commands/program.ts';
import { until } from '../contract/queue.ts';
import { codeOf, familiesOf } from '../support/burst.ts';
import { type Child, pause, startChild } from '../support/child.ts';
import {
  type Json,
  newFolder,
  openTestEngine,
  removeFolders,
  type TestEngine,
} from '../support/engine.ts';
import { adt } from '../support/messages.ts';
import { startMongoStandIn } from '../support/mongo/server.ts';
import type { PoisonWorker } from '../support/poison-worker.ts';
import { startRedis, WHY_SKIPPED, WITHOUT_REDIS } from '../support/redis.ts';

afterAll(removeFolders);

const HOOK = new URL('../support/poison.ts', import.meta.url).href;
const POISONED = { NODE_OPTIONS: `--import=${HOOK}`, ARTERY_ATTEMPTS_MAX: '3' };
const REASON =
  'The process or its work thread ended while this message was worked on. After 3 attempts';
/** The first end of the process counts for nobody; the next start knows of it. */
const ENDS = 4;

/** One patient with the poison in the middle, and twenty others with three messages each. */
function poisonedFeed(poison: string): { texts: string[]; others: string[] } {
  const others = Array.from({ length: 20 }, (_, n) => `OTHER${n}`);
  const line = (pid: string, names: string[]) =>
    names.map((family) => adt({ pid, family, event: 'A08' }));
  const rounds = ['One', 'Two', 'Three'];
  const middle = line('SICK', ['Before', poison, 'Behind']);
  const texts = rounds.flatMap((name, n) => [
    ...others.slice(0, 10).flatMap((pid) => line(pid, [name])),
    middle[n] ?? '',
    ...others.slice(10).flatMap((pid) => line(pid, [name])),
  ]);
  return { texts, others };
}

/** Stores the feed without working on it, as a process that was killed would leave it. */
async function accept(folder: string, texts: string[]): Promise<void> {
  const receiver = await openTestEngine({ folder, roles: ['receive', 'api'] });
  const answers = await receiver.send('adt-inbound', ...texts);
  expect(answers.map(codeOf)).toEqual(texts.map(() => 'AA'));
  await receiver.stop();
}

/** Starts the server until it does not end by itself; leaves it running with nothing waiting. */
async function runUntilSettled(start: () => Child): Promise<{ child: Child; ends: number }> {
  for (let ends = 0; ends < 12; ends += 1) {
    const child = start();
    onTestFinished(() => child.kill());
    if (await settles(child)) return { child, ends };
    await child.gone;
  }
  throw new Error('the server ended twelve times');
}

async function settles(child: Child): Promise<boolean> {
  try {
    const { ask } = await child.ready;
    while ((await ask('GET', '/admin/messages?state=received&limit=1')).messages.length > 0) {
      await pause(20);
    }
    return true;
  } catch {
    return false;
  }
}

describe('the embedded engine', () => {
  it.each(['Poison', 'Poison-exit'])(
    'sets a message aside that ends its process or thread (%s)',
    async (poison) => {
      const folder = newFolder();
      const { texts, others } = poisonedFeed(poison);
      await accept(folder, texts);
      expect(existsSync(markFile(join(folder, 'data')))).toBe(false);
      const { child, ends } = await runUntilSettled(() => startChild(folder, POISONED));
      expect(ends).toBe(ENDS);
      const { ask } = await child.ready;
      const { messages } = await ask('GET', '/admin/messages?limit=500');
      expect(messages).toHaveLength(texts.length);
      const processed = messages.filter(({ state }: Json) => state === 'processed');
      expect(processed).toHaveLength(texts.length - 1);
      // Once beside the poison, once alone: nobody else comes near the limit.
      expect(Math.max(...processed.map((row: Json) => row.attempts))).toBeLessThanOrEqual(2);
      expect(await child.stop()).toBe(0);
      expect(existsSync(markFile(join(folder, 'data')))).toBe(false);

      const engine = await openTestEngine({ folder });
      await checkAfterwards(engine, others, poison);
      await engine.stop();
    },
    240_000,
  );

  it('ends a thread that works on a message for ever, and goes on by itself', async () => {
    const folder = newFolder();
    const { texts, others } = poisonedFeed('Poison-loop');
    await accept(folder, texts);
    const child = startChild(folder, { ...POISONED, ARTERY_WORK_SILENCE_MS: '5000' });
    onTestFinished(() => child.kill());
    expect(await settles(child)).toBe(true);
    const { ask } = await child.ready;
    const { messages } = await ask('GET', '/admin/messages?state=set-aside');
    expect(messages).toHaveLength(1);
    expect(await child.stop()).toBe(0);
    expect(existsSync(markFile(join(folder, 'data')))).toBe(false);
    const engine = await openTestEngine({ folder });
    await checkAfterwards(engine, others, 'Poison-loop');
    await engine.stop();
  }, 240_000);
});

describe.skipIf(WITHOUT_REDIS)(`the cluster engine${WHY_SKIPPED}`, () => {
  it('sets a message aside that ends its worker', async () => {
    const [mongo, redis] = [await startMongoStandIn({ port: 0 }), await startRedis()];
    const rootKeyFile = join(newFolder(), 'root.key');
    expect((await runArtery(['key', 'make', rootKeyFile])).code).toBe(0);
    const urls = { MONGODB_URL: mongo.url, REDIS_URL: redis.url };
    const environment = { ...urls, ARTERY_ROOT_KEY_FILE: rootKeyFile };
    const receiver = await openTestEngine({ roles: ['receive', 'api'], environment });
    const { texts, others } = poisonedFeed('Poison');
    const answers = await receiver.send('adt-inbound', ...texts);
    expect(answers.map(codeOf)).toEqual(texts.map(() => 'AA'));

    const given = { mongo: mongo.url, redis: redis.url, rootKeyFile, attempts: 3 };
    const { worker, ends } = await workUntilSettled(given, receiver);
    // One less where a slow machine let the token stall before the worker's first end.
    expect([ENDS - 1, ENDS]).toContain(ends);
    worker.disconnect();
    await once(worker, 'exit');
    const working = await openTestEngine({ roles: ['work', 'api'], environment });
    await checkAfterwards(working, others, 'Poison');
    for (const engine of [working, receiver]) await engine.stop();
    await redis.close();
    await mongo.stop();
  }, 240_000);
});

/** Starts the worker anew each time that it ends, until nothing waits any more. */
async function workUntilSettled(
  given: PoisonWorker,
  receiver: TestEngine,
): Promise<{ worker: ChildProcess; ends: number }> {
  const file = join(import.meta.dirname, '..', 'support', 'poison-worker.ts');
  for (let ends = 0; ends < 12; ends += 1) {
    const worker = fork(file, [JSON.stringify(given)], { stdio: 'inherit' });
    onTestFinished(() => void worker.kill('SIGKILL'));
    const isGone = () => worker.exitCode !== null || worker.signalCode !== null;
    const waiting = '/admin/messages?state=received&limit=1';
    const isSettled = async () => (await receiver.get(waiting)).messages.length === 0;
    await until(async () => isGone() || (await isSettled()), 60_000);
    if (!isGone() || (await isSettled())) return { worker, ends };
  }
  throw new Error('the worker ended twelve times');
}

/** By a pipeline without the poison: what is there, and that the message can be replayed. */
async function checkAfterwards(
  engine: TestEngine,
  others: string[],
  poison: string,
): Promise<void> {
  const { messages } = await engine.get('/admin/messages?state=set-aside&limit=10');
  expect(messages).toMatchObject([{ attempts: 3 }]);
  const { id } = messages[0];
  const shown = await engine.get(`/admin/messages/${id}`);
  expect(shown.issues).toMatchObject([{ text: expect.stringContaining(REASON) }]);
  for (const pid of others) expect(await familiesOf(engine, pid)).toEqual(['One', 'Two', 'Three']);
  expect(await familiesOf(engine, 'SICK')).toEqual(['Before', 'Behind']);
  // A newer message of the patient has had its effect: the older one is put back only by force.
  const path = `/admin/messages/${id}/replay`;
  expect((await engine.request('POST', path)).status).toBe(412);
  const forced = await engine.request('POST', path, { body: JSON.stringify({ force: true }) });
  expect(forced.status).toBe(202);
  await engine.settle();
  expect(await familiesOf(engine, 'SICK')).toEqual(['Before', 'Behind', poison]);
  const verified = await engine.request('POST', '/admin/audit/verify', { body: '{}' });
  expect(verified.json).toMatchObject({ ok: true });
}
