// Odd messages of real feeds through the whole engine: what is answered, kept and shown.
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import type { TestEngine } from '../support/engine.ts';
import { newFolder, openTestEngine, removeFolders } from '../support/engine.ts';
import { adt } from '../support/messages.ts';

let engine: TestEngine | undefined;
afterEach(() => engine?.stop());
afterAll(removeFolders);

describe('a reused control id', () => {
  it('is AE each time, with one answer for one content, and one message with a count', async () => {
    engine = await openTestEngine({ folder: newFolder() });
    const first = adt({ id: 'R30', pid: 'A30' });
    const other = adt({ id: 'R30', pid: 'B30' });
    expect((await engine.send('adt-inbound', first))[0]).toMatch(/\rMSA\|AA\|R30/);
    const answers = await engine.send('adt-inbound', ...Array(20).fill(other));
    expect(new Set(answers).size).toBe(1);
    expect(answers[0]).toMatch(/\rMSA\|AE\|R30\|[^\r]*control id/);
    const { messages } = await engine.get('/admin/messages?state=set-aside');
    expect(messages).toHaveLength(1);
    const shown = await engine.get(`/admin/messages/${messages[0].id}`);
    expect(shown.repeats).toMatchObject({ count: 19 });
  });
});

describe('an odd header', () => {
  it('with a blank in MSH-12 is taken', async () => {
    engine = await openTestEngine({ folder: newFolder() });
    const odd = adt({ id: 'V34' }).replace('|P|2.5.1\n', '|P|2.3 \n');
    expect(odd).toContain('2.3 ');
    expect((await engine.send('adt-inbound', odd))[0]).toMatch(/\rMSA\|AA\|V34/);
  });
});
