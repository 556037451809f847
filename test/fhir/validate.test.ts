// The validator: one row per fault it must see, and valid data that it must let pass.
import { describe, expect, it } from 'vitest';
import { resourceTypes } from '../../src/fhir/elements.ts';
import { FINDINGS_MAX, validateResource } from '../../src/fhir/validate.ts';
import { encounter, observation, patient, without } from './samples.ts';

/** Findings as `code at`, sorted. */
function check(resource: unknown, expected: string[]): void {
  const found = validateResource(resource).map(({ code, at }) => `${code} ${at}`);
  expect([...new Set(found)].sort()).toEqual([...expected].sort());
}

const EXTENSION = { url: 'http://example.org/x', valueString: 'y' };
const ALLERGY = { resourceType: 'AllergyIntolerance', patient: { reference: 'Patient/p1' } };
const CODED = (code: string) => ({ coding: [{ system: 'http://example.org', code }] });
const CONDITION = { resourceType: 'Condition', subject: { reference: 'Patient/p1' } };

describe('valid resources pass', () => {
  const rows: [string, unknown][] = [
    ['patient', patient()],
    ['observation', observation()],
    ['encounter', encounter()],
    ['an id is not needed', without(patient(), 'id')],
    ['a leap day', patient({ birthDate: '2024-02-29' })],
    ['a partial date', patient({ birthDate: '1980-02' })],
    [
      'an extension instead of a value',
      patient({ birthDate: undefined, _birthDate: { extension: [EXTENSION] } }),
    ],
    ['an extension beside a value', patient({ _birthDate: { id: 'b' } })],
    [
      'a required primitive with an extension only',
      { ...without(observation(), 'status'), _status: { extension: [EXTENSION] } },
    ],
    [
      'null beside an extension',
      patient({ name: [{ given: ['A', null], _given: [null, { extension: [EXTENSION] }] }] }),
    ],
    [
      'nested extensions',
      patient({ extension: [{ url: 'http://example.org/x', extension: [EXTENSION] }] }),
    ],
    [
      'contained and referred to',
      patient({
        contained: [{ resourceType: 'Organization', id: 'o', name: 'X' }],
        managingOrganization: { reference: '#o' },
      }),
    ],
    [
      'contained and named by a canonical',
      patient({
        contained: [{ resourceType: 'ValueSet', id: 'v', status: 'draft' }],
        extension: [{ url: 'http://example.org/x', valueCanonical: '#v' }],
      }),
    ],
    [
      'an absolute reference',
      observation({ subject: { reference: 'https://example.org/fhir/Patient/9' } }),
    ],
    [
      'a uuid reference',
      observation({ subject: { reference: 'urn:uuid:0a1b2c3d-0000-4000-8000-000000000000' } }),
    ],
    ['a versioned reference', observation({ subject: { reference: 'Patient/p1/_history/3' } })],
    ['a display alone', observation({ subject: { display: 'someone' } })],
    [
      'a narrative',
      patient({
        text: { status: 'generated', div: '<div xmlns="http://www.w3.org/1999/xhtml">x</div>' },
      }),
    ],
    ['a bundle', { resourceType: 'Bundle', type: 'collection', entry: [{ resource: patient() }] }],
    [
      'an abated condition',
      { ...CONDITION, clinicalStatus: CODED('resolved'), abatementString: 'x' },
    ],
    ['an allergy', { ...ALLERGY, clinicalStatus: CODED('active') }],
    [
      'fractions of a second',
      observation({ effectiveDateTime: '2024-03-05T09:30:00.123456+05:30' }),
    ],
  ];
  it.each(rows)('%s', (_name, resource) => check(resource, []));
});

