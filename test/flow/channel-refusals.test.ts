// What a channel does not take: other processing ids (MSH-11) and types without a sound map.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newFolder, openTestEngine, removeFolders, type TestEngine } from '../support/engine.ts';
import { adt, freshId } from '../support/messages.ts';

const open = (more: string) =>
  `format: hl7v2\nsource: { kind: mllp, host: 127.0.0.1, port: 0 }\n${more}`;

let engine: TestEngine;
beforeAll(async () => {
  const folder = newFolder();
  const channels = join(folder, 'channels');
  mkdirSync(channels);
  writeFileSync(join(channels, 'open.yaml'), open(''));
  writeFileSync(join(channels, 'holds.yaml'), open('otherProcessing: set-aside\n'));
  writeFileSync(join(channels, 'test.yaml'), open('processingIds: [T]\n'));
  engine = await openTestEngine({ folder, environment: { ARTERY_CHANNELS_DIR: channels } });
});
afterAll(async () => {
  await engine.stop();
  removeFolders();
});

async function send(channel: string, text: string): Promise<string> {
  const [answer = ''] = await engine.send(channel, text);
  return answer;
}

const inMode = (mode: string, id = freshId()) => adt({ id }).replace('|P|2.5.1', `|${mode}|2.5.1`);

async function states(channel: string): Promise<string[]> {
  await engine.settle();
  const { messages } = await engine.get(`/admin/messages?channel=${channel}`);
  return messages.map(({ state }: { state: string }) => state);
}

describe('MSH-11', () => {
  it.each(['T', 'D', 'T^A', 'X'])('%s is refused by a channel of production data', async (mode) => {
    const answer = await send('open', inMode(mode));
    expect(answer).toContain('MSA|AR|');
    expect(answer).toContain('202^');
  });

  it('T is kept and nothing of it is processed', async () => {
    expect((await states('open')).every((state) => state === 'set-aside')).toBe(true);
  });

  it.each(['P', 'P^A', ''])('"%s" is production data', async (mode) => {
    expect(await send('open', inMode(mode))).toContain('MSA|AA|');
  });

  it('T is set aside with AA where the channel says so', async () => {
    const text = inMode('T');
    expect(await send('holds', text)).toContain('MSA|AA|');
    expect(await states('holds')).toEqual(['set-aside']);
    // A repeat must not put it to work either.
    expect(await send('holds', text)).toContain('MSA|AA|');
    expect(await states('holds')).toEqual(['set-aside']);
  });

  it('P is refused by a channel of test data', async () => {
    expect(await send('test', inMode('P'))).toContain('MSA|AR|');
    expect(await send('test', inMode('T'))).toContain('MSA|AA|');
  });
});

describe('a type without a map', () => {
  it.each([
    ['A99', '201^'],
    ['Z01', '201^'],
  ])('ADT^%s is refused by a channel without `accepts`', async (event, code) => {
    const answer = await send('open', adt({ id: freshId(), event }));
    expect(answer).toContain('MSA|AR|');
    expect(answer).toContain(code);
  });
});
