// Promises 4 and 5 on 710 messages of other people: each is stored, or answered AE or AR with a
// reason; what is processed accounts for every field. The table of what became of them is printed.
import { cpSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FrameReader, writeFrame } from '../../src/source/mllp-frame.ts';
import { codeOf, portOf } from '../support/burst.ts';
import {
  type Json,
  newFolder,
  openTestEngine,
  removeFolders,
  type TestEngine,
} from '../support/engine.ts';
import {
  fieldOf,
  fieldsOf,
  readSamples,
  SAMPLES_ABSENT,
  type Sample,
  withOwnId,
} from '../support/samples.ts';

const samples = readSamples();

let engine: TestEngine;
beforeAll(async () => {
  const folder = newFolder();
  const channels = join(folder, 'channels');
  cpSync('channels', channels, { recursive: true });
  const everything = ['format: hl7v2', 'source:', '  kind: mllp', '  port: 0', 'timezone: UTC'];
  writeFileSync(join(channels, 'everything.yaml'), `${everything.join('\n')}\n`);
  engine = await openTestEngine({ folder, environment: { ARTERY_CHANNELS_DIR: channels } });
});
afterAll(async () => {
  await engine.stop();
  removeFolders();
});

/** Sends one frame and no more; answers all that came back until the server ended too. */
function exchange(port: number, bytes: Uint8Array): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const reader = new FrameReader({ frameBytesMax: 1_000_000 });
    const answers: string[] = [];
    const socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true });
    socket.on('error', reject);
    socket.on('data', (chunk: Buffer) => {
      reader.push(chunk);
      for (let frame = reader.next(); frame; frame = reader.next()) {
        answers.push(Buffer.from(frame.bytes).toString('latin1'));
      }
    });
    socket.on('end', () => {
      socket.destroy();
      resolve(answers);
    });
    socket.end(writeFrame(bytes));
  });
}

interface Fed {
  sample: Sample;
  answers: string[];
}

async function feed(channel: string, bytesOf: (sample: Sample) => Uint8Array): Promise<Fed[]> {
  const port = await portOf(engine, channel);
  const fed: Fed[] = [];
  for (const sample of samples) {
    fed.push({ sample, answers: await exchange(port, bytesOf(sample)) });
  }
  await engine.settle();
  return fed;
}

/** Every positive answer is a stored message, every other names a reason. */
async function checkAnswers(channel: string, fed: Fed[]): Promise<Json[]> {
  for (const { sample, answers } of fed) {
    if (answers.length === 0) expect(wantsNoAnswer(sample), sample.path).toBe(true);
    for (const answer of answers) {
      expect(['AA', 'AE', 'AR', 'CA', 'CE', 'CR'], sample.path).toContain(codeOf(answer));
      if (!/A$/.test(codeOf(answer))) expect(answer, sample.path).toContain('\rERR');
    }
  }
  const stored = await storedOf(channel);
  const waiting = stored.filter(({ state }) => state === 'received');
  expect(waiting).toEqual([]);
  const positive = fed.flatMap(({ answers }) => answers).filter((one) => /A$/.test(codeOf(one)));
  expect(stored.length).toBeGreaterThanOrEqual(new Set(positive.map(idOf)).size);
  return stored;
}

/** An acknowledgement, or MSH-15 or MSH-16 of every message asks for silence (NE, or ER). */
function wantsNoAnswer({ bytes }: Sample): boolean {
  const text = bytes.toString('latin1');
  const headers = text.split(/[\r\n\x0b]+/).filter((line) => line.startsWith('MSH'));
  const silent = headers.every((header) => {
    const fields = header.split(header.charAt(3));
    return `${fields[14] ?? ''}${fields[15] ?? ''}` !== '';
  });
  return (headers.length > 0 && silent) || /[\r\n]MSA/.test(text);
}

function idOf(answer: string): string {
  return /\rMSA(.)[A-Z]{2}\1(.*?)(?:\1|\r)/.exec(answer)?.[2] ?? '';
}

async function storedOf(channel: string): Promise<Json[]> {
  const all: Json[] = [];
  for (let before = ''; ; ) {
    const page = await engine.get(`/admin/messages?channel=${channel}&limit=500${before}`);
    all.push(...page.messages);
    if (page.next === undefined) return all;
    before = `&before=${page.next}`;
  }
}

function printTable(title: string, fed: Fed[], stored: Json[], shown: Json[]): void {
  const rows = new Map<string, number>();
  const count = (row: string) => rows.set(row, (rows.get(row) ?? 0) + 1);
  for (const { answers } of fed) count(`answered ${answers.map(codeOf).join('+') || 'nothing'}`);
  for (const { state } of stored) count(state);
  for (const { state, type, issues } of shown) {
    const error = issues.find((one: Json) => one.severity === 'error');
    if (state === 'processed') count(`processed ${type.split('^').slice(0, 2).join('^')}`);
    else count(`set aside: ${error?.at.replaceAll(/\[\d+\]/g, '')} ${error?.text}`);
  }
  const sorted = [...rows].sort(([, a], [, b]) => b - a);
  const lines = sorted.map(([row, times]) => `${String(times).padStart(5)} ${row}`);
  process.stdout.write(`${title}\n${lines.join('\n')}\n`);
}

describe.skipIf(SAMPLES_ABSENT !== '')(`710 samples${SAMPLES_ABSENT}`, { timeout: 180_000 }, () => {
  it('go through a channel that takes everything, and account for every field', async () => {
    const fed = await feed('everything', withOwnId);
    const stored = await checkAnswers('everything', fed);
    const shown: Json[] = [];
    const lost: string[] = [];
    for (const { id, state } of stored) {
      const message = await engine.get(`/admin/messages/${id}`);
      shown.push(message);
      if (state === 'processed') lost.push(...(await unaccounted(message)));
      else expect(message.issues.some((one: Json) => one.severity === 'error')).toBe(true);
    }
    printTable('Samples, each with a control id of its own:', fed, stored, shown);
    expect(lost).toEqual([]);
    expect(shown.filter(({ state }) => state === 'processed').length).toBeGreaterThan(100);
    const faults = shown
      .flatMap(({ issues }) => issues)
      .filter(({ text }) => /INTERNAL/.test(text));
    expect(faults).toEqual([]);
  });

  for (const channel of ['adt-inbound', 'lab-inbound']) {
    it(`go through ${channel} as they are`, async () => {
      const fed = await feed(channel, ({ bytes }) => bytes);
      const stored = await checkAnswers(channel, fed);
      printTable(`Samples on ${channel}:`, fed, stored, []);
      expect((await engine.send(channel, 'MSH|^~\\&|A|B|C|D|2026||X^Y|Z1|P|2.5.1'))[0]).toContain(
        '|AR|',
      );
    });
  }
});

/** Fields that hold something and are neither mapped, nor ignored, nor told as unmapped. */
async function unaccounted({ id, explained }: Json): Promise<string[]> {
  const raw = (await engine.request('GET', `/admin/messages/${id}/raw`)).text;
  const places: string[] = explained.accounts.map(({ from }: Json) => fieldOf(from));
  const accounted = new Set(places);
  return [...(fieldsOf(raw) ?? [])]
    .filter((field) => !accounted.has(field))
    .map((field) => `${id} ${field}`);
}
