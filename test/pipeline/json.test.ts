// JSON records: the same row language with JSON Pointers.
import { describe, expect, it } from 'vitest';
import { resourceId } from '../../src/crypto/uuid.ts';
import { mustCompile, run } from '../mapping/build.ts';

const set = mustCompile({
  'messages/vitals.yaml': `
record: vitals
required: [/patient/mrn]
resources:
  patient:
    type: Patient
    at: /patient
    key: [["'urn:mrn'", ./mrn]]
    rows:
      - { from: ./mrn, to: "identifier[0].value" }
      - { from: ./name, to: "name[]", using: name }
      - { from: ./born, to: birthDate, as: date }
      - { from: ./active, to: active, as: boolean }
      - { from: ./a~1b, to: slash }
      - { from: /sent, to: sent }
      - { from: ./phones, to: "telecom[]" }
      - { from: ./note, ignore: not wanted, when: /sent valued }
  reading:
    type: Observation
    at: /readings/*
    key: [[key(patient), ./code]]
    when: './code != "skip"'
    rows:
      - { ref: patient, to: subject }
      - { ref: reading, to: "related[]" }
      - { from: ./value, to: valueQuantity.value, as: decimal }
      - { each: ./parts, to: "component[]", rows: [{ from: ./v, to: value }] }
`,
  'datatypes/name.yaml': `
datatype: json
yields: HumanName
rows: [{ from: ./last, to: family }, { from: ./first, to: "given[]" }]
`,
});

function post(record: unknown, account = false) {
  const text = typeof record === 'string' ? record : JSON.stringify(record);
  const channel = { format: 'json' as const, record: { name: 'vitals', schema: {} } };
  return run(set, text, { channel, account });
}

const RECORD = {
  sent: 'now',
  patient: {
    mrn: 'M1',
    name: [{ last: 'Doe', first: ['Jo', 'Jane'] }, { last: 'Roe' }],
    born: '1962-03-20',
    active: false,
    'a/b': 's',
    phones: null,
    note: 'n',
    extra: [{ deep: 1 }],
  },
  readings: [
    { code: 'A', value: 4.5, parts: [{ v: 'x' }, { v: 'y' }, {}] },
    { code: 'skip', value: 1 },
    { code: 'B', value: 0 },
  ],
};

describe('a JSON record', () => {
  const output = post(RECORD);
  const patient = resourceId('default', 'Patient', 'urn:mrn|M1');

  it('is mapped by pointers, lists as repetitions', () => {
    expect(output.resources[0]).toMatchObject({
      mode: 'merge',
      cleared: ['telecom'],
      compartment: patient,
      resource: {
        resourceType: 'Patient',
        id: patient,
        identifier: [{ value: 'M1' }],
        name: [{ family: 'Doe', given: ['Jo', 'Jane'] }, { family: 'Roe' }],
        birthDate: '1962-03-20',
        active: false,
        slash: 's',
        sent: 'now',
      },
    });
  });

  it('makes one instance per element of a list', () => {
    const readings = output.resources.filter(
      ({ resource }) => resource.resourceType === 'Observation',
    );
    const [a, b] = ['A', 'B'].map((code) =>
      resourceId('default', 'Observation', `urn:mrn|M1|${code}`),
    );
    expect(readings.map(({ resource }) => resource)).toEqual([
      {
        resourceType: 'Observation',
        id: a,
        subject: { reference: `Patient/${patient}` },
        related: [{ reference: `Observation/${b}` }],
        valueQuantity: { value: 4.5 },
        component: [{ value: 'x' }, { value: 'y' }],
      },
      {
        resourceType: 'Observation',
        id: b,
        subject: { reference: `Patient/${patient}` },
        related: [{ reference: `Observation/${a}` }],
        valueQuantity: { value: 0 },
      },
    ]);
  });

  it('has an account of every leaf', () => {
    const fates = new Map(post(RECORD, true).accounts.map(({ from, fate }) => [from, fate]));
    expect(Object.fromEntries(fates)).toEqual({
      '/sent': 'mapped',
      '/patient/mrn': 'mapped',
      '/patient/name/0/last': 'mapped',
      '/patient/name/0/first/0': 'mapped',
      '/patient/name/0/first/1': 'mapped',
      '/patient/name/1/last': 'mapped',
      '/patient/born': 'mapped',
      '/patient/active': 'mapped',
      '/patient/a~1b': 'mapped',
      '/patient/phones': 'mapped',
      '/patient/note': 'ignored',
      '/patient/extra/0/deep': 'unmapped',
      '/readings/0/code': 'mapped',
      '/readings/0/value': 'mapped',
      '/readings/0/parts/0/v': 'mapped',
      '/readings/0/parts/1/v': 'mapped',
      '/readings/1/code': 'unmapped',
      '/readings/1/value': 'unmapped',
      '/readings/2/code': 'mapped',
      '/readings/2/value': 'mapped',
    });
  });

  it.each([
    ['{', 'structure', ''],
    [{ patient: {} }, 'required', '/patient/mrn'],
    [{ patient: { mrn: '' } }, 'required', '/patient/mrn'],
    [`${'['.repeat(1_001)}${']'.repeat(1_001)}`, 'structure', ''],
  ])('with a fault is an issue: %j', (record, code, at) => {
    const { issues, resources } = post(record);
    expect(resources).toEqual([]);
    expect(issues).toContainEqual(expect.objectContaining({ severity: 'error', code, at }));
  });

  it('of a name that no map has is an issue', () => {
    const channel = { format: 'json' as const, record: { name: 'other', schema: {} } };
    expect(run(set, '{}', { channel }).issues).toMatchObject([{ at: 'channel.record' }]);
  });
});
