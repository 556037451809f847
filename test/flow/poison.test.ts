// Promise 4 for messages that end the process that works on them: they are set aside after their
// attempts, on both engines, and nobody else suffers more than the wait.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { markFile } from '../../src/assembly/work-mark.ts';
import { codeOf, familiesOf } from '../support/burst.ts';
import { type Child, pause, startChild } from '../support/child.ts';
import { type Json, newFolder, openTestEngine, removeFolders } from '../support/engine.ts';
import { adt } from '../support/messages.ts';

afterAll(removeFolders);

const HOOK = new URL('../support/poison.ts', import.meta.url).href;
const POISONED = { NODE_OPTIONS: `--import=${HOOK}`, ARTERY_ATTEMPTS_MAX: '3' };
const REASON = 'The process ended while this message was worked on. After 3 attempts';
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
      const aside = messages.filter(({ state }: Json) => state === 'set-aside');
      expect(aside).toMatchObject([{ attempts: 3 }]);
      expect(await child.stop()).toBe(0);
      expect(existsSync(markFile(join(folder, 'data')))).toBe(false);

      // Without the poison in the pipeline: what is there, and that the message can be replayed.
      const engine = await openTestEngine({ folder });
      const shown = await engine.get(`/admin/messages/${aside[0].id}`);
      expect(shown.issues).toMatchObject([{ text: expect.stringContaining(REASON) }]);
      for (const pid of others)
        expect(await familiesOf(engine, pid)).toEqual(['One', 'Two', 'Three']);
      expect(await familiesOf(engine, 'SICK')).toEqual(['Before', 'Behind']);
      const replay = await engine.request('POST', `/admin/messages/${aside[0].id}/replay`);
      expect(replay.status).toBe(202);
      await engine.settle();
      expect(await familiesOf(engine, 'SICK')).toEqual(['Before', 'Behind', poison]);
      const verified = await engine.request('POST', '/admin/audit/verify', { body: '{}' });
      expect(verified.json).toMatchObject({ ok: true });
      await engine.stop();
    },
    120_000,
  );
});
