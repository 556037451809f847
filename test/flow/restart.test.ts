// Stops, starts, copies, keys: what was promised before must hold after.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, describe, expect, it } from 'vitest';
import { formatRootKeys, makeRootKeys } from '../../src/crypto/keys.ts';
import { codeOf, familiesOf } from '../support/burst.ts';
import { type Child, startChild } from '../support/child.ts';
import {
  type Json,
  newFolder,
  openTestEngine,
  removeFolders,
  type TestEngine,
} from '../support/engine.ts';
import { adt, oru } from '../support/messages.ts';

afterAll(removeFolders);

async function patientOf(engine: TestEngine, pid: string): Promise<Json> {
  return (await engine.get(`/fhir/R4/Patient?identifier=${pid}`)).entry?.[0]?.resource;
}

async function verify(engine: TestEngine): Promise<Json> {
  return (await engine.request('POST', '/admin/audit/verify', { body: '{}' })).json;
}

describe('a stop and a start', () => {
  it('keep resources, history, messages, tokens and the audit log', async () => {
    const first = await openTestEngine();
    const { folder } = first;
    await first.send('adt-inbound', adt({ pid: 'R1', family: 'Before' }));
    await first.send('lab-inbound', oru({ pid: 'R1' }));
    await first.settle();
    const token = await first.token('system/*.rs');
    const patient = await patientOf(first, 'R1');
    await first.stop();
    const second = await openTestEngine({ folder });
    expect(await patientOf(second, 'R1')).toEqual(patient);
    await second.send('adt-inbound', adt({ pid: 'R1', family: 'After', event: 'A08' }));
    await second.settle();
    expect(await familiesOf(second, 'R1')).toEqual(['Before', 'After']);
    const found = await second.request('GET', '/fhir/R4/Observation?code=2823-3', { token });
    expect(found.json.entry).toHaveLength(1);
    expect(await verify(second)).toMatchObject({ ok: true });
    await second.stop();
  });

  it('hand over what one process accepted and another works off, in order', async () => {
    const receiving = await openTestEngine({ roles: ['receive', 'api'] });
    const { folder } = receiving;
    const families = Array.from({ length: 30 }, (_, n) => `Family${n}`);
    const texts = families.map((family) => adt({ pid: 'R2', family, event: 'A08' }));
    const answers = await receiving.send('adt-inbound', ...texts);
    expect(answers.map(codeOf)).toEqual(texts.map(() => 'AA'));
    expect((await receiving.get('/admin/messages?state=received&limit=100')).messages).toHaveLength(
      30,
    );
    await receiving.stop();
    const working = await openTestEngine({ folder, roles: ['work', 'api'] });
    await working.settle();
    expect(await familiesOf(working, 'R2')).toEqual(families);
    await working.stop();
  });
});

describe('a data folder', () => {
  it('is refused to a second process in one sentence, and the first goes on', async () => {
    const engine = await openTestEngine();
    await expect(openTestEngine({ folder: engine.folder })).rejects.toMatchObject({
      code: 'STORE_LOCKED',
    });
    const child = startChild(engine.folder);
    await expect(child.ready).rejects.toThrow('the server ended');
    expect(sentencesOf(child)).toEqual([
      expect.stringContaining('Another process has this data folder open'),
    ]);
    expect((await engine.send('adt-inbound', adt())).map(codeOf)).toEqual(['AA']);
    await engine.stop();
  });

  it('is left in one sentence when the start fails in a thread', async () => {
    const folder = newFolder();
    const mappings = join(folder, 'mappings');
    mkdirSync(mappings);
    symlinkSync('messages', join(mappings, 'messages'));
    const child = startChild(folder, { ARTERY_MAPPINGS_DIR: mappings });
    await expect(child.ready).rejects.toThrow('the server ended while it started, 1: artery:');
    expect(sentencesOf(child)).toHaveLength(1);
  });

  it('is refused with another root key, or without its own', async () => {
    const engine = await openTestEngine();
    const { folder } = engine;
    await engine.send('adt-inbound', adt({ pid: 'R3' }));
    await engine.stop();
    const other = { ARTERY_ROOT_KEY: formatRootKeys(makeRootKeys()) };
    const refusal = { code: 'KEY_UNAVAILABLE' };
    await expect(openTestEngine({ folder, environment: other })).rejects.toMatchObject(refusal);
    const key = join(folder, 'data', 'keys', 'root.key');
    const text = readFileSync(key);
    rmSync(key);
    await expect(openTestEngine({ folder })).rejects.toMatchObject(refusal);
    const again = await openTestEngine({
      folder,
      environment: { ARTERY_ROOT_KEY: text.toString() },
    });
    await again.settle();
    expect(await patientOf(again, 'R3')).toBeDefined();
    await again.stop();
  });
});

