// The merge table: what a mapped resource does to the stored one.
import { describe, expect, it } from 'vitest';
import { mergeResource } from '../../src/record/merge.ts';

interface Row {
  name: string;
  type?: string;
  stored: object;
  incoming: object;
  cleared?: string[];
  expected: object;
}

const ROWS: Row[] = [
  {
    name: 'keeps what the message does not value',
    stored: { gender: 'male', birthDate: '1970-01-01' },
    incoming: { gender: 'female' },
    expected: { gender: 'female', birthDate: '1970-01-01' },
  },
  {
    name: 'replaces a list whole',
    stored: { name: [{ family: 'A' }, { family: 'B' }] },
    incoming: { name: [{ family: 'C' }] },
    expected: { name: [{ family: 'C' }] },
  },
  {
    name: 'replaces a CodeableConcept whole',
    stored: { maritalStatus: { coding: [{ code: 'M' }], text: 'married' } },
    incoming: { maritalStatus: { coding: [{ code: 'S' }] } },
    expected: { maritalStatus: { coding: [{ code: 'S' }] } },
  },
  {
    name: 'removes what the message empties',
    stored: { maritalStatus: { text: 'x' }, gender: 'male' },
    incoming: {},
    cleared: ['maritalStatus'],
    expected: { gender: 'male' },
  },
  {
    name: 'does not remove what the same message values',
    stored: { telecom: [{ value: 'a' }] },
    incoming: { telecom: [{ value: 'b' }] },
    cleared: ['telecom'],
    expected: { telecom: [{ value: 'b' }] },
  },
  {
    name: 'merges a period one level deeper',
    type: 'Encounter',
    stored: { period: { start: '2020' } },
    incoming: { period: { end: '2021' } },
    expected: { period: { start: '2020', end: '2021' } },
  },
  {
    name: 'empties one end of a period (A13)',
    type: 'Encounter',
    stored: { status: 'finished', period: { start: '2020', end: '2021' } },
    incoming: { status: 'in-progress' },
    cleared: ['period.end'],
    expected: { status: 'in-progress', period: { start: '2020' } },
  },
  {
    name: 'drops an element whose last part was emptied',
    type: 'Encounter',
    stored: { period: { end: '2021' } },
    incoming: {},
    cleared: ['period.end'],
    expected: {},
  },
  {
    name: 'merges hospitalization',
    type: 'Encounter',
    stored: { hospitalization: { admitSource: { text: 'a' } } },
    incoming: { hospitalization: { dischargeDisposition: { text: 'b' } } },
    expected: {
      hospitalization: { admitSource: { text: 'a' }, dischargeDisposition: { text: 'b' } },
    },
  },
  {
    name: 'keeps only one type of a choice',
    stored: { deceasedBoolean: false },
    incoming: { deceasedDateTime: '2020-01-01' },
    expected: { deceasedDateTime: '2020-01-01' },
  },
  {
    name: 'keeps only one type of a value, its extension too',
    type: 'Observation',
    stored: { valueQuantity: { value: 1 }, _valueString: { id: 'x' }, status: 'final' },
    incoming: { valueString: 'positive' },
    expected: { status: 'final', valueString: 'positive' },
  },
  {
    name: 'empties a choice by its stem',
    stored: { deceasedDateTime: '2020' },
    incoming: {},
    cleared: ['deceased[x]'],
    expected: {},
  },
  {
    name: 'drops the extension of a replaced primitive',
    stored: { birthDate: '1970', _birthDate: { extension: [] } },
    incoming: { birthDate: '1971' },
    expected: { birthDate: '1971' },
  },
  {
    name: 'joins the links of merged patients (A40)',
    stored: { link: [{ other: { reference: 'Patient/a' }, type: 'replaces' }] },
    incoming: {
      link: [
        { other: { reference: 'Patient/a' }, type: 'replaces' },
        { other: { reference: 'Patient/b' }, type: 'replaces' },
      ],
    },
    expected: {
      link: [
        { other: { reference: 'Patient/a' }, type: 'replaces' },
        { other: { reference: 'Patient/b' }, type: 'replaces' },
      ],
    },
  },
  {
    name: 'ignores emptied paths that are not stored',
    stored: { gender: 'male' },
    incoming: {},
    cleared: ['period.end', 'photo'],
    expected: { gender: 'male' },
  },
];

describe('merge', () => {
  it.each(ROWS)('$name', ({ type = 'Patient', stored, incoming, cleared = [], expected }) => {
    const named = (content: object) => ({ resourceType: type, id: '1', ...content });
    const before = structuredClone(stored);
    const mapped = {
      resource: named(incoming),
      mode: 'merge',
      cleared,
      compartment: null,
    } as const;
    expect(mergeResource(named(stored), mapped)).toEqual(named(expected));
    expect(stored).toEqual(before);
  });

  it.each([
    ['merge', { a: 1, b: 2 }],
    ['replace', { b: 2 }],
    ['create-only', { a: 1 }],
  ] as const)('%s of one element onto another', (mode, expected) => {
    const named = (content: object) => ({ resourceType: 'Patient', id: '1', ...content });
    const mapped = { resource: named({ b: 2 }), mode, cleared: [], compartment: null };
    expect(mergeResource(named({ a: 1 }), mapped)).toEqual(named(expected));
    expect(mergeResource(undefined, mapped)).toEqual(named({ b: 2 }));
  });
});
