// Odd messages of real feeds through the whole engine: what is answered, kept and shown.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import type { Json, TestEngine } from '../support/engine.ts';
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

const BATCH_CHANNELS = {
  'one.yaml': 'source: { kind: mllp, port: 0 }\nbatchAnswer: batch\n',
  'each.yaml': 'source: { kind: mllp, port: 0 }\n',
  'web.yaml': 'source: { kind: http }\nbatchAnswer: batch\n',
};

async function openWithBatches(): Promise<TestEngine> {
  const folder = newFolder();
  const channels = join(folder, 'channels');
  mkdirSync(channels);
  for (const [name, text] of Object.entries(BATCH_CHANNELS)) {
    writeFileSync(join(channels, name), `format: hl7v2\naccepts: [ADT^A01]\n${text}`);
  }
  return openTestEngine({ folder, environment: { ARTERY_CHANNELS_DIR: channels } });
}

function batch(name: string, ...messages: string[]): string {
  const header = `BHS|^~\\&|A|B|C|D|||||${name}`;
  return `${[header, ...messages, 'BTS|7'].join('\n')}\n`;
}

/** BHS, then per message MSA-1 and MSA-2, then BTS. */
function answerOf(text: string): string[] {
  const lines = text.split(/[\r\n]+/).filter((line) => /^(BHS|MSA|BTS)/.test(line));
  return lines.map((line) =>
    line.startsWith('MSA')
      ? line.split('|').slice(1, 3).join(' ')
      : line.replace(/\|20\d+\.\d+\S+?\|/, '|T|'),
  );
}

describe('a batch', () => {
  const parts = (name: string) => [
    adt({ id: `${name}1`, pid: `${name}1` }),
    adt({ id: `${name}2`, pid: `${name}2`, event: 'A99' }),
    adt({ id: `${name}3`, pid: `${name}3` }),
  ];

  it('is answered by one batch where the channel says so, refused parts included', async () => {
    engine = await openWithBatches();
    const [overMllp] = await engine.send('one', batch('M', ...parts('M')));
    const { text, status } = await engine.request('POST', '/channels/web', {
      body: batch('W', ...parts('W')).replaceAll('\n', '\r'),
      headers: { 'content-type': 'application/hl7-v2' },
    });
    expect(status).toBe(202);
    for (const [name, answer] of [
      ['M', overMllp ?? ''],
      ['W', text],
    ] as const) {
      expect(answerOf(answer)).toEqual([
        expect.stringMatching(new RegExp(`^BHS\\|\\^~\\\\&\\|C\\|D\\|A\\|B\\|.*\\|${name}$`)),
        `AA ${name}1`,
        `AR ${name}2`,
        `AA ${name}3`,
        'BTS|3|BTS-1: It declares 7 and 3 were found.',
      ]);
    }
    await engine.settle();
    const { messages } = await engine.get('/admin/messages');
    expect(messages).toHaveLength(6);
    // The mismatch is an issue of the first message of each batch.
    const { get } = engine;
    const shown: { issues: Json[] }[] = await Promise.all(
      messages.map(({ id }: Json) => get(`/admin/messages/${id}`)),
    );
    const issues = shown.flatMap((each) => each.issues);
    const told = issues.filter(({ at }) => at === 'BTS-1');
    expect(told).toHaveLength(2);
    expect(told[0]).toMatchObject({ severity: 'warning' });
  });

  it('is answered message by message by default, and one message alone always', async () => {
    engine = await openWithBatches();
    const [alone] = await engine.send('one', adt({ id: 'S1' }));
    expect(alone).toMatch(/^MSH[\s\S]*\rMSA\|AA\|S1/);
    const [first] = await engine.send('each', batch('E', adt({ id: 'E1' }), adt({ id: 'E2' })));
    expect(first).toMatch(/^MSH[\s\S]*\rMSA\|AA\|E1/);
  });

  it('with more messages than the limit is kept whole and refused', async () => {
    engine = await openWithBatches();
    const many = Array.from(
      { length: 1_001 },
      (_, n) => `MSH|^~\\&|A|B|C|D|2024||ADT^A01|L${n}|P|2.5`,
    );
    const [answer] = await engine.send('one', batch('L', ...many));
    expect(answerOf(answer ?? '').slice(1, -1)).toEqual([expect.stringMatching(/^AR/)]);
    const { messages } = await engine.get('/admin/messages?state=set-aside');
    expect(messages).toHaveLength(1);
  });
});
