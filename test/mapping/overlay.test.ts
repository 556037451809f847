// Sites and `extends`: maps changed by key, never forked; faults stand in the file that has them.
import { describe, expect, it } from 'vitest';
import { adt, compile, type Files, mustCompile, patientOf, run } from './build.ts';

const FILES: Files = patientOf(
  `
- { from: PID-8, to: gender, table: SEX }
- { from: PID-9, to: second }
- { id: named, from: PID-10, to: third }`,
  { 'tables/SEX.yaml': 'codes: { F: female, M: male }' },
);
const PID = 'PID|||k|||||F|two|three|four';

function atSite(files: Files): Record<string, unknown> | undefined {
  const set = mustCompile({ ...FILES, ...files });
  return run(set, adt(PID), { site: 'north' }).resources[0]?.resource;
}

const ROWS = 'sites/north/segments/PID-Patient.yaml';

describe('a site', () => {
  it('replaces a row of the same key in place and appends new ones', () => {
    const rows = '- { from: PID-9, to: second, prefix: "x" }\n  - { from: PID-11, to: fourth }';
    const patient = atSite({ [ROWS]: `rows:\n  ${rows}` });
    expect(Object.entries(patient ?? {}).slice(2)).toEqual([
      ['gender', 'female'],
      ['second', 'xtwo'],
      ['third', 'three'],
      ['fourth', 'four'],
    ]);
  });

  it('removes rows by key', () => {
    const rows = '[{ id: named, remove: true }, { id: "PID-9 > second", remove: true }]';
    const patient = atSite({ [ROWS]: `rows: ${rows}` });
    expect(Object.keys(patient ?? {}).slice(2)).toEqual(['gender']);
  });

  it('changes single codes of a table', () => {
    const patient = atSite({ 'sites/north/tables/SEX.yaml': 'codes: { F: femme, M: null }' });
    expect(patient?.gender).toBe('femme');
  });

  it('changes single instances of a message map', () => {
    const message =
      'resources: { patient: { type: Patient, at: PID, key: [[PID-3.1]], mode: replace } }';
    const set = mustCompile({ ...FILES, 'sites/north/messages/ADT_A01.yaml': message });
    expect(run(set, adt(PID), { site: 'north' }).resources[0]?.mode).toBe('replace');
    expect(run(set, adt(PID)).resources[0]?.mode).toBe('merge');
  });

  it('may bring maps of its own', () => {
    const own = 'events: [ADT^A02]\nstructure: MSH\nresources: {}';
    const { set } = compile({ ...FILES, 'sites/north/messages/OWN.yaml': own });
    expect(set.sites.get('north')?.events.has('ADT^A02')).toBe(true);
    expect(set.sites.get('')?.events.has('ADT^A02')).toBe(false);
  });

  it('has another hash where its maps differ', () => {
    const set = mustCompile({ ...FILES, [ROWS]: 'rows: [{ from: PID-11, to: fourth }]' });
    const hashes = ['', 'north'].map((site) => run(set, adt(PID), { site }).mapHash);
    expect(new Set(hashes).size).toBe(2);
  });

  it.each([
    ['rows: [{ id: none, remove: true }]', 'PID-Patient.yaml:1: /rows/0: There is no row "none".'],
    ['rows:\n  - { from: PID-9, to: second, as: nonsense }', 'PID-Patient.yaml:2: /rows/0/as'],
  ])('is refused with the place in its own file: %s', (text, expected) => {
    const { set, faults } = compile({ ...FILES, [ROWS]: text });
    expect(faults.join('\n')).toContain(`sites/north/segments/${expected}`);
    expect(run(set, adt(PID)).resources).not.toEqual([]);
  });

  it('that is not there is a fault of the message, not a silent default', () => {
    const output = run(mustCompile(FILES), adt(PID), { site: 'south' });
    expect(output.issues).toMatchObject([{ severity: 'error', at: 'channel.site' }]);
  });
});

describe('extends', () => {
  const discharge = (more: string) => ({
    ...FILES,
    'messages/ADT_A03.yaml': `
extends: ADT_A01
events: [ADT^A03]
structure: MSH [PID] [ZZZ]
${more}`,
  });
  const a03 = adt(PID).replace('ADT^A01', 'ADT^A03');

  it('takes over what the other map has', () => {
    const output = run(mustCompile(discharge('')), a03);
    expect(output.resources[0]?.resource).toMatchObject({ resourceType: 'Patient', second: 'two' });
  });

  it('replaces or removes instances by name', () => {
    const set = mustCompile(discharge('resources: { patient: null }'));
    expect(run(set, a03).resources).toEqual([]);
  });

  it.each([
    ['extends: NONE', 'There is no message map NONE to extend.'],
    ['extends: ADT_A03', 'There is no message map ADT_A03 to extend.'],
  ])('%s is refused', (line, expected) => {
    const files = discharge('');
    const text = files['messages/ADT_A03.yaml'].replace('extends: ADT_A01', line);
    const { faults } = compile({ ...files, 'messages/ADT_A03.yaml': text });
    expect(faults.join('\n')).toContain(expected);
  });
});
