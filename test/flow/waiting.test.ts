// What waits, as the gauge has it and as the store does: refused, repeated and replayed messages.
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { newFolder, openTestEngine, removeFolders, type TestEngine } from '../support/engine.ts';
import { adt, freshId } from '../support/messages.ts';
import { randomFrom } from '../support/store-units.ts';

const LIMIT = 10;
let engine: TestEngine | undefined;

afterEach(() => engine?.stop());
afterAll(removeFolders);

async function open(): Promise<TestEngine> {
  const environment = { ARTERY_WAITING_MAX: String(LIMIT) };
  engine = await openTestEngine({ folder: newFolder(), environment });
  return engine;
}

async function gauge(of: TestEngine): Promise<number> {
  const { text } = await of.request('GET', '/metrics');
  return Number(/^artery_intake_waiting (\d+)/m.exec(text)?.[1] ?? Number.NaN);
}

const codeOf = (answer: string | undefined) => /\rMSA\|(..)/.exec(answer ?? '')?.[1];

describe('the messages that wait', () => {
  it('are not those that were refused: the next one is taken', async () => {
    const here = await open();
    const refused = Array.from({ length: 3 * LIMIT }, () => adt({ event: 'Z99' }));
    const answers = await here.send('adt-inbound', ...refused);
    expect(new Set(answers.map(codeOf))).toEqual(new Set(['AR']));
    expect(await gauge(here)).toBe(0);
    expect((await here.send('adt-inbound', adt())).map(codeOf)).toEqual(['AA']);
  });

  it('are as many by the gauge as by the store, whatever was sent', {
    timeout: 60_000,
  }, async () => {
    const here = await open();
    const seed = Number(process.env.ARTERY_TEST_SEED ?? Date.now() % 1_000_000);
    const random = randomFrom(seed);
    const ids: string[] = [freshId()];
    for (let round = 0; round < 12; round += 1) {
      const messages = Array.from({ length: 8 }, () => {
        const id = random() < 0.3 ? (ids[Math.floor(random() * ids.length)] ?? '') : freshId();
        ids.push(id);
        const event = random() < 0.3 ? 'Z99' : 'A01';
        const family = random() < 0.5 ? 'Quillfeather' : 'Other';
        return adt({ id: random() < 0.1 ? '' : id, event, family });
      });
      await here.send('adt-inbound', ...messages);
      const state = random() < 0.5 ? 'set-aside' : 'processed';
      await here.request('POST', `/admin/messages/replay?state=${state}&limit=3`);
      await here.settle();
      expect(await gauge(here), `seed ${seed}, round ${round}`).toBe(0);
    }
  });
});
