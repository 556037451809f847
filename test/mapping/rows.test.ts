// What each form of a row writes: copies, lists, tables, choices, blocks, constants.
import { describe, expect, it } from 'vitest';
import { adt, mapPatient, mustCompile, patientOf, run } from './build.ts';

const CWE = `
datatype: CWE
yields: CodeableConcept
rows:
  - { from: CWE.1, to: "coding[0].code" }
  - { from: CWE.2, to: "coding[0].display" }
  - { from: CWE.3, to: "coding[0].system", prefix: "urn:" }
  - { from: CWE.4, to: "coding[1].code" }
  - { from: CWE.9, to: text }
`;
const SEX = `
system: urn:target
source: urn:source
codes: { F: female, M: { code: male, display: Male }, X: { ignore: no counterpart }, 1: one }
`;
const WITH = { 'datatypes/CWE.yaml': CWE, 'tables/SEX.yaml': SEX };

function check(rows: string, pid: string, expected: Record<string, unknown>): void {
  expect(mapPatient(rows, pid, WITH)).toEqual(expected);
}

describe('a copy row', () => {
  it.each([
    ['- { from: PID-8, to: gender }', 'PID|||k|||||F', { gender: 'F' }],
    ['- { from: PID-8, to: gender }', 'PID|||k', {}],
    ['- { from: PID-8, to: gender }', 'PID|||k|||||^^', {}],
    ['- { from: PID-8, to: a.b.c }', 'PID|||k|||||F', { a: { b: { c: 'F' } } }],
    ['- { from: PID-8, to: "x[]" }', 'PID|||k|||||F~~M', { x: ['F', 'M'] }],
    ['- { from: PID-8, to: x }', 'PID|||k|||||~M', { x: 'M' }],
    ['- { from: "PID-8[1]", to: x }', 'PID|||k|||||F~M', { x: 'M' }],
    ['- { from: PID-8.2, to: "x[]" }', 'PID|||k|||||a^b~c^d', { x: ['b', 'd'] }],
    ['- { from: PID-8.1.2, to: x }', 'PID|||k|||||a&b^c', { x: 'b' }],
    ['- { from: [PID-9, PID-8], to: x }', 'PID|||k|||||F', { x: 'F' }],
    ['- { from: [PID-8, PID-9], to: x }', 'PID|||k|||||F|G', { x: 'F' }],
    ['- { from: [PID-8, PID-9], to: "x[]" }', 'PID|||k|||||F|G', { x: ['F', 'G'] }],
    ['- { from: [PID-8, PID-9], to: x, join: "-" }', 'PID|||k|||||F~E|G', { x: 'F-E-G' }],
    ['- { from: [PID-8, PID-9], to: x, join: " ", prefix: "+" }', 'PID|||k|||||1|2', { x: '+1 2' }],
    ['- { from: PID-8, to: x, prefix: "urn:" }', 'PID|||k|||||a', { x: 'urn:a' }],
    ['- { from: PID-8, to: "x[1].y" }', 'PID|||k|||||a', { x: [{ y: 'a' }] }],
    ['- { from: PID-8, to: x }', 'PID|||k|||||a\\T\\b\\.br\\c', { x: 'a&b\nc' }],
    ['- { from: MSH-9.2, to: x }', 'PID|||k', { x: 'A01' }],
  ])('%s of %s', check);

  it('keeps the first value of a target', () => {
    check('- { from: PID-8, to: x }\n- { from: PID-9, to: x }', 'PID|||k|||||a|b', { x: 'a' });
  });

  it('adds only what is missing when an object meets an object', () => {
    const rows = '- { from: PID-8, to: x.text }\n- { from: PID-9, to: x, using: CWE }';
    const coding = [{ code: 'c', display: 'd' }];
    check(rows, 'PID|||k|||||t|c^d^^^^^^^other', { x: { text: 't', coding } });
  });

  it('puts extensions of one url together, or appends when asked to', () => {
    const one = '- { from: PID-8, to: "extension(urn:a).valueString" }';
    const two = '- { from: PID-9, to: "extension(urn:a)[].valueString" }';
    check(`${one}\n${two}`, 'PID|||k|||||a|b', {
      extension: [
        { url: 'urn:a', valueString: 'a' },
        { url: 'urn:a', valueString: 'b' },
      ],
    });
  });

  it('closes the gaps that numbered elements leave', () => {
    check('- { from: PID-8, to: x, using: CWE }', 'PID|||k|||||^^^second', {
      x: { coding: [{ code: 'second' }] },
    });
  });

  it('keeps the digits of a decimal in the JSON', () => {
    const set = mustCompile(patientOf('- { from: PID-8, to: q.value, as: decimal }'));
    const output = run(set, adt('PID|||k|||||4.00'));
    expect(JSON.stringify(output.resources[0]?.resource)).toContain('"q":{"value":4.00}');
  });

  it('reports a value that cannot be converted and writes nothing', () => {
    const set = mustCompile(patientOf('- { from: "PID-8", to: "x[]", as: date }'));
    const output = run(set, adt('PID|||k|||||2024~2024013'));
    expect(output.resources[0]?.resource.x).toEqual(['2024']);
    expect(output.issues).toMatchObject([{ severity: 'warning', at: 'PID-8[1]', code: 'value' }]);
  });
});

