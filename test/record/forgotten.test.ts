// Forgetting is final: what comes back from a backup, or into the table by hand, does not open.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { openForgottenFile } from '../../src/config/forgotten-file.ts';
import { makeRootKeys, type RootKeys } from '../../src/crypto/keys.ts';
import { verifyAudit } from '../../src/record/audit.ts';
import { type ClinicalRecord, openRecord } from '../../src/record/context.ts';
import { forgetAgain, forgetPatient } from '../../src/record/forget.ts';
import { dataKeyId } from '../../src/record/keyring.ts';
import { openMessage } from '../../src/record/message.ts';
import { readResource } from '../../src/record/read.ts';
import { rotateTenantKey } from '../../src/record/rotate.ts';
import { updateResource } from '../../src/record/update.ts';
import { writeMapped } from '../../src/record/write.ts';
import { openSqliteStore } from '../../src/store/sqlite/open.ts';
import { arrival, CLERK, mapped, output, PATIENT_ID, patient, receive, TENANT } from './open.ts';

const REF = { type: 'Patient', id: PATIENT_ID };
const DESTROYED = { code: 'KEY_DESTROYED' };
const KEY = dataKeyId(PATIENT_ID, 0);

async function write(record: ClinicalRecord): Promise<string> {
  const opened = await receive(record, arrival('raw bytes'));
  await writeMapped(record, opened, () => output(mapped(patient({ gender: 'male' }))), 1);
  return opened.row.id;
}

function openFolder() {
  const folder = mkdtempSync(join(tmpdir(), 'artery-final-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const rootKeyFile = join(folder, 'keys', 'root.key');
  return { folder, file: join(folder, 'keys', 'forgotten.jsonl'), rootKeyFile };
}

/** A record as a fresh process has it over that store. */
async function start(place: { rootKeyFile: string }, folder: string, rootKeys: RootKeys) {
  const store = await openSqliteStore({ folder });
  onTestFinished(() => store.close());
  const forgotten = openForgottenFile(place);
  return { store, record: openRecord({ store, rootKeys, forgotten, clock: Date.now }) };
}

/** A store whose patient was forgotten after the backup, and that backup, started. */
async function restoreOlder(before?: (record: ClinicalRecord) => Promise<unknown>) {
  const place = openFolder();
  const rootKeys = makeRootKeys();
  const { store, record } = await start(place, join(place.folder, 'store'), rootKeys);
  const message = await write(record);
  await store.backup(join(place.folder, 'backup'));
  await before?.(record);
  await forgetPatient(record, CLERK, PATIENT_ID);
  const restored = await start(place, join(place.folder, 'backup'), rootKeys);
  return { place, rootKeys, message, ...restored };
}

describe('a backup of before, restored', () => {
  it('opens nothing of the forgotten patient, even before the start has destroyed it', async () => {
    const { store, record, message } = await restoreOlder();
    expect((await store.keys.get(TENANT, KEY))?.destroyedAt).toBeNull();
    await expect(readResource(record, CLERK, REF)).rejects.toMatchObject(DESTROYED);
    await expect(openMessage(record, CLERK, message)).rejects.toMatchObject(DESTROYED);
    expect(await forgetAgain(record, TENANT)).toEqual([PATIENT_ID]);
    const row = await store.keys.get(TENANT, KEY);
    expect(row?.destroyedAt).not.toBeNull();
    expect(row?.wrapped.every((byte) => byte === 0)).toBe(true);
    expect(await forgetAgain(record, TENANT)).toEqual([]);
    expect(await verifyAudit(record, TENANT)).toMatchObject({ ok: true });
  });

  it('holds for keys of before a rotation, too', async () => {
    const { record } = await restoreOlder((live) => rotateTenantKey(live, CLERK));
    await expect(readResource(record, CLERK, REF)).rejects.toMatchObject(DESTROYED);
  });

  it('seals what comes later under a key that opens, though one was skipped', async () => {
    const again = async (live: ClinicalRecord) => {
      await forgetPatient(live, CLERK, PATIENT_ID);
      await write(live); // generation 1, which the backup does not know
    };
    const { place, rootKeys, store, record } = await restoreOlder(again);
    await forgetAgain(record, TENANT);
    await updateResource(record, CLERK, { ...patient({}), id: 'other' });
    const message = await write(record);
    expect(await openMessage(record, CLERK, message)).toBeDefined();
    const forgotten = openForgottenFile(place);
    const fresh = openRecord({ store, rootKeys, forgotten, clock: Date.now });
    expect((await openMessage(fresh, CLERK, message)).row.body.keyId).toBe(
      dataKeyId(PATIENT_ID, 2),
    );
    await forgetPatient(fresh, CLERK, PATIENT_ID);
    await expect(openMessage(fresh, CLERK, message)).rejects.toMatchObject(DESTROYED);
    expect(await readResource(fresh, CLERK, { ...REF, id: 'other' })).toBeDefined();
  });
});

it('a kill between the mark and the commit is finished by the next start', async () => {
  const place = openFolder();
  const rootKeys = makeRootKeys();
  const { store, record } = await start(place, join(place.folder, 'store'), rootKeys);
  await write(record);
  await record.keyring.markForgotten(TENANT, [KEY]);
  const forgotten = openForgottenFile(place);
  const next = openRecord({ store, rootKeys, forgotten, clock: Date.now });
  expect(await forgetAgain(next, TENANT)).toEqual([PATIENT_ID]);
  expect((await store.keys.get(TENANT, KEY))?.destroyedAt).not.toBeNull();
});

it('the file tells nobody who was forgotten, and other installations pass it over', async () => {
  const { place } = await restoreOlder();
  expect(readFileSync(place.file, 'utf8')).not.toContain(PATIENT_ID);
  const { record } = await start(place, join(place.folder, 'new'), makeRootKeys());
  const message = await write(record);
  expect(await forgetAgain(record, TENANT)).toEqual([]);
  expect(await openMessage(record, CLERK, message)).toBeDefined();
});

it('nothing is destroyed while the file cannot be written', async () => {
  const place = openFolder();
  const rootKeys = makeRootKeys();
  const { store, record } = await start(place, join(place.folder, 'store'), rootKeys);
  await write(record);
  const full = {
    readNew: () => [],
    append: () => {
      throw new Error('full');
    },
  };
  const other = openRecord({ store, rootKeys, forgotten: full, clock: Date.now });
  await expect(forgetPatient(other, CLERK, PATIENT_ID)).rejects.toThrow('full');
  expect(await readResource(record, CLERK, REF)).toBeDefined();
});
