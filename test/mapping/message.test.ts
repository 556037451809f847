// Message maps: where instances are made, their ids, references between them, required fields.
import { describe, expect, it } from 'vitest';
import { resourceId } from '../../src/crypto/uuid.ts';
import type { PipelineOutput } from '../../src/model/pipeline.ts';
import { adt, compile, mustCompile, run } from './build.ts';

const LAB = `
events: [ADT^A01]
structure: >
  MSH {RESULT: [PATIENT: PID [VISIT: PV1]] {ORDER: [ORC] OBR [{NTE}]
  [{OBSERVATION: OBX [{NTE}]}] [{SPECIMEN: SPM}]}}
required: [MSH-10, OBX-3, { field: OBX-5, severity: warning, when: 'OBX-11 = "F"' }]
ignore: { ORC: not wanted }
resources:
  report:
    type: DiagnosticReport
    at: ORDER
    key: [[key(patient), OBR-2]]
    maps:
      - OBR-Report
      - { map: NTE-Report, when: 'NTE-2 = "L"' }
      - { map: SPM-Report, at: SPECIMEN.SPM }
    rows: [{ ref: patient, to: subject, required: true }, { ref: observation, to: "result[]" }]
  patient:
    type: Patient
    at: PID
    mode: create-only
    key: [["authority(PID-3.4)?", PID-3.1]]
  encounter:
    type: Encounter
    at: VISIT.PV1
    key: [[PV1-19], { of: [key(patient), "'unnumbered'"], warning: "PV1-19 is empty" }]
  observation:
    type: Observation
    at: OBX
    ordinal: true
    when: 'OBX-11 != "X"'
    key: [[key(report), OBX-3]]
    maps: [OBX-Observation, { map: NTE-Observation }]
    rows:
      - { ref: patient, to: subject }
      - { ref: report, to: partOf }
      - { from: [OBX-14, OBR-7], to: at }
`;
const FILES = {
  'messages/LAB.yaml': LAB,
  'segments/OBR-Report.yaml':
    'segment: OBR\nresource: DiagnosticReport\nrows: [{ from: OBR-4, to: code }]',
  'segments/SPM-Report.yaml':
    'segment: SPM\nresource: DiagnosticReport\nrows: [{ from: SPM-2, to: "specimen[]" }]',
  'segments/NTE-Report.yaml':
    'segment: NTE\nresource: DiagnosticReport\nrows: [{ from: NTE-3, to: "note[]" }]',
  'segments/NTE-Observation.yaml':
    'segment: NTE\nresource: Observation\nrows: [{ from: NTE-3, to: "note[]" }]',
  'segments/OBX-Observation.yaml': `
segment: OBX
resource: Observation
rows: [{ from: OBX-5, to: value }, { from: OBX-16, to: "performer[]", using: XCN }]
`,
  'datatypes/XCN.yaml': `
datatype: XCN
yields: Practitioner
resource: { key: [[XCN.1], ["'name'", XCN.2]], display: [XCN.3, XCN.2] }
rows:
  - { from: XCN.1, to: "identifier[0].value" }
  - { from: XCN.2, to: family }
  - { from: XCN.3, to: given }
`,
};
const set = mustCompile(FILES);

const MESSAGE = adt(
  'PID|||P1^^^NS&1.2.3&ISO',
  'PV1|1',
  'ORC|x',
  'OBR||O1||GLU|||2024',
  'NTE|1|L|report note',
  'NTE|2|X|left out',
  'OBX|1||A||5|||||||||||X1^Doe^Jo',
  'NTE|1|L|first note',
  'OBX|2||A||6|||||||||2025||X1^Doe',
  'OBX|3||A||7||||||X',
  'SPM|1|S1',
  'PID|||P2',
  'OBR||O2||NA',
  'OBX|1||A||8|||||||||||^Roe',
);

function of(output: PipelineOutput, type: string) {
  return output.resources
    .map(({ resource }) => resource)
    .filter(({ resourceType }) => resourceType === type);
}

const id = (type: string, key: string) => resourceId('default', type, key);

