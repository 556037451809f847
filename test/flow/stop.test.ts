// How a process stops: it says so first, takes nothing new, and finishes what it took.
import { afterAll, expect, it } from 'vitest';
import { newFolder, openTestEngine, removeFolders } from '../support/engine.ts';
import { adt } from '../support/messages.ts';

afterAll(removeFolders);

it('is ready with each check true, and not from the first word of a stop on', async () => {
  const engine = await openTestEngine();
  const ready = await engine.request('GET', '/readyz');
  expect(ready.status).toBe(200);
  expect(ready.json).toEqual({
    ready: true,
    checks: { serving: true, store: true, channels: true, mappings: true },
  });
  const stopping = engine.stop();
  const ask = (url: string) => engine.app.fastify.inject({ method: 'GET', url, headers: {} });
  const [readyz, livez, fhir] = await Promise.all([
    ask('/readyz'),
    ask('/livez'),
    ask('/fhir/R4/metadata'),
  ]);
  expect(readyz.statusCode).toBe(503);
  expect(JSON.parse(Buffer.from(readyz.rawPayload).toString()).checks.serving).toBe(false);
  expect(livez.statusCode).toBe(200);
  expect(fhir.statusCode).toBe(503);
  await stopping;
});

it('leaves what is not worked off to the next start', async () => {
  const folder = newFolder();
  const engine = await openTestEngine({ folder });
  const ids = Array.from({ length: 200 }, (_, n) => `stop-${n}`);
  const messages = ids.map((id) => adt({ id, pid: 'S1', family: 'Stop', event: 'A08' }));
  const answers = await engine.send('adt-inbound', ...messages);
  expect(answers.every((answer) => answer.includes('MSA|AA|'))).toBe(true);
  await engine.stop();
  const next = await openTestEngine({ folder });
  await next.settle();
  const { messages: done } = await next.get('/admin/messages?state=processed&limit=1000');
  expect(done).toHaveLength(ids.length);
  await next.stop();
});
