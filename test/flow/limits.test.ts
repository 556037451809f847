// Limits of the table at their edge, in a running engine: as many as the row says are taken, one
// more is refused or set aside, with the limit's name in the reason.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type Json,
  newFolder,
  openTestEngine,
  removeFolders,
  type TestEngine,
} from '../support/engine.ts';
import { adt, oru } from '../support/messages.ts';

let engine: TestEngine;

beforeAll(async () => {
  engine = await openTestEngine({
    folder: newFolder(),
    environment: {
      ARTERY_SEGMENTS_MAX: '30',
      ARTERY_MESSAGE_PARTS_MAX: '400',
      ARTERY_REPETITIONS_MAX: '5',
      ARTERY_BUNDLE_ENTRIES_MAX: '3',
      ARTERY_RESOURCES_MAX: '8',
      ARTERY_CHECKPOINT_ENTRIES_MAX: '10',
      ARTERY_INBOX_MAX: '2',
    },
  });
});
afterAll(async () => {
  await engine.stop();
  removeFolders();
});

const codeOf = (answer: string | undefined) => /\rMSA\|(..)/.exec(answer ?? '')?.[1];
const idOf = (message: string) => message.split('|')[9] ?? '';

/** `n` segments in all. */
function grow(message: string, n: number): string {
  const lines = message.split('\n');
  const more = Array.from({ length: n - lines.length }, () => 'NTE|1||');
  return [...lines, ...more].join('\n');
}

async function fate(message: string): Promise<{ state: string; reasons: string }> {
  await engine.settle();
  const { messages } = await engine.get('/admin/messages?limit=10');
  for (const { id } of messages) {
    const shown: Json = await engine.get(`/admin/messages/${id}`);
    if (shown.controlId !== idOf(message)) continue;
    return { state: shown.state, reasons: JSON.stringify(shown.issues) };
  }
  throw new Error('The message was not kept.');
}

describe('a message of the feed', () => {
  it('is refused with more segments than segmentsMax', async () => {
    const [most, more] = [grow(adt(), 30), grow(adt(), 31)];
    expect((await engine.send('adt-inbound', most, more)).map(codeOf)).toEqual(['AA', 'AR']);
    expect((await fate(more)).reasons).toContain('segmentsMax');
  });

  it('is set aside with more repetitions of a field than repetitionsMax', async () => {
    const repeat = (n: number) =>
      adt({ family: Array.from({ length: n }, (_, i) => `DOE^J${i}`).join('~') });
    const [most, more] = [repeat(5), repeat(6)];
    await engine.send('adt-inbound', most, more);
    expect((await fate(most)).state).toBe('processed');
    const { state, reasons } = await fate(more);
    expect(state).toBe('set-aside');
    expect(reasons).toContain('5 repetitions');
  });

  it('is set aside with more parts than messagePartsMax', async () => {
    const message = adt({ rest: `ZZZ|${'^'.repeat(500)}` });
    await engine.send('adt-inbound', message);
    const { state, reasons } = await fate(message);
    expect(state).toBe('set-aside');
    expect(reasons).toContain('400 fields');
  });

  it('is set aside with more resources than resourcesMax', async () => {
    const more = Array.from({ length: 12 }, (_, i) => `OBX|${i + 2}|NM|${i}^Test^L||1|mmol/L`);
    const message = [oru(), ...more].join('\n');
    await engine.send('lab-inbound', message);
    const { state, reasons } = await fate(message);
    expect(state).toBe('set-aside');
    expect(reasons).toContain('resourcesMax');
  });
});

describe('a bundle', () => {
  const bundle = (n: number) => ({
    resourceType: 'Bundle',
    type: 'collection',
    entry: Array.from({ length: n }, (_, i) => ({
      fullUrl: `urn:uuid:00000000-0000-4000-8000-00000000000${i}`,
      resource: {
        resourceType: 'Patient',
        identifier: [{ system: 'urn:x', value: `B${n}-${i}` }],
      },
    })),
  });
  const post = (n: number) =>
    engine.request('POST', '/channels/fhir-inbound', { body: JSON.stringify(bundle(n)) });

  it('is refused with more entries than bundleEntriesMax', async () => {
    expect((await post(3)).status).toBe(202);
    const refused = await post(4);
    expect(refused.status).toBe(400);
    expect(refused.text).toContain('bundleEntriesMax');
  });
});

it('signs the audit log after checkpointEntriesMax entries', { timeout: 20_000 }, async () => {
  await engine.send('adt-inbound', ...Array.from({ length: 12 }, () => adt()));
  await engine.settle();
  const file = join(engine.folder, 'data', 'audit', 'anchors.jsonl');
  await expect.poll(() => existsSync(file), { timeout: 10_000 }).toBe(true);
});