describe('instances', () => {
  const output = run(set, MESSAGE);

  it('get their ids from tenant, type and business key', () => {
    expect(of(output, 'Patient').map((patient) => patient.id)).toEqual([
      id('Patient', 'urn:oid:1.2.3|P1'),
      id('Patient', '|P2'),
    ]);
    expect(of(output, 'Observation').map((observation) => observation.id)).toEqual([
      id('Observation', 'urn:oid:1.2.3|P1|O1|A'),
      id('Observation', 'urn:oid:1.2.3|P1|O1|A|2'),
      id('Observation', '|P2|O2|A'),
    ]);
  });

  it('stand in the order of the map, resources of datatype maps after them', () => {
    const types = output.resources.map(({ resource }) => resource.resourceType);
    expect(types).toEqual([
      ...['DiagnosticReport', 'DiagnosticReport', 'Patient', 'Patient', 'Encounter'],
      ...['Observation', 'Observation', 'Observation', 'Practitioner', 'Practitioner'],
      'Provenance',
    ]);
  });

  it('refer to the nearest instance, or to all of their own group', () => {
    const reference = (type: string, key: string) => ({ reference: `${type}/${id(type, key)}` });
    const p1 = 'urn:oid:1.2.3|P1';
    expect(of(output, 'DiagnosticReport')).toMatchObject([
      {
        subject: reference('Patient', p1),
        result: [reference('Observation', `${p1}|O1|A`), reference('Observation', `${p1}|O1|A|2`)],
      },
      { subject: reference('Patient', '|P2'), result: [reference('Observation', '|P2|O2|A')] },
    ]);
    expect(of(output, 'Observation')[2]).toMatchObject({
      subject: reference('Patient', '|P2'),
      partOf: reference('DiagnosticReport', '|P2|O2'),
    });
  });

  it('take segments of their own group, of others only where the map says so', () => {
    expect(of(output, 'DiagnosticReport')[0]).toMatchObject({
      code: 'GLU',
      note: ['report note'],
      specimen: ['S1'],
    });
    expect(of(output, 'Observation').map(({ note }) => note)).toEqual([
      ['first note'],
      undefined,
      undefined,
    ]);
  });

  it('read fields of segments around them', () => {
    expect(of(output, 'Observation').map(({ at }) => at)).toEqual(['2024', '2025', undefined]);
  });

  it('made by datatype maps are one resource per key, filled by all', () => {
    expect(of(output, 'Practitioner')).toEqual([
      {
        resourceType: 'Practitioner',
        id: id('Practitioner', 'X1'),
        identifier: [{ value: 'X1' }],
        family: 'Doe',
        given: 'Jo',
      },
      { resourceType: 'Practitioner', id: id('Practitioner', 'name|Roe'), family: 'Roe' },
    ]);
    expect(of(output, 'Observation')[0]?.performer).toEqual([
      { reference: `Practitioner/${id('Practitioner', 'X1')}`, display: 'Jo Doe' },
    ]);
  });

  it('warn when a key alternative says so', () => {
    const warnings = output.issues.filter(({ severity }) => severity === 'warning');
    expect(warnings).toEqual([
      { severity: 'warning', code: 'incomplete', at: 'PV1', text: 'PV1-19 is empty' },
    ]);
  });

  it('have no common compartment when there are two patients', () => {
    expect(output.compartment).toBeNull();
    const compartments = new Set(output.resources.map(({ compartment }) => compartment));
    expect(compartments.size).toBe(3);
  });
});

describe('faults of a message', () => {
  it('are given all at once, and no resource with them', () => {
    const output = run(
      set,
      adt('PID|||P1', 'OBR||O1', 'OBX|1||||||||||F', 'OBX|2|||', 'OBR|', 'QQQ|1'),
    );
    expect(output.resources).toEqual([]);
    expect(output.issues.map(({ severity, at }) => `${severity} ${at}`)).toEqual([
      'warning QQQ',
      'error OBX-3',
      'warning OBX-5',
      'error OBX[1]-3',
      'error ORDER',
    ]);
  });

  it('name a missing instance that a reference needs', () => {
    const output = run(set, adt('OBR||O1'));
    expect(output.issues.filter(({ severity }) => severity === 'error')).toMatchObject([
      { code: 'required', at: 'ORDER' },
    ]);
  });

  it('name a type of message that no map serves', () => {
    const output = run(set, adt('PID|||P1').replace('ADT^A01', 'ADT^A99'));
    expect(output.issues).toMatchObject([
      { severity: 'error', code: 'not-supported', at: 'MSH-9' },
    ]);
    expect(output.mapHash).toBe('');
  });
});

describe('the hash of a map', () => {
  const hashOf = (files: Record<string, string>) =>
    compile(files).set.sites.get('')?.messages.get('LAB')?.hash;

  it('is that of the map and of all that it reaches', () => {
    expect(run(set, MESSAGE).mapHash).toMatch(/^[0-9a-f]{64}$/);
    expect(hashOf(FILES)).toBe(hashOf({ ...FILES, 'tables/UNUSED.yaml': 'codes: { A: b }' }));
    const xcn = `${FILES['datatypes/XCN.yaml']}# a comment`;
    expect(hashOf({ ...FILES, 'datatypes/XCN.yaml': xcn })).toBe(hashOf(FILES));
    const changed = xcn.replace('XCN.3, to: given', 'XCN.4, to: given');
    expect(hashOf({ ...FILES, 'datatypes/XCN.yaml': changed })).not.toBe(hashOf(FILES));
  });
});