describe('a table', () => {
  const concept = '- { from: PID-8, to: x, using: CWE, table: SEX }';
  const female = { system: 'urn:target', code: 'female' };
  it.each([
    ['- { from: PID-8, to: x, table: SEX }', 'PID|||k|||||F', { x: 'female' }],
    ['- { from: PID-8, to: x, table: SEX }', 'PID|||k|||||f', { x: 'female' }],
    ['- { from: PID-8, to: x, table: SEX }', 'PID|||k|||||1', { x: 'one' }],
    ['- { from: PID-8, to: x, table: SEX }', 'PID|||k|||||Q', {}],
    ['- { from: PID-8, to: x, table: SEX }', 'PID|||k|||||X', {}],
    ['- { from: PID-8, to: x, table: SEX, unknown: pass }', 'PID|||k|||||Q', { x: 'Q' }],
    [
      '- { from: PID-8, to: x, table: SEX, unknown: { code: other } }',
      'PID|||k|||||Q',
      { x: 'other' },
    ],
    ['- { from: PID-8, to: x, as: Coding, table: SEX }', 'PID|||k|||||F', { x: female }],
    [
      '- { from: PID-8, to: x, as: CodeableConcept, table: SEX }',
      'PID|||k|||||F',
      { x: { coding: [female, { system: 'urn:source', code: 'F' }] } },
    ],
    [
      concept,
      'PID|||k|||||F^Female',
      { x: { coding: [female, { code: 'F', display: 'Female', system: 'urn:source' }] } },
    ],
    [
      concept,
      'PID|||k|||||Q^Queer^L',
      { x: { coding: [{ code: 'Q', display: 'Queer', system: 'urn:L' }] } },
    ],
    [concept, 'PID|||k|||||^^^^^^^^words', { x: { text: 'words' } }],
  ])('%s of %s', check);

  it('warns of a code that it does not have, once per place', () => {
    const set = mustCompile(
      patientOf('- { from: PID-8, to: "x[]", using: CWE, table: SEX }', WITH),
    );
    const output = run(set, adt('PID|||k|||||Q~F~Q'));
    expect(output.issues).toMatchObject([
      { severity: 'warning', code: 'code-invalid', at: 'PID-8' },
      { severity: 'warning', code: 'code-invalid', at: 'PID-8[2]' },
    ]);
  });

  it('sets the message aside when the row says so', () => {
    const rows = '- { from: PID-8, to: x, table: SEX, unknown: error }';
    const output = run(mustCompile(patientOf(rows, WITH)), adt('PID|||k|||||Q'));
    expect(output.resources).toEqual([]);
    expect(output.issues).toMatchObject([{ severity: 'error', at: 'PID-8' }]);
  });

  it('replaces digits of a pattern and falls back to the star', () => {
    const tables = {
      'tables/SYS.yaml':
        'codes: { LN: urn:loinc, "HL7####": { code: "urn:v2-####" }, "*": { code: urn:other } }',
    };
    const rows = '- { from: PID-8, to: "x[]", as: uri, table: SYS }';
    expect(mapPatient(rows, 'PID|||k|||||LN~HL70070~HL7007', tables)).toEqual({
      x: ['urn:loinc', 'urn:v2-0070', 'urn:other'],
    });
  });
});

