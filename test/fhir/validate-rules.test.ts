// The validator's rules beyond structure: values, required elements, invariants; one row per fault.
import { describe, expect, it } from 'vitest';
import { validateResource } from '../../src/fhir/validate.ts';
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

describe('values', () => {
  const rows: [string, unknown, string[]][] = [
    ['a day that is not', patient({ birthDate: '2026-02-30' }), ['value Patient.birthDate']],
    [
      '29 February of a common year',
      patient({ birthDate: '2023-02-29' }),
      ['value Patient.birthDate'],
    ],
    ['month 13', patient({ birthDate: '1980-13' }), ['value Patient.birthDate']],
    [
      'a time in a date',
      patient({ birthDate: '1980-01-01T00:00:00Z' }),
      ['value Patient.birthDate'],
    ],
    ['a German date', patient({ birthDate: '01.02.1980' }), ['value Patient.birthDate']],
    [
      'a time without a zone',
      observation({ effectiveDateTime: '2024-03-05T09:30:00' }),
      ['value Observation.effectiveDateTime'],
    ],
    [
      'a time without seconds',
      observation({ effectiveDateTime: '2024-03-05T09:30Z' }),
      ['value Observation.effectiveDateTime'],
    ],
    [
      'hour 24',
      observation({ effectiveDateTime: '2024-03-05T24:00:00Z' }),
      ['value Observation.effectiveDateTime'],
    ],
    [
      'a zone that is not',
      observation({ effectiveDateTime: '2024-03-05T09:30:00+15:00' }),
      ['value Observation.effectiveDateTime'],
    ],
    [
      'an instant of a day only',
      observation({ issued: '2024-03-05' }),
      ['value Observation.issued'],
    ],
    ['a code of another list', patient({ gender: 'f' }), ['code-invalid Patient.gender']],
    [
      'a code of a list that the JSON schema leaves out',
      {
        resourceType: 'MedicationRequest',
        status: 'x',
        intent: 'order',
        medicationCodeableConcept: { text: 'x' },
        subject: { reference: 'Patient/1' },
      },
      ['code-invalid MedicationRequest.status'],
    ],
    ['an empty string', patient({ name: [{ family: '' }] }), ['value Patient.name[0].family']],
    ['blanks only', patient({ name: [{ family: '  ' }] }), ['value Patient.name[0].family']],
    [
      'a control character',
      patient({ name: [{ family: 'a\u0001' }] }),
      ['value Patient.name[0].family'],
    ],
    ['an id that is too long', patient({ id: 'x'.repeat(65) }), ['value Patient.id']],
    ['an id with a slash', patient({ id: 'a/b' }), ['value Patient.id']],
    ['a code with a double blank', patient({ language: 'a  b' }), ['value Patient.language']],
    [
      'a uri with a blank',
      patient({ identifier: [{ system: 'a b', value: 'x' }] }),
      ['value Patient.identifier[0].system'],
    ],
    [
      'no base64',
      patient({ photo: [{ contentType: 'image/png', data: 'a$' }] }),
      ['value Patient.photo[0].data'],
    ],
    ['a negative size', patient({ photo: [{ size: -1 }] }), ['value Patient.photo[0].size']],
    [
      'an integer beyond 32 bits',
      patient({ multipleBirthInteger: 2 ** 31 }),
      ['value Patient.multipleBirthInteger'],
    ],
    [
      'script in a narrative',
      patient({ text: { status: 'generated', div: '<div><script>1</script></div>' } }),
      ['value Patient.text.div'],
    ],
    [
      'a narrative that is no div',
      patient({ text: { status: 'generated', div: 'x' } }),
      ['value Patient.text.div'],
    ],
    [
      'a reference of no form',
      observation({ subject: { reference: 'p1' } }),
      ['value Observation.subject.reference'],
    ],
    [
      'a reference to no type',
      observation({ subject: { reference: 'Pacient/1' } }),
      ['value Observation.subject.reference'],
    ],
    [
      'a reference to a type that is not allowed',
      observation({ subject: { reference: 'Encounter/1' } }),
      ['value Observation.subject.reference'],
    ],
  ];
  it.each(rows)('%s', (_name, resource, expected) => check(resource, expected));
});

