// /metrics tells how much waits and for how long, on both engines: messages by the store, keys by
// the queue, and keys that their channel holds back.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { runArtery } from '../commands/program.ts';
import { until } from '../contract/queue.ts';
import { codeOf } from '../support/burst.ts';
import { pause } from '../support/child.ts';
import { newFolder, openTestEngine, removeFolders, type TestEngine } from '../support/engine.ts';
import { adt } from '../support/messages.ts';
import { startMongoStandIn } from '../support/mongo/server.ts';
import { startRedis, WHY_SKIPPED, WITHOUT_REDIS } from '../support/redis.ts';

afterAll(removeFolders);

const KEYS = 8;

async function metricsOf(engine: TestEngine): Promise<Record<string, number>> {
  await pause(50);
  const { text } = await engine.request('GET', '/metrics');
  const rows = text.split('\n').filter((line) => /^artery_\w+ /.test(line));
  return Object.fromEntries(rows.map((line) => [line.split(' ')[0], Number(line.split(' ')[1])]));
}

/** One message each for eight patients. */
async function sendEight(engine: TestEngine): Promise<void> {
  const texts = Array.from({ length: KEYS }, (_, n) => adt({ pid: `M${n}` }));
  const answers = await engine.send('slow', ...texts);
  expect(answers.map(codeOf)).toEqual(texts.map(() => 'AA'));
}

/** A channel of which one message is worked on per second. */
function slowChannel(): string {
  const folder = newFolder();
  const text = 'format: hl7v2\nsource: { kind: mllp, port: 0 }\nwork: { ratePerSecond: 1 }\n';
  writeFileSync(join(folder, 'slow.yaml'), text);
  return folder;
}

async function nothingWaits(engine: TestEngine): Promise<boolean> {
  const found = await metricsOf(engine);
  const names = ['queue_waiting', 'queue_active', 'queue_oldest_ms'];
  const all = [...names, 'intake_waiting', 'intake_oldest_ms'];
  // Only a process that works knows of keys that are held back.
  const held = found.artery_queue_held ?? 0;
  return held === 0 && all.every((name) => found[`artery_${name}`] === 0);
}

describe('the metrics of the embedded engine', () => {
  it('tell what waits, what is held back and the age of the oldest', async () => {
    const environment = { ARTERY_CHANNELS_DIR: slowChannel() };
    const engine = await openTestEngine({ environment });
    await until(() => nothingWaits(engine));
    await sendEight(engine);
    await until(async () => {
      const found = await metricsOf(engine);
      const { artery_intake_waiting: waiting = 0, artery_queue_held: held = 0 } = found;
      return waiting > 0 && held > 0 && (found.artery_intake_oldest_ms ?? 0) > 0;
    });
    await until(() => nothingWaits(engine), 60_000);
    await engine.stop();
  }, 120_000);
});

describe.skipIf(WITHOUT_REDIS)(`the metrics of the cluster engine${WHY_SKIPPED}`, () => {
  it('tell at each process what waits, and the age of the oldest', async () => {
    const [mongo, redis] = [await startMongoStandIn({ port: 0 }), await startRedis()];
    const rootKeyFile = join(newFolder(), 'root.key');
    expect((await runArtery(['key', 'make', rootKeyFile])).code).toBe(0);
    const environment = {
      ...{ MONGODB_URL: mongo.url, REDIS_URL: redis.url, ARTERY_ROOT_KEY_FILE: rootKeyFile },
      ARTERY_CHANNELS_DIR: slowChannel(),
    };
    const receiver = await openTestEngine({ roles: ['receive'], environment });
    const reader = await openTestEngine({ roles: ['api'], environment });
    await sendEight(receiver);
    for (const engine of [receiver, reader]) {
      await until(async () => {
        const found = await metricsOf(engine);
        return (
          found.artery_queue_waiting === KEYS &&
          (found.artery_queue_oldest_ms ?? 0) > 0 &&
          found.artery_intake_waiting === KEYS &&
          (found.artery_intake_oldest_ms ?? 0) > 0
        );
      }, 30_000);
    }
    const worker = await openTestEngine({ roles: ['work'], environment });
    await until(async () => ((await metricsOf(worker)).artery_queue_held ?? 0) > 0, 30_000);
    await until(() => nothingWaits(worker), 60_000);
    await until(() => nothingWaits(reader), 30_000);
    for (const engine of [worker, reader, receiver]) await engine.stop();
    await redis.close();
    await mongo.stop();
  }, 120_000);
});