describe('a choice', () => {
  const rows = `
- by: PID-2
  from: PID-8
  cases:
    NM: [{ to: q.value, as: decimal }, { from: PID-9, to: q.unit }]
    TX: { to: s, join: "|" }
    OFF: { ignore: not wanted }
`;
  it.each([
    ['PID||NM|k|||||5|mg', { q: { value: 5, unit: 'mg' } }],
    ['PID||TX|k|||||a~b|mg', { s: 'a|b' }],
    ['PID||OFF|k|||||a', {}],
    ['PID||ZZ|k|||||a', {}],
    ['PID|||k|||||a', {}],
  ])('of %s', (pid, expected) => check(rows, pid, expected));
});

describe('a block', () => {
  const rows = `
- each: PID-8
  to: "x[]"
  rows:
    - { from: PID-8, to: whole, using: CWE }
    - { from: PID-8.2, to: second }
    - { from: PID-9, to: other }
    - { to: role, value: { code: r } }
`;
  it('is made once per valued repetition, constants with it', () => {
    check(rows, 'PID|||k|||||a^b~~c', {
      x: [
        { whole: { coding: [{ code: 'a', display: 'b' }] }, second: 'b', role: { code: 'r' } },
        { whole: { coding: [{ code: 'c' }] }, role: { code: 'r' } },
      ],
    });
  });

  it('is not made when only constants would stand in it', () => {
    const constant = '- { to: "x[]", rows: [{ to: a, value: 1 }, { from: PID-8, to: b }] }';
    check(constant, 'PID|||k', {});
    check(constant, 'PID|||k|||||v', { x: [{ a: 1, b: 'v' }] });
  });

  it('gives each element its own copy of a constant', () => {
    const set = mustCompile(patientOf(rows, WITH));
    const made = run(set, adt('PID|||k|||||a~b')).resources[0]?.resource.x;
    const [first, second] = (made ?? []) as { role: object }[];
    expect(first?.role).toEqual(second?.role);
    expect(first?.role).not.toBe(second?.role);
  });
});

describe('null', () => {
  const cleared = (rows: string, pid: string) =>
    run(mustCompile(patientOf(rows, WITH)), adt(pid)).resources[0]?.cleared;
  it.each([
    ['- { from: PID-8, to: gender }', 'PID|||k|||||""', ['gender']],
    ['- { from: PID-8, to: gender }', 'PID|||k|||||', []],
    ['- { from: PID-8, to: "telecom[]" }', 'PID|||k|||||""', ['telecom']],
    ['- { from: PID-8, to: period.end }', 'PID|||k|||||""', ['period.end']],
    ['- { from: PID-8, to: "name[0].family" }', 'PID|||k|||||""', ['name']],
    ['- { from: PID-8, to: x, using: CWE }', 'PID|||k|||||""', ['x']],
    ['- { from: PID-8, to: x, using: CWE }', 'PID|||k|||||a^""', []],
    ['- { from: PID-8, to: x }\n- { from: PID-9, to: x }', 'PID|||k|||||""|v', []],
    ['- { each: PID-8, to: "x[]", rows: [{ from: PID-8, to: y }] }', 'PID|||k|||||""', ['x']],
    ['- { to: period.end, clear: true, when: PID-9 valued }', 'PID|||k||||||v', ['period.end']],
    ['- { to: period.end, clear: true, when: PID-9 valued }', 'PID|||k', []],
  ])('%s of %s clears %j', (rows, pid, expected) => {
    expect(cleared(rows, pid)).toEqual(expected);
  });

  it('clears nothing in a mode other than merge', () => {
    const files = patientOf('- { from: PID-8, to: gender }');
    const message = 'messages/ADT_A01.yaml';
    const set = mustCompile({
      ...files,
      [message]: files[message]?.replace('at: PID\n', 'at: PID\n    mode: create-only\n') ?? '',
    });
    expect(run(set, adt('PID|||k|||||""')).resources[0]).toMatchObject({
      mode: 'create-only',
      cleared: [],
    });
  });
});