describe('required elements', () => {
  const rows: [string, unknown, string[]][] = [
    ['a primitive', without(observation(), 'status'), ['required Observation.status']],
    ['an object', without(observation(), 'code'), ['required Observation.code']],
    [
      'two at once',
      without(observation(), 'status', 'code'),
      ['required Observation.status', 'required Observation.code'],
    ],
    [
      'in a backbone element',
      patient({ link: [{ type: 'refer' }] }),
      ['required Patient.link[0].other'],
    ],
    [
      'in a contained resource',
      patient({
        contained: [{ resourceType: 'Endpoint', id: 'e' }],
        managingOrganization: { reference: '#e' },
      }),
      [
        'required Patient.contained[0].address',
        'required Patient.contained[0].connectionType',
        'required Patient.contained[0].payloadType',
        'required Patient.contained[0].status',
      ],
    ],
    [
      'a choice',
      {
        resourceType: 'MedicationStatement',
        status: 'active',
        subject: { reference: 'Patient/1' },
      },
      ['required MedicationStatement.medication'],
    ],
    [
      'a url of an extension',
      patient({ extension: [{ valueString: 'x' }] }),
      ['required Patient.extension[0].url'],
    ],
  ];
  it.each(rows)('%s', (_name, resource, expected) => check(resource, expected));
});

describe('invariants', () => {
  const contained = { resourceType: 'Organization', id: 'o', name: 'X' };
  const rows: [string, unknown, string[]][] = [
    [
      'per-1',
      encounter({ period: { start: '2024-03-02', end: '2024-03-01' } }),
      ['invariant Encounter.period'],
    ],
    [
      'ext-1, both',
      patient({ extension: [{ ...EXTENSION, extension: [EXTENSION] }] }),
      ['invariant Patient.extension[0]'],
    ],
    [
      'ext-1, none',
      patient({ extension: [{ url: 'http://example.org/x' }] }),
      ['invariant Patient.extension[0]'],
    ],
    [
      'ref-1',
      patient({ managingOrganization: { reference: '#nobody' } }),
      ['invariant Patient.managingOrganization.reference'],
    ],
    [
      'dom-2',
      patient({
        contained: [{ ...contained, contained: [{ resourceType: 'Basic', code: CODED('x') }] }],
        managingOrganization: { reference: '#o' },
      }),
      ['invariant Patient.contained[0]'],
    ],
    ['dom-3', patient({ contained: [contained] }), ['invariant Patient.contained[0]']],
    [
      'dom-4',
      patient({
        contained: [{ ...contained, meta: { versionId: '1' } }],
        managingOrganization: { reference: '#o' },
      }),
      ['invariant Patient.contained[0]'],
    ],
    [
      'dom-5',
      patient({
        contained: [{ ...contained, meta: { security: [{ code: 'x' }] } }],
        managingOrganization: { reference: '#o' },
      }),
      ['invariant Patient.contained[0]'],
    ],
    [
      'obs-3',
      observation({ referenceRange: [{ appliesTo: [CODED('x')] }] }),
      ['invariant Observation.referenceRange[0]'],
    ],
    ['obs-6', observation({ dataAbsentReason: CODED('x') }), ['invariant Observation']],
    [
      'obs-7',
      observation({ component: [{ code: observation().code }] }),
      ['invariant Observation'],
    ],
    ['pat-1', patient({ contact: [{ gender: 'male' }] }), ['invariant Patient.contact[0]']],
    ['org-1', { resourceType: 'Organization', active: true }, ['invariant Organization']],
    ['cpt-2', patient({ telecom: [{ value: 'x' }] }), ['invariant Patient.telecom[0]']],
    [
      'qty-3',
      observation({ valueQuantity: { value: 1, code: 'g' } }),
      ['invariant Observation.valueQuantity'],
    ],
    [
      'rng-2',
      observation({
        valueQuantity: undefined,
        valueRange: { low: { value: 2 }, high: { value: 1 } },
      }),
      ['invariant Observation.valueRange'],
    ],
    [
      'rat-1',
      observation({ valueQuantity: undefined, valueRatio: { numerator: { value: 2 } } }),
      ['invariant Observation.valueRatio'],
    ],
    ['att-1', patient({ photo: [{ data: 'AAAA' }] }), ['invariant Patient.photo[0]']],
    [
      'con-4',
      { ...CONDITION, clinicalStatus: CODED('active'), abatementString: 'x' },
      ['invariant Condition'],
    ],
    [
      'con-5',
      {
        ...CONDITION,
        clinicalStatus: CODED('active'),
        verificationStatus: CODED('entered-in-error'),
      },
      ['invariant Condition'],
    ],
    ['ait-1', ALLERGY, ['invariant AllergyIntolerance']],
    [
      'ait-2',
      {
        ...ALLERGY,
        clinicalStatus: CODED('active'),
        verificationStatus: CODED('entered-in-error'),
      },
      ['invariant AllergyIntolerance'],
    ],
  ];
  it.each(rows)('%s', (_name, resource, expected) => check(resource, expected));
});
