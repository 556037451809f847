// What is refused when maps are loaded: every fault with file, line and place; the rest still runs.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { loadMappings } from '../../src/mapping/load.ts';
import { formatFault } from '../../src/mapping/source.ts';
import { adt, compile, type Files, patientOf, run } from './build.ts';

/** Faults of the segment map with these rows, without those of the map that uses it. */
function faultsOf(rows: string, more: Files = {}): string[] {
  return compile(patientOf(rows, more)).faults.filter((line) => !line.includes('messages/'));
}

describe('a row is refused', () => {
  it.each([
    ['- { from: PID-8, to: x, usign: CX }', ':4: /rows/0/usign: Unknown name; known are'],
    ['- { from: PID-8 }', ':4: /rows/0/to: "undefined" is not a target element.'],
    ['- { to: x }', ':4: /rows/0: The row needs from.'],
    ['- { from: PDI.8.x, to: x }', ':4: /rows/0/from: "PDI.8.x" is not a path such as PID-3.1.'],
    ['- { from: CX.1, to: x }', '"CX.1" is not a path such as PID-3.1.'],
    ['- { from: PID, to: x }', '"PID" is not a path'],
    ['- { from: PID-8, to: "x[" }', ':4: /rows/0/to: "x[" is not a target element.'],
    ['- { from: PID-8, to: "9x" }', 'is not a target element.'],
    ['- { from: PID-8, to: x.. }', 'is not a target element.'],
    [
      '- { from: PID-8, to: x, using: NONE }',
      '/rows/0/using: There is no sound datatype map NONE.',
    ],
    ['- { from: PID-8, to: x, table: NONE }', '/rows/0/table: There is no sound table NONE.'],
    ['- { from: PID-8, to: x, as: number }', '/rows/0/as: "number" is not one of string, markdown'],
    ['- { from: PID-8, to: x, as: Coding }', '/rows/0/as: "Coding" is not one of'],
    ['- { from: PID-8, to: x, when: PID-9 }', ':4: /rows/0/when: The condition ends where'],
    ['- { from: PID-8, to: x, when: CX.1 valued }', '/rows/0/when: "CX.1" is not a path'],
    ['- { from: PID-8, to: x, expr: "$sum(1)" }', '/rows/0/expr: expr: computations are not part'],
    ['- { value: 1, ref: a, to: x }', '/rows/0: A row has one form, not both ref and value.'],
    ['- { to: gender, value: x, union: true }', '/rows/0/union: Only a list can be added to.'],
    ['- { from: PID-8, ignore: x, initial: true }', 'The row has no target of its own.'],
    ['- { to: gender, clear: true, initial: true }', 'A row that clears writes nothing.'],
    [
      '- { to: "name[]", rows: [{ from: PID-5, to: family, initial: true }] }',
      '/rows/0/rows/0/initial: Only rows of the resource itself',
    ],
    ['- { from: PID-5, to: "name[]", adds: true }', 'A target with [] is always new.'],
    ['- { from: PID-8, to: gender, initial: false }', '/rows/0/initial: Expected one of true'],
    ['- PID-8', ':4: /rows/0: Expected a row, found "PID-8".'],
    ['\n\n- { from: [], to: x }', ':6: /rows/0/from: At least 1 is needed.'],
    ['- from: PID-8\n  to: x\n- from: PID-9\n  to: 5\n  ignore: x\n  when: (', ':9: /rows/1/when'],
  ])('%s', (rows, text) => {
    const [fault = 'none'] = faultsOf(rows);
    expect(fault).toContain('segments/PID-Patient.yaml');
    expect(fault).toContain(text);
  });
});