describe('structure', () => {
  const rows: [string, unknown, string[]][] = [
    ['no object', 'x', ['structure ']],
    ['an array', [], ['structure ']],
    ['null', null, ['structure ']],
    ['no type', {}, ['structure resourceType']],
    ['an unknown type', { resourceType: 'Pacient' }, ['structure resourceType']],
    ['an abstract type', { resourceType: 'DomainResource' }, ['structure resourceType']],
    ['a name of Object.prototype', { resourceType: 'constructor' }, ['structure resourceType']],
    ['an unknown element', patient({ hair: 'red' }), ['structure Patient.hair']],
    [
      'an unknown nested element',
      patient({ contact: [{ name: { nick: 'x' } }] }),
      ['structure Patient.contact[0].name.nick'],
    ],
    [
      'an unknown element inside a contained one',
      patient({
        contained: [{ resourceType: 'Organization', id: 'o', name: 'X', hair: 1 }],
        managingOrganization: { reference: '#o' },
      }),
      ['structure Patient.contained[0].hair'],
    ],
    [
      'an unknown contained type',
      patient({
        contained: [{ resourceType: 'Nope', id: 'o' }],
        managingOrganization: { reference: '#o' },
      }),
      ['structure Patient.contained[0]'],
    ],
    ['a string for a boolean', patient({ active: 'true' }), ['structure Patient.active']],
    ['an object for an array', patient({ name: { family: 'x' } }), ['structure Patient.name']],
    ['an array for an object', observation({ code: [{}] }), ['structure Observation.code']],
    [
      'a number for a string',
      patient({ gender: 1 }),
      ['code-invalid Patient.gender', 'structure Patient.gender'],
    ],
    [
      'null for a value',
      patient({ gender: null }),
      ['code-invalid Patient.gender', 'structure Patient.gender'],
    ],
    [
      'null without an extension',
      patient({ name: [{ given: ['A', null] }] }),
      ['structure Patient.name[0].given[1]'],
    ],
    ['an empty array', patient({ telecom: [] }), ['structure Patient.telecom']],
    ['an empty object', patient({ maritalStatus: {} }), ['structure Patient.maritalStatus']],
    [
      'a fraction for an integer',
      patient({ multipleBirthInteger: 1.5 }),
      ['structure Patient.multipleBirthInteger'],
    ],
    [
      'an own __proto__',
      JSON.parse('{"resourceType":"Patient","__proto__":{"x":1}}'),
      ['structure Patient'],
    ],
    [
      'two values of a choice',
      patient({ deceasedBoolean: true, deceasedDateTime: '2024' }),
      ['structure Patient.deceased'],
    ],
    [
      'an extension of another choice',
      patient({ deceasedBoolean: true, _deceasedDateTime: { extension: [EXTENSION] } }),
      ['structure Patient.deceased'],
    ],
    [
      'a choice of a type that is not allowed',
      observation({ valueQuantity: undefined, valueAddress: { text: 'x' } }),
      ['structure Observation.valueAddress'],
    ],
    [
      'arrays of different length',
      patient({ name: [{ given: ['A', 'B'], _given: [{ id: 'x' }] }] }),
      ['structure Patient.name[0]._given'],
    ],
    [
      'an element of the definitions package only',
      patient({ meta: { project: 'x' } }),
      ['structure Patient.meta.project'],
    ],
  ];
  it.each(rows)('%s', (_name, resource, expected) => check(resource, expected));
});

describe('the answer', () => {
  it('never holds a value of the data', () => {
    const secret = 'Zaphod-4711';
    const issues = validateResource({
      resourceType: 'Patient',
      id: `${secret}/x`,
      gender: secret,
      birthDate: secret,
      active: secret,
      [`${secret} x`]: secret,
      name: [{ family: 7, use: secret }],
      managingOrganization: { reference: secret },
      identifier: [{ system: `${secret} ${secret}` }],
    });
    expect(issues.length).toBeGreaterThan(6);
    expect(JSON.stringify(issues)).not.toContain(secret);
  });

  it('is cut off at its limit, and says so', () => {
    const name = Array.from({ length: FINDINGS_MAX + 50 }, () => ({ family: '' }));
    const issues = validateResource(patient({ name }));
    expect(issues).toHaveLength(FINDINGS_MAX + 1);
    expect(issues.at(-1)?.text).toContain('50 more');
  });

  it('stays small however many faults there are', () => {
    const issues = validateResource(patient({ name: new Array(500_000).fill(1) }));
    expect(issues.map((issue) => issue.at)).toEqual(['Patient.name[0]']);
  });

  it('comes for an empty resource of every type', () => {
    for (const type of resourceTypes()) {
      const codes = validateResource({ resourceType: type, id: 'x' }).map((issue) => issue.code);
      expect(codes.filter((code) => code !== 'required' && code !== 'invariant')).toEqual([]);
    }
  });
});