describe('a backup', () => {
  it('made under load is one moment of the store, and reads the same elsewhere', async () => {
    const engine = await openTestEngine();
    const pids = Array.from({ length: 8 }, (_, n) => `B${n}`);
    let feeding = true;
    const feed = async (pid: string) => {
      for (let n = 0; feeding; n += 1) {
        const text = adt({ pid, family: `Family${n}`, event: 'A08' });
        await engine.send('adt-inbound', text);
      }
    };
    await engine.send('adt-inbound', ...pids.map((pid) => adt({ pid })));
    const feeds = pids.map(feed);
    const body = JSON.stringify({ name: 'copy' });
    const made = await engine.request('POST', '/admin/backup', { body });
    expect(made.status).toBe(200);
    const { to } = made.json;
    feeding = false;
    await Promise.all(feeds);
    await engine.settle();
    const restored = await restore(engine.folder, to);
    await restored.settle();
    for (const pid of pids) {
      const copied = await familiesOf(restored, pid);
      const all = await familiesOf(engine, pid);
      expect(copied.length).toBeGreaterThan(0);
      expect(copied).toEqual(all.slice(0, copied.length));
    }
    expect(await verify(restored)).toMatchObject({ ok: true });
    await restored.stop();
    await engine.stop();
  });

  /** As `artery restore` does it, and the root key from where the operator kept it. */
  async function restore(from: string, backup: string): Promise<TestEngine> {
    const folder = newFolder();
    const environment = { ...process.env, ARTERY_DATA_DIR: join(folder, 'data') };
    const run = spawnSync(process.execPath, ['src/main.ts', 'restore', '--from', backup], {
      env: environment,
      encoding: 'utf8',
    });
    expect(run.status, run.stderr).toBe(0);
    cpSync(join(from, 'data', 'keys'), join(folder, 'data', 'keys'), { recursive: true });
    return openTestEngine({ folder });
  }
});

