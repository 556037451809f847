// The cluster engine with its roles apart: messages come in at one process, are worked on by two
// others and read at a fourth. Redis is real, MongoDB is the stand-in.
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runArtery } from '../commands/program.ts';
import { until } from '../contract/queue.ts';
import { pause, startChild } from '../support/child.ts';
import { newFolder, openTestEngine, removeFolders, type TestEngine } from '../support/engine.ts';
import { adt } from '../support/messages.ts';
import { type StandIn, startMongoStandIn } from '../support/mongo/server.ts';
import { type RedisServer, startRedis, WHY_SKIPPED, WITHOUT_REDIS } from '../support/redis.ts';

describe.skipIf(WITHOUT_REDIS)(`roles apart over MongoDB and Redis${WHY_SKIPPED}`, () => {
  let mongo: StandIn;
  let redis: RedisServer;
  let environment: Record<string, string>;
  const open: TestEngine[] = [];
  const start = async (...roles: ('receive' | 'work' | 'api')[]) => {
    const engine = await openTestEngine({ roles, environment });
    open.push(engine);
    return engine;
  };

  beforeAll(async () => {
    mongo = await startMongoStandIn({ port: 0 });
    redis = await startRedis();
    const file = join(newFolder(), 'root.key');
    environment = {
      MONGODB_URL: mongo.url,
      REDIS_URL: redis.url,
      ARTERY_ROOT_KEY_FILE: file,
      ARTERY_SWEEP_INTERVAL_MS: '500',
    };
  });
  afterAll(async () => {
    for (const engine of open.reverse()) await engine.stop();
    await redis?.close();
    await mongo?.stop();
    removeFolders();
  });

  it('need one root key, made by hand once', async () => {
    await expect(start('work')).rejects.toMatchObject({ code: 'KEY_UNAVAILABLE' });
    const made = await runArtery(['key', 'make', environment.ARTERY_ROOT_KEY_FILE ?? '']);
    expect(made.code, made.notes).toBe(0);
  });

  it('carry messages from one process through others to a reader', async () => {
    const receiver = await start('receive');
    await start('work');
    await start('work');
    const reader = await start('api');
    const ids = Array.from({ length: 30 }, (_, n) => `C-${n}`);
    const messages = ids.map((id, n) => adt({ id, pid: `P${n % 5}`, family: `Fam${n}` }));
    const answers = await receiver.send('adt-inbound', ...messages);
    expect(answers.filter((answer) => answer.includes('MSA|AA|'))).toHaveLength(ids.length);
    await reader.settle();
    const token = await reader.token('system/*.rs');
    const { json } = await reader.request('GET', '/fhir/R4/Patient?_count=50', { token });
    const families = json.entry.map((one: { resource: { name: { family: string }[] } }) => {
      return one.resource.name[0]?.family;
    });
    expect(families.sort()).toEqual(['Fam25', 'Fam26', 'Fam27', 'Fam28', 'Fam29']);
    const elsewhere = await receiver.request('GET', '/fhir/R4/Patient', { token });
    expect(elsewhere.status).toBe(404);
  });

  it('go on after Redis lost everything, and tell that it is away', async () => {
    const [receiver, , , reader] = open;
    if (receiver === undefined || reader === undefined) throw new Error('they did not start');
    await redis.kill({ forget: true });
    const answers = await receiver.send('adt-inbound', adt({ id: 'C-away', pid: 'P9' }));
    expect(answers[0]).toContain('MSA|AA|C-away');
    await until(async () => (await receiver.request('GET', '/readyz')).status === 503);
    await redis.restart();
    await reader.settle();
    await until(async () => (await receiver.request('GET', '/readyz')).status === 200);
  });

  it('follow a rotation of the root key in another process', async () => {
    const [receiver, , , reader] = open;
    if (receiver === undefined || reader === undefined) throw new Error('they did not start');
    const rotate = (what: string) =>
      reader.request('POST', '/admin/keys/rotate', { body: JSON.stringify({ key: what }) });
    expect((await rotate('root')).status).toBe(200);
    expect((await rotate('tenant')).status).toBe(200);
    expect((await rotate('root')).status).toBe(200);
    const late = await start('receive');
    const answers = await late.send('adt-inbound', adt({ id: 'C-rotated', pid: 'P-new' }));
    expect(answers[0]).toContain('MSA|AA|C-rotated');
    await reader.settle();
    await open.pop()?.stop();
    const { messages } = await reader.get('/admin/messages?state=processed&limit=200');
    expect(messages).toHaveLength(30 + 1 + 1);
  });

  it('leave no work behind when workers stop by SIGTERM or are killed', async () => {
    const [receiver, , , reader] = open;
    if (!receiver || !reader) throw new Error('they did not start');
    const children = [1, 2].map(() => startChild(newFolder(), environment, ['--role', 'work']));
    await Promise.all(children.map(({ ready }) => ready));
    for (const worker of open.splice(1, 2)) await worker.stop();
    const messages = Array.from({ length: 60 }, (_, n) => adt({ id: `D-${n}`, pid: `P${n % 3}` }));
    const sending = receiver.send('adt-inbound', ...messages);
    await pause(150);
    const replacement = startChild(newFolder(), environment, ['--role', 'work']);
    expect(await children[0]?.stop()).toBe(0);
    await children[1]?.kill();
    await sending;
    await replacement.ready;
    await until(async () => (await waitingAt(reader)) === 0, 60_000);
    expect(await replacement.stop()).toBe(0);
    const { messages: done } = await reader.get('/admin/messages?state=processed&limit=200');
    expect(done).toHaveLength(30 + 1 + 1 + 60);
    const verified = await reader.request('POST', '/admin/audit/verify', { body: '{}' });
    const audit = verified.json;
    expect(audit.ok, JSON.stringify(audit.fault)).toBe(true);
  }, 90_000);
});

async function waitingAt(reader: TestEngine): Promise<number> {
  const { messages } = await reader.get('/admin/messages?state=received&limit=1');
  return messages.length;
}