describe('a file is refused', () => {
  it.each([
    ['tables/T.yaml', 'codes: { A: {} }', 'tables/T.yaml:1: /codes/A: An entry needs code'],
    ['tables/T.yaml', 'code: { A: b }', 'tables/T.yaml:1: "codes" is missing.'],
    ['tables/T.yaml', '- a', 'tables/T.yaml:1: A mapping file is a YAML map'],
    ['tables/T.yaml', 'codes: { A: b', 'tables/T.yaml:1: '],
    ['tables/T.yaml', 'codes:\n  A: b\n  A: c', 'tables/T.yaml:3: Map keys must be unique'],
    [
      'datatypes/D.yaml',
      'datatype: CX\nyields: Identifier',
      'datatypes/D.yaml:1: "rows" is missing.',
    ],
    [
      'datatypes/D.yaml',
      'datatype: CX\nyields: Identifier\nrows:\n  - { from: CX, to: ., using: D }',
      'datatypes/D.yaml:4: /rows/0/using: There is no sound datatype map D.',
    ],
    [
      'messages/M.yaml',
      'events: [ADT^A02]\nstructure: MSH [PID\nresources: {}',
      'messages/M.yaml:2: /structure: Message structure, position',
    ],
    [
      'messages/M.yaml',
      'events: [ADT^A02]\nresources: {}',
      'needs events and structure, or record',
    ],
    [
      'messages/M.yaml',
      'record: r\nevents: [ADT^A02]\nresources: {}',
      'A record map has no events',
    ],
    [
      'messages/M.yaml',
      'events: [ADT^A01]\nstructure: MSH\nresources: {}',
      'ADT^A01 is served by ADT_A01 already.',
    ],
  ])('%s with %j', (file, text, expected) => {
    const { set, faults } = compile({ ...patientOf('- { from: PID-8, to: x }'), [file]: text });
    expect(faults.join('\n')).toContain(expected);
    expect(set.sites.get('')?.messages.has('ADT_A01')).toBe(true);
  });

  it.each([
    ['at: PID', 'at: ZZZ', '/resources/patient/at: The structure has no ZZZ.'],
    ['key: [[PID-3.1]]', 'key: [[key(other)]]', 'There is no instance named other.'],
    ['key: [[PID-3.1]]', 'key: [[nothing]]', '/resources/patient/key/0/0: "nothing" is not a path'],
    ['key: [[PID-3.1]]', 'key: []', '/resources/patient/key: At least 1 is needed.'],
    ['type: Patient', 'type: Person', 'PID-Patient makes a Patient, and this is a Person.'],
    ['maps: [PID-Patient]', 'maps: [NONE]', 'There is no sound segment map NONE.'],
    ['maps: [PID-Patient]', 'rows: [{ ref: visit, to: x }]', 'There is no instance named visit.'],
    [
      'maps: [PID-Patient]',
      'maps: [{ map: PID-Patient, at: PV1 }]',
      'PID-Patient is for segment PID.',
    ],
    ['maps: [PID-Patient]', 'mode: sometimes', 'Expected one of merge, create-only, replace'],
  ])('a message map with %s as %s', (from, to, expected) => {
    const files = patientOf('- { from: PID-8, to: x }');
    const text = files['messages/ADT_A01.yaml']?.replace(from, to) ?? '';
    const { set, faults } = compile({ ...files, 'messages/ADT_A01.yaml': text });
    expect(faults.join('\n')).toContain(expected);
    expect(set.sites.get('')?.messages.size).toBe(0);
  });

  it('for keys that need each other', () => {
    const message = `
events: [ADT^A01]
structure: MSH [PID] [PV1]
resources:
  a: { type: Patient, at: PID, key: [[key(b)]] }
  b: { type: Encounter, at: PV1, key: [[key(a)]] }
`;
    expect(compile({ 'messages/M.yaml': message }).faults.join()).toContain('in a circle');
  });
});

describe('a broken file', () => {
  it('takes with it only the message maps that need it', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'mappings-'));
    try {
      const files: Files = {
        ...patientOf('- { from: PID-8, to: gender, using: D }'),
        'datatypes/D.yaml':
          'datatype: ST\nyields: string\nrows: [{ from: ST, to: ., nonsense: 1 }]',
        'messages/OTHER.yaml':
          'events: [ADT^A02]\nstructure: MSH [PID]\n' +
          'resources: { p: { type: Patient, at: PID, key: [[PID-3]] } }',
        'tables/README.md': '#',
      };
      for (const [file, text] of Object.entries(files)) {
        await mkdir(join(dir, file, '..'), { recursive: true });
        await writeFile(join(dir, file), text);
      }
      const { set, faults } = await loadMappings(dir);
      expect(faults.map(formatFault).map((line) => line.split(' ')[0])).toEqual([
        'tables/README.md:',
        'datatypes/D.yaml:3:',
        'segments/PID-Patient.yaml:4:',
        'messages/ADT_A01.yaml:9:',
      ]);
      expect([...(set.sites.get('')?.messages.keys() ?? [])]).toEqual(['OTHER']);
      expect(run(set, adt('PID|||k')).issues[0]).toMatchObject({
        code: 'processing',
        text: expect.stringContaining('has a fault'),
      });
    } finally {
      await rm(dir, { recursive: true });
    }
  });

  it('is no fault of a folder that is not there', async () => {
    const { set, faults } = await loadMappings(join(tmpdir(), 'no-such-mappings-folder'));
    expect(faults).toEqual([]);
    expect(set.sites.get('')?.messages.size).toBe(0);
  });
});
