// The published schema of mapping files is that of the source, and lint looks where shape cannot.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { lintMaps } from '../../src/mapping/lint.ts';
import { publishedSchema } from '../../src/mapping/schema.ts';
import { formatFault } from '../../src/mapping/source.ts';
import { mustCompile, patientOf } from './build.ts';

describe('the published schema', () => {
  it('is the one that files are checked by', () => {
    const published = readFileSync('docs/reference/mapping.schema.json', 'utf8');
    expect(published).toBe(`${JSON.stringify(publishedSchema(), null, 2)}\n`);
  });
});

describe('lint', () => {
  const lint = (rows: string, more = {}) => {
    const maps = mustCompile(patientOf(rows, more)).sites.get('');
    return maps === undefined ? [] : lintMaps([maps]).map(formatFault);
  };

  it.each([
    ['- { from: PID-8, to: gender }', []],
    ['- { from: PID-8, to: "identifier[0].type.text" }', []],
    ['- { from: PID-8, to: "name[].given[]" }', []],
    ['- { from: PID-8, to: "_birthDate.extension(urn:a).valueDateTime" }', []],
    ['- { to: identifier, value: [{ value: x }] }', []],
    ['- { each: PID-8, to: "contact[]", rows: [{ from: PID-8, to: name.family }] }', []],
    ['- { from: PID-8, to: sex }', ['Patient has no element sex.']],
    ['- { from: PID-8, to: name.text }', ['Patient.name is a list: [] or [n] is missing.']],
    ['- { from: PID-8, to: "gender[]" }', ['Patient.gender is no list: [] is not meant.']],
    ['- { from: PID-8, to: "name[].first" }', ['HumanName has no element first.']],
    [
      '- { by: PID-1, from: PID-8, cases: { A: { to: deceasedString } } }',
      ['Patient has no element deceasedString.'],
    ],
    [
      '- { each: PID-8, to: "contact[]", rows: [{ from: PID-8, to: nick }] }',
      ['Patient.contact has no element nick.'],
    ],
  ])('of %s warns %j', (rows, expected) => {
    const texts = lint(rows).map((line) => line.replace(/^.*?\/to: /, ''));
    expect(texts).toEqual(expected);
  });

  it.each([
    ['- { from: PID-8, to: gender }\n- { from: PID-8, to: gender }', 'The same row stands above.'],
    ['- { to: active, value: true }\n- { from: PID-8, to: active, as: boolean }', 'always writes'],
    ['- { to: active, value: true }\n- { to: active, clear: true }', undefined],
    [
      '- { to: active, value: true, when: PID-8 valued }\n- { to: active, value: false }',
      undefined,
    ],
    ['- { to: text, value: { div: a } }\n- { to: text, value: { status: empty } }', undefined],
  ])('of %s says of the second row: %s', (rows, expected) => {
    const [line] = lint(rows).filter((found) => found.includes('/rows/1: '));
    if (expected === undefined) expect(line).toBeUndefined();
    else expect(line).toContain(expected);
  });

  it('names maps that nothing uses', () => {
    expect(lint('- { from: PID-8, to: gender }', { 'tables/T.yaml': 'codes: { A: b }' })).toEqual([
      'tables/T.yaml:1: No message map uses this map.',
    ]);
  });

  it('of the maps of this project finds no wrong target', async () => {
    const { loadMappings } = await import('../../src/mapping/load.ts');
    const { sites } = (await loadMappings('mappings')).set;
    expect(lintMaps([...sites.values()]).map(formatFault)).toEqual([]);
  });
});
