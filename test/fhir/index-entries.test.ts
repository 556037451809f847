// What the index is told of a resource: exactly which entries, and how many at most.
import { describe, expect, it } from 'vitest';
import { INDEX_ENTRIES_MAX, type IndexEntry, indexEntries } from '../../src/fhir/index-entries.ts';
import { observation, patient } from './samples.ts';

const show = (entry: IndexEntry): string =>
  entry.kind === 'token'
    ? `${entry.param} = ${entry.value}`
    : `${entry.param} in ${entry.low}..${entry.high}`;

describe('indexEntries', () => {
  it('of a laboratory result', () => {
    const at = Date.parse('2024-03-05T09:30:00Z');
    expect(indexEntries(observation()).map(show).sort()).toEqual([
      'category = http://example.org/cat|laboratory',
      'category = laboratory',
      'code = 718-7',
      'code = http://loinc.org|718-7',
      `date in ${at}..${at + 999}`,
      'encounter = Encounter/e1',
      'performer = Practitioner/d1',
      'status = final',
      'subject = Patient/p1',
      'value-quantity in 13.5..13.5',
    ]);
  });

  it('of a name: prefixes of each word, and the exact text', () => {
    const resource = { resourceType: 'Patient', name: [{ family: 'Öz', text: 'Öz the 2nd' }] };
    const names = indexEntries(resource).filter(({ param }) => param.startsWith('name'));
    expect(names.map(show)).toEqual([
      'name.family = o',
      'name.family = oz',
      'name.family:exact = Öz',
      'name = t',
      'name = th',
      'name = the',
      'name = 2',
      'name = 2n',
      'name = 2nd',
      'name:exact = Öz the 2nd',
    ]);
  });

  it('of a birth date: blind buckets, no range', () => {
    const of = (birthDate: string) =>
      indexEntries({ resourceType: 'Patient', birthDate }).map(show).slice(0, -1);
    const buckets = (values: string[]) => values.map((value) => `birthdate = ${value}`);
    expect(of('1980-02-29')).toEqual(buckets(['198', '1980', '1980-02', '1980-02-29']));
    expect(of('1980-02')).toEqual(buckets(['198', '1980', '1980-02', '1980-02~']));
    expect(of('1980')).toEqual(buckets(['198', '1980', '1980~']));
    expect(of('1799')).toEqual(buckets(['<', '1799', '1799~']));
  });

  it('has few entries for what comes most', () => {
    expect(indexEntries(patient()).length).toBeLessThan(90);
    expect(indexEntries(observation()).length).toBeLessThan(15);
  });

  it('has no entry twice, and the same order every time', () => {
    const twice = patient({ name: [...(patient().name as []), ...(patient().name as [])] });
    const entries = indexEntries(twice).map(show);
    expect(entries).toEqual(indexEntries(patient()).map(show));
    expect(new Set(entries).size).toBe(entries.length);
  });

  it('is bounded', () => {
    const identifier = Array.from({ length: INDEX_ENTRIES_MAX }, (_, i) => ({ value: `v${i}` }));
    expect(indexEntries(patient({ identifier }))).toHaveLength(INDEX_ENTRIES_MAX);
  });

  it('does not stumble over data of a wrong shape', () => {
    const odd = { name: ['x', null, 7], identifier: [null, { value: 7 }], birthDate: 7 };
    expect(() => indexEntries(patient({ ...odd, address: 'x', telecom: {} }))).not.toThrow();
  });
});