describe('forgetting a patient', () => {
  it('leaves neither resources, messages, index nor key, and survives a restart', async () => {
    const engine = await openTestEngine();
    const { folder } = engine;
    await engine.send('adt-inbound', adt({ pid: 'F1', family: 'Forgotten' }), adt({ pid: 'F2' }));
    await engine.send('lab-inbound', oru({ pid: 'F1' }));
    await engine.settle();
    const { id } = await patientOf(engine, 'F1');
    const { messages } = await engine.get(`/admin/messages?patient=${id}`);
    expect(messages).toHaveLength(2);
    const done = await engine.request('POST', `/admin/patients/${id}/forget`);
    expect(done.json).toMatchObject({ keysDestroyed: 1, messages: 2 });
    await checkForgotten(engine, id, messages[0].id);
    expect(await patientOf(engine, 'F2')).toBeDefined();
    expect(keysOf(folder, id)).toEqual([{ bytes: 0, destroyed: 1 }]);
    await engine.stop();
    const again = await openTestEngine({ folder });
    await checkForgotten(again, id, messages[0].id);
    // A later message is about a patient who came back: nothing of the earlier one is in it.
    await again.send('adt-inbound', adt({ pid: 'F1', family: 'Returned', event: 'A08' }));
    await again.settle();
    const returned = await patientOf(again, 'F1');
    expect(returned).toMatchObject({ id, name: [{ family: 'Returned' }] });
    const first = await again.request('GET', `/fhir/R4/Patient/${id}/_history/1`);
    expect(first.status).toBe(410);
    expect(keysOf(folder, id)).toContainEqual({ bytes: expect.any(Number), destroyed: 0 });
    expect(await verify(again)).toMatchObject({ ok: true });
    await again.stop();
  });

  async function checkForgotten(engine: TestEngine, id: string, message: string): Promise<void> {
    const read = await engine.request('GET', `/fhir/R4/Patient/${id}`);
    expect(read.status).toBe(410);
    expect(read.json).toMatchObject({ resourceType: 'OperationOutcome' });
    expect((await engine.request('GET', `/admin/messages/${message}/raw`)).status).toBe(410);
    expect((await engine.request('GET', `/admin/messages/${message}`)).status).toBe(410);
    const searches = [
      'Patient?identifier=F1',
      'Patient?name=Forgotten',
      `Observation?patient=${id}`,
    ];
    for (const query of searches) {
      expect((await engine.get(`/fhir/R4/${query}`)).entry ?? [], query).toEqual([]);
    }
  }

  /** Straight from the file: length of the wrapped key, and whether it is marked destroyed. */
  function keysOf(folder: string, compartment: string): Json[] {
    const db = new DatabaseSync(join(folder, 'data', 'store', 'artery.db'), { readOnly: true });
    const rows = db.prepare('SELECT * FROM keys').all() as Record<string, Json>[];
    db.close();
    return rows
      .filter((row) => Object.values(row).includes(compartment))
      .map((row) => ({
        bytes: row.wrapped?.length ?? 0,
        destroyed: row.destroyed_at === null ? 0 : 1,
      }));
  }
});

describe('rotating keys', () => {
  it('changes root and tenant key while it runs; all data are read after a restart', async () => {
    const engine = await openTestEngine();
    const { folder } = engine;
    const key = join(folder, 'data', 'keys', 'root.key');
    const before = readFileSync(key, 'utf8');
    await engine.send('adt-inbound', adt({ pid: 'K1' }));
    for (const which of ['root', 'tenant', 'root', 'tenant']) {
      const body = JSON.stringify({ key: which });
      const done = await engine.request('POST', '/admin/keys/rotate', { body });
      expect(done.status, done.text).toBe(200);
      await engine.send(
        'adt-inbound',
        adt({ pid: `K-${which}` }),
        adt({ pid: 'K1', event: 'A08' }),
      );
      await engine.settle();
    }
    await engine.send('adt-inbound', adt({ pid: 'K2' }));
    await engine.settle();
    expect(readFileSync(key, 'utf8')).not.toBe(before);
    expect(statSync(key).mode & 0o777).toBe(0o600);
    await engine.stop();
    const again = await openTestEngine({ folder });
    for (const pid of ['K1', 'K-root', 'K-tenant', 'K2']) {
      expect(await patientOf(again, pid), pid).toBeDefined();
    }
    expect(await verify(again)).toMatchObject({ ok: true });
    await again.stop();
    await expect(
      openTestEngine({ folder, environment: { ARTERY_ROOT_KEY: before } }),
    ).rejects.toMatchObject({ code: 'KEY_UNAVAILABLE' });
  });
});

/** What it said, without the same as the JSON that `--json` asks for. */
function sentencesOf(child: Child): string[] {
  const lines = child.output().trim().split('\n');
  const json = lines.filter((line) => line.startsWith('{"error":'));
  expect(json).toHaveLength(1);
  return lines.filter((line) => !json.includes(line));
}
