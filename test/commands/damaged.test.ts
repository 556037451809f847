// doctor and audit verify --bodies name what is stored but does not open, and fail for it.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, expect, it } from 'vitest';
import { openApp } from '../../src/app.ts';

import { runArtery } from './program.ts';

const folder = mkdtempSync(join(tmpdir(), 'artery-damaged-'));
const environment = {
  ...{ ARTERY_DATA_DIR: folder, ARTERY_LOG_LEVEL: 'silent' },
  ...{ ARTERY_HTTP_PORT: '0', ARTERY_ADT_PORT: '0', ARTERY_LAB_PORT: '0' },
};
const artery = (...argv: string[]) => runArtery(argv, { environment, openApp });

afterAll(() => rmSync(folder, { recursive: true, force: true }));

it('name damaged records, in text and as JSON', async () => {
  expect((await artery('token', 'create', '--scope', 'system/*.rs')).code).toBe(0);
  const well = await artery('audit', 'verify', '--bodies');
  expect(well.out).toMatch(/none is damaged/);
  expect(well.code).toBe(0);
  const doctor = await artery('doctor');
  expect(doctor.out).toMatch(/ok +stored records/);
  const db = new DatabaseSync(join(folder, 'store', 'artery.db'));
  db.exec("UPDATE audit SET entry = '{' WHERE seq = 1");
  db.close();
  const verified = await artery('audit', 'verify', '--bodies', '--json');
  expect(verified.code).toBe(1);
  expect(JSON.parse(verified.out).bodies).toMatchObject({ damaged: 1, names: ['audit entry 1'] });
  const ill = await artery('doctor');
  expect(ill.out).toMatch(/FAIL +damaged +audit entry 1/);
  expect(ill.code).toBe(1);
  const quick = await artery('doctor', '--no-bodies');
  expect(quick.out).not.toContain('stored records');
});
