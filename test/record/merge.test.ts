// The merge table: what a mapped resource does to the stored one.
import { describe, expect, it } from 'vitest';
import { mergeResource } from '../../src/record/merge.ts';

interface Row {
  name: string;
  type?: string;
  stored: object;
  incoming: object;
  cleared?: string[];
  initial?: string[];
  union?: string[];
  expected: object;
}

const linkTo = (id: string, type = 'replaces') => ({ other: { reference: `Patient/${id}` }, type });
const extension = (url: string, valueString: string) => ({ url, valueString });

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
    name: 'adds the links of another merge (A40), each once',
    stored: { link: [linkTo('a')] },
    incoming: { link: [linkTo('b'), linkTo('a')] },
    union: ['link'],
    expected: { link: [linkTo('a'), linkTo('b')] },
  },
  {
    name: 'tells links of different types to one patient apart',
    stored: { link: [linkTo('a')] },
    incoming: { link: [linkTo('a', 'seealso')] },
    union: ['link'],
    expected: { link: [linkTo('a'), linkTo('a', 'seealso')] },
  },
  {
    name: 'replaces a list whose rows do not ask for a union',
    stored: { link: [linkTo('a')] },
    incoming: { link: [linkTo('b')] },
    expected: { link: [linkTo('b')] },
  },
  {
    name: 'adds the results of a correction, in the order of the first report',
    type: 'DiagnosticReport',
    stored: { result: [{ reference: 'Observation/1' }, { reference: 'Observation/2' }] },
    incoming: {
      result: [{ reference: 'Observation/3' }, { reference: 'Observation/2', display: 'K' }],
    },
    union: ['result'],
    expected: {
      result: [
        { reference: 'Observation/1' },
        { reference: 'Observation/2', display: 'K' },
        { reference: 'Observation/3' },
      ],
    },
  },
  {
    name: 'takes a diagnosis of the same condition and use as the same',
    type: 'Encounter',
    stored: { diagnosis: [{ condition: { reference: 'Condition/1' }, rank: 1 }] },
    incoming: { diagnosis: [{ rank: 2, condition: { reference: 'Condition/1' } }] },
    union: ['diagnosis'],
    expected: { diagnosis: [{ rank: 2, condition: { reference: 'Condition/1' } }] },
  },
  {
    name: 'adds values that are no references unless they are equal',
    stored: { name: [{ family: 'A', use: 'official' }] },
    incoming: { name: [{ use: 'official', family: 'A' }, { family: 'B' }] },
    union: ['name'],
    expected: { name: [{ family: 'A', use: 'official' }, { family: 'B' }] },
  },
  {
    name: 'writes an initial element where there is none',
    type: 'Encounter',
    stored: { class: { code: 'IMP' } },
    incoming: { status: 'in-progress' },
    initial: ['status'],
    expected: { class: { code: 'IMP' }, status: 'in-progress' },
  },
  {
    name: 'keeps what is stored before an initial element (A08 after A03)',
    type: 'Encounter',
    stored: { status: 'finished', period: { start: '2020', end: '2021' } },
    incoming: { status: 'in-progress', period: { start: '2020' } },
    initial: ['status'],
    expected: { status: 'finished', period: { start: '2020', end: '2021' } },
  },
  {
    name: 'keeps another type of a choice before an initial element',
    stored: { deceasedDateTime: '2020' },
    incoming: { deceasedBoolean: false },
    initial: ['deceasedBoolean'],
    expected: { deceasedDateTime: '2020' },
  },
  {
    name: 'merges extensions by their url',
    stored: { extension: [extension('urn:a', '1'), extension('urn:b.c', '2')] },
    incoming: { extension: [extension('urn:d', '4'), extension('urn:a', '3')] },
    expected: {
      extension: [extension('urn:a', '3'), extension('urn:b.c', '2'), extension('urn:d', '4')],
    },
  },
  {
    name: 'replaces all extensions of one url',
    stored: { modifierExtension: [extension('urn:a', '1'), extension('urn:a', '2')] },
    incoming: { modifierExtension: [extension('urn:a', '3')] },
    expected: { modifierExtension: [extension('urn:a', '3')] },
  },
  {
    name: 'removes the extension of an emptied field and no other',
    stored: { extension: [extension('http://a.b/c', '1'), extension('urn:b', '2')] },
    incoming: {},
    cleared: ['extension(http://a.b/c)'],
    expected: { extension: [extension('urn:b', '2')] },
  },
  {
    name: 'drops the list with its last extension, also below a primitive',
    stored: { extension: [extension('urn:a', '1')], _birthDate: { extension: [{ url: 'u.v' }] } },
    incoming: {},
    cleared: ['extension(urn:a)', '_birthDate.extension(u.v)'],
    expected: {},
  },
  {
    name: 'does not remove an extension that the same message values',
    stored: { extension: [extension('urn:a', '1')] },
    incoming: { extension: [extension('urn:a', '2')] },
    cleared: ['extension(urn:a)'],
    expected: { extension: [extension('urn:a', '2')] },
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
  it.each(ROWS)('$name', (row) => {
    const { type = 'Patient', stored, incoming, cleared = [], initial, union, expected } = row;
    const named = (content: object) => ({ resourceType: type, id: '1', ...content });
    const before = structuredClone(stored);
    const mapped = {
      resource: named(incoming),
      mode: 'merge',
      cleared,
      compartment: null,
      ...(initial && { initial }),
      ...(union && { union }),
    } as const;
    const merged = mergeResource(named(stored), mapped);
    expect(merged).toEqual(named(expected));
    expect(mergeResource(merged, mapped)).toEqual(merged);
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
