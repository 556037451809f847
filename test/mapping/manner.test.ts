// Rows that say how they meet what stands already: initial, union and adds; and what an emptied
// extension, a bare OID and a numeric range become.
import { describe, expect, it } from 'vitest';
import type { MappedResource } from '../../src/model/resource.ts';
import { adt, mapPatient, mustCompile, patientOf, run } from './build.ts';

/** How the Patient of one PID meets the stored one. */
function meets(rows: string, pid: string, map = ''): Partial<MappedResource> {
  const files = patientOf(rows);
  const { resources } = run(
    mustCompile({ ...files, 'messages/ADT_A01.yaml': `${files['messages/ADT_A01.yaml']}${map}` }),
    adt(...pid.split('\n')),
  );
  const { cleared = [], initial, union } = resources[0] ?? {};
  return { cleared, initial: initial ?? [], union: union ?? [] };
}

const NOTHING = { cleared: [], initial: [], union: [] };

describe('initial', () => {
  const rows = `
- { to: active, value: false, when: PID-30 = "Y" }
- { to: active, value: true, initial: true }`;

  it('names the element that only such a row wrote', () => {
    expect(meets(rows, 'PID|||1')).toEqual({ ...NOTHING, initial: ['active'] });
  });

  it('is silent when a row before it has written the element', () => {
    const pid = `PID|||1${'|'.repeat(27)}Y`;
    expect(meets(rows, pid)).toEqual(NOTHING);
  });

  it('is silent when the row wrote nothing', () => {
    expect(meets('- { from: PID-8, to: gender, as: code, initial: true }', 'PID|||1')).toEqual(
      NOTHING,
    );
  });

  it('yields to what another instance of the same key says for certain, in either order', () => {
    const map = `
  known:
    type: Patient
    at: OBX
    key: [[PID-3.1]]
    rows:
      - { from: OBX-1, to: gender, when: OBX-1 != "?" }
      - { to: gender, value: unknown, initial: true }`;
    const row = '- { to: gender, value: other, initial: true }';
    const files = patientOf(row);
    const set = mustCompile({
      ...files,
      'messages/ADT_A01.yaml': `${files['messages/ADT_A01.yaml']}${map}`,
    });
    const patientFor = (...segments: string[]) =>
      run(set, adt('PID|||1', ...segments)).resources[0];
    expect(patientFor('OBX|male')).toMatchObject({ resource: { gender: 'male' } });
    expect(patientFor('OBX|male')?.initial).toBeUndefined();
    expect(patientFor('OBX|male', 'OBX|?')).toMatchObject({ resource: { gender: 'male' } });
    expect(patientFor('OBX|male', 'OBX|?')?.initial).toBeUndefined();
    expect(patientFor('OBX|?')).toMatchObject({
      resource: { gender: 'other' },
      initial: ['gender'],
    });
  });

  it('is not told of resources that are not merged', () => {
    const set = mustCompile(
      Object.fromEntries(
        Object.entries(patientOf('- { to: active, value: true, initial: true }')).map(
          ([file, text]) => [file, text.replace('at: PID', 'at: PID\n    mode: create-only')],
        ),
      ),
    );
    expect(run(set, adt('PID|||1')).resources[0]?.initial).toBeUndefined();
  });
});

describe('union', () => {
  it('names the list that the row added to', () => {
    const rows = '- { from: PID-3, to: "identifier[].value", union: true }';
    expect(meets(rows, 'PID|||1~2')).toEqual({ ...NOTHING, union: ['identifier'] });
  });

  it('is silent when the row wrote nothing', () => {
    const rows = '- { to: "name[]", union: true, rows: [{ from: PID-5, to: family }] }';
    expect(meets(rows, 'PID|||1')).toEqual(NOTHING);
  });
});

describe('adds', () => {
  const rows = `
- { from: PID-7, to: "contact[0].name", as: Range }
- { from: PID-8, to: "contact[0].name.unit", adds: true }
- { from: PID-8, to: "contact[0].name.low.unit", when: PID-9 valued }
- { from: PID-9, to: "contact[0].name.low", as: Coding, table: T, adds: true }`;
  const more = { 'tables/T.yaml': 'unknown: pass\ncodes: { A: B }' };

  it('writes only onto what stands there', () => {
    expect(mapPatient(rows, 'PID|||1||||5-6|x|A', more)).toEqual({
      contact: [{ name: { low: { value: 5, unit: 'x', code: 'B' }, high: { value: 6 } } }],
    });
    expect(mapPatient(rows, 'PID|||1||||<6|x|', more)).toEqual({
      contact: [{ name: { high: { value: 6 } } }],
    });
  });
});

