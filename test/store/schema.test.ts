// Older folders are brought up to date, newer ones refused, backups checked.
import { closeSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { checkBackup } from '../../src/store/sqlite/backup.ts';
import { DATABASE_FILE, openWriter } from '../../src/store/sqlite/connection.ts';
import { commitGroup } from '../../src/store/sqlite/group-commit.ts';
import { openSqliteStore } from '../../src/store/sqlite/open.ts';
import { migrate, SCHEMA_VERSION, schemaVersion } from '../../src/store/sqlite/schema.ts';
import { WriterState } from '../../src/store/sqlite/writer-state.ts';
import { message, resource, token, writing } from '../support/store-units.ts';
import { temporaryFolder } from './folder.ts';

const TUNING = { checkpointPages: 1000, pagesMax: 0 };
const files = temporaryFolder();
afterAll(() => files.remove());

it('brings a folder of version 1 up to date and keeps what is in it', async () => {
  const folder = files.path('old');
  const old = openWriter(folder, TUNING);
  migrate(old, 1);
  expect(schemaVersion(old)).toBe(1);
  const unit = writing('t', resource('p1', { tokens: [token('x')] }));
  const aside = message({ id: 'm1', state: 'set-aside' });
  const [outcome] = commitGroup(new WriterState(old), [{ ...unit, intake: [aside] }]);
  expect(outcome?.kind).toBe('done');
  old.close();

  const store = await openSqliteStore({ folder });
  expect((await store.resources.read('t', { type: 'Patient', id: 'p1' }))?.version).toBe(1);
  expect(await store.intake.list('t', { state: 'set-aside' }, 9)).toHaveLength(1);
  await store.commit(writing('t', resource('p2')));
  await store.close();
  const opened = openWriter(folder, TUNING);
  expect(schemaVersion(opened)).toBe(SCHEMA_VERSION);
  opened.close();
});

it('refuses a folder of a newer version and leaves it as it was', async () => {
  const folder = files.path('new');
  await (await openSqliteStore({ folder })).close();
  const db = openWriter(folder, TUNING);
  db.run('INSERT INTO schema_versions VALUES (?, 0)', SCHEMA_VERSION + 1);
  db.close();
  await expect(openSqliteStore({ folder })).rejects.toMatchObject({ code: 'STORE_NEWER' });
  await expect(checkBackup(folder)).rejects.toMatchObject({ code: 'STORE_NEWER' });
});

it('leaves no half of a migration that fails', () => {
  const db = openWriter(files.path('half'), TUNING);
  migrate(db, 1);
  db.exec('CREATE TABLE intake_set_aside (x)');
  expect(() => migrate(db)).toThrow();
  expect(schemaVersion(db)).toBe(1);
  db.exec('DROP TABLE intake_set_aside');
  migrate(db);
  expect(schemaVersion(db)).toBe(SCHEMA_VERSION);
  db.close();
});

it('tells a sound backup from a damaged one, from another file and from none', async () => {
  const store = await openSqliteStore({ folder: files.path('source') });
  const rows = Array.from({ length: 200 }, (_, n) => resource(`p${n}`, { tokens: [token('x')] }));
  await store.commit(writing('t', ...rows));
  await store.backup(files.path('sound'));
  await store.backup(files.path('damaged'));
  await store.close();
  await expect(checkBackup(files.path('sound'))).resolves.toBeUndefined();
  const file = openSync(join(files.path('damaged'), DATABASE_FILE), 'r+');
  for (let page = 2; page < 12; page++)
    writeSync(file, Buffer.alloc(2000, 0x5a), 0, 2000, page * 4096);
  closeSync(file);
  await expect(checkBackup(files.path('damaged'))).rejects.toMatchObject({ code: 'STORE_CORRUPT' });
  await expect(checkBackup(files.path('none'))).rejects.toMatchObject({ code: 'NOT_FOUND' });
});

it('refuses a folder whose file is not a database', async () => {
  const folder = files.path('nonsense');
  await (await openSqliteStore({ folder })).close();
  const file = openSync(join(folder, DATABASE_FILE), 'r+');
  writeSync(file, Buffer.alloc(8192, 0x41), 0, 8192, 0);
  closeSync(file);
  await expect(openSqliteStore({ folder })).rejects.toMatchObject({ code: 'STORE_CORRUPT' });
});
