// What operators write is followed while the engine runs: a changed channel or map takes effect, a
// wrong one is refused with its place, and everything else goes on as before.
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectMllp } from '../../src/source/mllp-client.ts';
import { codeOf, portOf, sendAtOnce } from '../support/burst.ts';
import {
  type Json,
  newFolder,
  openTestEngine,
  removeFolders,
  type TestEngine,
} from '../support/engine.ts';
import { adt, oru } from '../support/messages.ts';

let engine: TestEngine;
let channels: string;
let mappings: string;

beforeAll(async () => {
  const folder = newFolder();
  channels = join(folder, 'channels');
  mappings = join(folder, 'mappings');
  cpSync('channels', channels, { recursive: true });
  cpSync('mappings', mappings, { recursive: true });
  engine = await openTestEngine({
    folder,
    environment: {
      ARTERY_CHANNELS_DIR: channels,
      ARTERY_MAPPINGS_DIR: mappings,
      ARTERY_RELOAD_DELAY_MS: '20',
      ARTERY_RELOAD_POLL_MS: '500',
    },
  });
});
afterAll(async () => {
  await engine.stop();
  removeFolders();
});

/** Polls: the files are noticed some time after they were written. */
async function eventually<T>(look: () => Promise<T>, holds: (found: T) => boolean): Promise<T> {
  for (;;) {
    const found = await look();
    if (holds(found)) return found;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

function change(file: string, ...edits: [string, string][]): void {
  let text = readFileSync(file, 'utf8');
  for (const [from, to] of edits) {
    if (!text.includes(from)) throw new Error(`${file} does not hold ${from}`);
    text = text.replace(from, to);
  }
  writeFileSync(file, text);
}

async function state(name: string): Promise<Json> {
  const found = await engine.get('/admin/channels');
  return { ...found.channels.find((one: Json) => one.name === name), problems: found.problems };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}

describe('a message that was refused because of its type', () => {
  it('is put in line when it is sent again to the channel that takes the type now', async () => {
    const message = adt({ pid: 'WIDE1', event: 'A04' });
    const send = async () => (await engine.send('adt-inbound', message)).map(codeOf)[0];
    const file = join(channels, 'adt-inbound.yaml');
    const narrow: [string, string] = ['ADT^A04, ', ''];
    const accepts = async () => {
      const [answer] = await engine.send('adt-inbound', adt({ pid: 'WIDE0', event: 'A04' }));
      return codeOf(answer ?? '') === 'AA';
    };
    change(file, narrow);
    await eventually(accepts, (taken) => !taken);
    expect(await send()).toBe('AR');
    expect(await send()).toBe('AR');
    change(file, ['ADT^A03, ', 'ADT^A03, ADT^A04, ']);
    await eventually(accepts, (taken) => taken);
    expect(await send()).toBe('AA');
    await engine.settle();
    const bundle = await engine.get('/fhir/R4/Patient?identifier=WIDE1');
    expect(bundle.entry).toHaveLength(1);
  });
});

describe('a changed channel file', () => {
  it('moves the channel to another port, and leaves the others their connections', async () => {
    const lab = await portOf(engine, 'lab-inbound');
    const client = await connectMllp({ host: '127.0.0.1', port: lab });
    const before = await portOf(engine, 'adt-inbound');
    const port = await freePort();
    const file = join(channels, 'adt-inbound.yaml');
    change(file, [`\${ARTERY_ADT_PORT:-2575}`, String(port)]);
    await eventually(
      () => state('adt-inbound'),
      ({ address }) => address === `127.0.0.1:${port}`,
    );
    expect((await sendAtOnce(port, [adt()])).map(codeOf)).toEqual(['AA']);
    await expect(connectMllp({ host: '127.0.0.1', port: before })).rejects.toMatchObject({
      code: 'PEER_UNAVAILABLE',
    });
    const [answer] = await client.send(Buffer.from(oru().replaceAll('\n', '\r')));
    expect(codeOf(Buffer.from(answer ?? []).toString())).toBe('AA');
    await client.close();
  });

  it('is refused with file, line and reason when it is wrong; the channel stays', async () => {
    const file = join(channels, 'adt-inbound.yaml');
    const good = readFileSync(file, 'utf8');
    change(file, ['format: hl7v2', 'format: hl7v9']);
    const { problems } = await eventually(
      () => state('adt-inbound'),
      (found) => found.problems.length > 0,
    );
    expect(problems).toMatchObject([{ file: 'adt-inbound.yaml', line: 4 }]);
    expect((await engine.send('adt-inbound', adt({ pid: 'STAYS' }))).map(codeOf)).toEqual(['AA']);
    expect((await engine.send('lab-inbound', oru())).map(codeOf)).toEqual(['AA']);
    await engine.settle();
    expect((await engine.get('/fhir/R4/Patient?identifier=STAYS')).entry).toHaveLength(1);
    writeFileSync(file, good);
    await eventually(
      () => state('adt-inbound'),
      (found) => found.problems.length === 0,
    );
  });

  it('stops a disabled channel; what it accepted is still worked off', async () => {
    await engine.send('adt-inbound', adt({ pid: 'LAST' }));
    const file = join(channels, 'adt-inbound.yaml');
    const port = await portOf(engine, 'adt-inbound');
    change(file, ['format: hl7v2', 'enabled: false\nformat: hl7v2']);
    await eventually(
      () => state('adt-inbound'),
      ({ listening }) => !listening,
    );
    await expect(connectMllp({ host: '127.0.0.1', port })).rejects.toThrow();
    await engine.settle();
    expect((await engine.get('/fhir/R4/Patient?identifier=LAST')).entry).toHaveLength(1);
    change(file, ['enabled: false\n', '']);
    await eventually(
      () => state('adt-inbound'),
      ({ listening }) => listening,
    );
  });

  it('sets messages of a removed channel aside; they are replayed when it is back', async () => {
    const file = join(channels, 'adt-inbound.yaml');
    const good = readFileSync(file, 'utf8');
    await engine.send('adt-inbound', adt({ pid: 'GONE' }));
    await engine.settle();
    const [{ id }] = (await engine.get('/admin/messages?limit=1')).messages;
    rmSync(file);
    await eventually(
      () => state('adt-inbound'),
      ({ name }) => name === undefined,
    );
    await engine.request('POST', `/admin/messages/${id}/replay`);
    await engine.settle();
    expect(await engine.get(`/admin/messages/${id}`)).toMatchObject({ state: 'set-aside' });
    writeFileSync(file, good);
    await eventually(
      () => state('adt-inbound'),
      ({ listening }) => listening,
    );
    await engine.request('POST', `/admin/messages/${id}/replay`);
    await engine.settle();
    expect(await engine.get(`/admin/messages/${id}`)).toMatchObject({ state: 'processed' });
  });
});

describe('a changed mapping file', () => {
  const family = async (pid: string): Promise<Json> => {
    await engine.send('adt-inbound', adt({ pid, event: 'A08' }));
    await engine.settle();
    return (await engine.get(`/fhir/R4/Patient?identifier=${pid}`)).entry[0].resource;
  };
  const problemsNow = async (): Promise<Json[]> => (await state('adt-inbound')).problems;
  const table = () => join(mappings, 'tables', 'HL70001.yaml');

  it('takes effect without a restart', async () => {
    expect(await family('MAP1')).toMatchObject({ gender: 'female' });
    const text = readFileSync(table(), 'utf8');
    writeFileSync(table(), text.replace('F: female', 'F: other'));
    expect(readFileSync(table(), 'utf8')).not.toBe(text);
    // The examples say female: the changed map must not come into force with them.
    const found = await eventually(problemsNow, (problems) => problems.length > 0);
    expect(found[0]).toMatchObject({
      file: expect.stringMatching(/^examples\/.+\.expected\.json$/),
    });
    expect(await family('MAP2')).toMatchObject({ gender: 'female' });
    rmSync(join(mappings, 'examples'), { recursive: true });
    await eventually(problemsNow, (problems) => problems.length === 0);
    expect(await family('MAP3')).toMatchObject({ gender: 'other' });
  });

  it('leaves the old map in force when it is broken', async () => {
    const text = readFileSync(table(), 'utf8');
    writeFileSync(table(), `${text}\n  this is: [no yaml`);
    const found = await eventually(problemsNow, (problems) => problems.length > 0);
    expect(found[0]).toMatchObject({ file: 'tables/HL70001.yaml' });
    expect(found[0].line).toBeGreaterThan(0);
    expect(await family('MAP4')).toMatchObject({ gender: 'other' });
    writeFileSync(table(), text);
    await eventually(problemsNow, (problems) => problems.length === 0);
  });
});