describe('an emptied extension', () => {
  const rows = `
- { from: PID-17, to: "extension(http://a.b/c).valueString" }
- { from: PID-6, to: "extension(urn:d).extension(e).valueString" }
- { from: PID-5, to: "extension(urn:d).extension(f).valueString" }`;

  it('is cleared by its url', () => {
    const pid = 'PID|||1|||""|||||||||||""';
    expect(meets(rows, pid).cleared).toEqual(['extension(http://a.b/c)', 'extension(urn:d)']);
  });

  it('is not cleared when another row values a part of it', () => {
    expect(meets(rows, 'PID|||1||x|""').cleared).toEqual([]);
  });
});

describe('a numeric range', () => {
  it.each([
    ['12.0-16.0', { low: { value: 12 }, high: { value: 16 } }],
    [' 3.5 - 5.1 ', { low: { value: 3.5 }, high: { value: 5.1 } }],
    ['-5--2', { low: { value: -5 }, high: { value: -2 } }],
    ['<5', { high: { value: 5 } }],
    ['<= 5', { high: { value: 5 } }],
    ['>=3.5', { low: { value: 3.5 } }],
    ['> 3.5', { low: { value: 3.5 } }],
    ['5-2', undefined],
    ['negative', undefined],
    ['1-2-3', undefined],
    ['1.2.3-4', undefined],
    ['<', undefined],
  ])('of %s is %j', (text, expected) => {
    const rows = '- { from: PID-8, to: range, as: Range }';
    const output = run(mustCompile(patientOf(rows)), adt(`PID|||1|||||${text}`));
    expect(output.resources[0]?.resource.range).toEqual(expected);
    expect(output.issues.filter(({ severity }) => severity !== 'information')).toEqual([]);
  });

  it('keeps the digits of its limits', () => {
    const rows = '- { from: PID-8, to: range, as: Range }';
    const text = JSON.stringify(mapPatient(rows, 'PID|||1|||||12.0-16.50'));
    expect(text).toBe('{"range":{"low":{"value":12.0},"high":{"value":16.50}}}');
  });
});

describe('a bare OID', () => {
  it.each([
    ['2.16.840.1.113883.6.1', 'urn:oid:2.16.840.1.113883.6.1'],
    ['1.2', '1.2'],
    ['3.1.2', '3.1.2'],
    ['1.02.3', '1.02.3'],
    ['http://loinc.org', 'http://loinc.org'],
  ])('%s as uri is %s', (text, expected) => {
    const pid = `PID|||1|||||${text}`;
    expect(mapPatient('- { from: PID-8, to: x, as: uri }', pid).x).toBe(expected);
    const table = { 'tables/T.yaml': 'unknown: pass\ncodes: { A: B }' };
    const rows = '- { from: PID-8, to: x, as: uri, table: T }';
    expect(mapPatient(rows, pid, table).x).toBe(expected);
  });

  it('gets its scheme once', () => {
    const rows = '- { from: PID-8, to: x, as: uri, prefix: "urn:oid:" }';
    expect(mapPatient(rows, 'PID|||1|||||1.2.3').x).toBe('urn:oid:1.2.3');
    expect(mapPatient(rows, 'PID|||1|||||1.2').x).toBe('urn:oid:1.2');
  });
});

describe('a required segment', () => {
  const required = (rule: string) => {
    const files = patientOf('- { from: PID-8, to: gender }');
    const text = `${files['messages/ADT_A01.yaml']}required: [${rule}]`;
    const set = mustCompile({ ...files, 'messages/ADT_A01.yaml': text });
    return (...segments: string[]) =>
      run(set, adt('PID|||1', ...segments)).issues.filter(({ code }) => code === 'incomplete');
  };

  it('is reported when it is missing, by its rule', () => {
    const issuesOf = required('{ field: PV1, severity: warning }');
    expect(issuesOf()).toMatchObject([{ severity: 'warning', at: 'PV1' }]);
    expect(issuesOf('PV1|1')).toEqual([]);
    expect(required('PV1')()).toMatchObject([{ severity: 'error', at: 'PV1' }]);
  });

  it('is not missed where its condition does not hold', () => {
    expect(required(`{ field: PV1, when: 'MSH-9.2 = "A03"' }`)()).toEqual([]);
  });
});
