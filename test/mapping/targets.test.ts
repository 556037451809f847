// A target is an element of what the row fills, and it is checked when the map is compiled.
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { openMappings } from '../../src/assembly/mappings.ts';
import { defaultLimits } from '../../src/config/limits.ts';
import { loadMappings } from '../../src/mapping/load.ts';
import { typeAt } from '../../src/mapping/target-type.ts';
import { newFolder, removeFolders } from '../support/folder.ts';

const LIMITS = defaultLimits();

afterAll(removeFolders);

/** The project's mappings with one overlay file of a site. */
function withOverlay(file: string, text: string): string {
  const dir = join(newFolder(), 'mappings');
  cpSync('mappings', dir, { recursive: true });
  const at = join(dir, 'sites', 'north', file);
  mkdirSync(join(at, '..'), { recursive: true });
  writeFileSync(at, text);
  return dir;
}

const overlay = (row: string) => `rows:\n  - ${row}\n`;

describe('a site overlay', () => {
  it.each([
    '{ from: PID-8, to: nosuch.thing }',
    '{ to: "contact[]", rows: [{ value: x, to: nosuch }] }',
  ])('with the row %s is a fault in its own file', async (row) => {
    const dir = withOverlay('segments/PID-Patient.yaml', overlay(row));
    const { faults, set } = await loadMappings(dir);
    const errors = faults.filter(({ severity }) => severity === 'error');
    expect(errors.map(({ file }) => file)).toContain('sites/north/segments/PID-Patient.yaml');
    expect(errors.some(({ text }) => text.includes('has no element'))).toBe(true);
    expect(set.sites.get('')?.broken.size).toBe(0);
    expect(set.sites.get('north')?.broken.has('ADT^A01')).toBe(true);
  });

  it('with rows of existing elements is none', async () => {
    const row = '{ value: x, to: "_birthDate.extension(http://x).valueString" }';
    const dir = withOverlay('segments/PID-Patient.yaml', overlay(row));
    expect((await loadMappings(dir)).faults).toEqual([]);
  });

  it('does not come into force with a fault, and the older maps stay', async () => {
    const dir = withOverlay('segments/PID-Patient.yaml', overlay('{ value: true, to: active }'));
    const mappings = await openMappings(dir, LIMITS);
    expect(mappings.first).toMatchObject({ faulty: false, problems: [] });
    const older = mappings.current;
    const file = join(dir, 'sites/north/segments/PID-Patient.yaml');
    writeFileSync(file, overlay('{ from: PID-8, to: nosuch.thing }'));
    const reloaded = await mappings.reload();
    expect(reloaded.problems.length).toBeGreaterThan(0);
    expect(reloaded.faulty).toBe(false);
    expect(mappings.current).toBe(older);
  });

  it('whose own example gives another result does not come into force', async () => {
    const dir = withOverlay('segments/PID-Patient.yaml', overlay('{ value: true, to: active }'));
    const mappings = await openMappings(dir, LIMITS);
    const folder = join(dir, 'sites/north/examples/ADT_A01');
    mkdirSync(folder, { recursive: true });
    const text = 'MSH|^~\\&|A|B|||20260131||ADT^A01^ADT_A01|1|P|2.5.1\rEVN||20260131\rPID|1||7\r';
    writeFileSync(join(folder, 'one.hl7'), `${text}PV1|1|I\r`);
    writeFileSync(join(folder, 'one.expected.json'), '[]\n');
    const { problems } = await mappings.reload();
    expect(problems).toHaveLength(1);
    expect(problems[0]?.file).toBe('sites/north/examples/ADT_A01/one.expected.json');
  });

  it('that is wrong at the first load is told as such', async () => {
    const row = overlay('{ from: PID-8, to: nosuch.thing }');
    const mappings = await openMappings(withOverlay('segments/PID-Patient.yaml', row), LIMITS);
    expect(mappings.first.faulty).toBe(true);
    expect(mappings.first.types.get('north')?.broken.has('ADT^A01')).toBe(true);
    expect(mappings.first.types.get('')?.served.has('ADT^A01')).toBe(true);
  });
});

describe('the type at a target', () => {
  it.each([
    ['Patient', 'name.family', 'string'],
    ['Patient', 'contact.name.family', 'string'],
    ['Patient', 'contained.anything', ''],
    ['HumanName', '', 'HumanName'],
    ['Observation', 'valueQuantity.value', 'decimal'],
  ])('of %s %s is %s', (root, path, type) => {
    expect(typeAt(root, path === '' ? [] : path.split('.'))).toEqual({ type });
  });

  it.each([
    ['name.nosuch', 'nosuch'],
    ['extension.valueNothing', 'valueNothing'],
    ['contact.name.first', 'first'],
    ['deceased', 'deceased'],
    ['_name', '_name'],
    ['birthDate.year', 'year'],
    ['toString', 'toString'],
    ['name.constructor', 'constructor'],
  ])('of Patient %s is not known: %s', (path, unknown) => {
    expect(typeAt('Patient', path.split('.'))).toMatchObject({ unknown });
  });

  it('knows a choice as a whole only where one is allowed', () => {
    expect(typeAt('Observation', ['value'])).toEqual({ unknown: 'value', of: 'Observation' });
    expect(typeAt('Observation', ['value'], true)).toEqual({ type: '' });
  });
});
