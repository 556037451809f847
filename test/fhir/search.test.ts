// Searches by tokens, references, strings and columns: each row runs on the index and in clear.
import { describe, expect, it } from 'vitest';
import type { Resource } from '../../src/model/resource.ts';
import { encounter, observation, patient, without } from './samples.ts';
import { isFound } from './simulate.ts';

type Row = [query: string, found: boolean, resource?: Resource];

function check(rows: Row[], sample: Resource): void {
  it.each(rows)('%s -> %s', (query, found, resource = sample) => {
    expect(isFound(resource, query)).toBe(found);
  });
}

describe('tokens', () => {
  check(
    [
      ['identifier=MRN-77', true],
      ['identifier=mrn-77', true],
      ['identifier=urn:oid:1.2.3|MRN-77', true],
      ['identifier=urn:oid:9|MRN-77', false],
      ['identifier=|MRN-77', false],
      ['identifier=|X', true, patient({ identifier: [{ value: 'X' }] })],
      ['identifier=urn:oid:1.2.3|', true],
      ['identifier=urn:oid:9|', false],
      ['identifier=MRN', false],
      ['identifier=x,MRN-77', true],
      ['identifier=x&identifier=MRN-77', false],
      ['identifier=a\\,b', true, patient({ identifier: [{ value: 'a,b' }] })],
      ['identifier=a\\|b', true, patient({ identifier: [{ value: 'a|b' }] })],
      ['identifier:not=MRN-77', false],
      ['identifier:not=x', true],
      ['identifier:missing=true', false],
      ['identifier:missing=false', true],
      ['identifier:missing=true', true, without(patient(), 'identifier')],
      ['gender=female', true],
      ['gender=male,female', true],
      ['gender=http://hl7.org/fhir/administrative-gender|female', true],
      ['gender=http://other.example|female', false],
      ['gender:not=male', true],
      ['gender:not=male', true, without(patient(), 'gender')],
      ['active=true', false],
      ['active=true', true, patient({ active: true })],
      ['deceased=true', false],
      ['deceased=false', true],
      ['deceased=true', true, patient({ deceasedDateTime: '2020' })],
      ['deceased=true', false, patient({ deceasedBoolean: false })],
      ['phone=%2B49301234567', true],
      ['phone=%2B49 30 1234567', true],
      ['phone=anna@example.org', false],
      ['email=ANNA@example.org', true],
      ['telecom=anna@example.org', true],
      ['telecom=home|%2B49301234567', true],
      ['telecom=work|%2B49301234567', false],
      ['_tag=http://x|a', true, patient({ meta: { tag: [{ system: 'http://x', code: 'a' }] } })],
      ['_profile=http://x/p', true, patient({ meta: { profile: ['http://x/p|1.0'] } })],
    ],
    patient(),
  );
  check(
    [
      ['code=718-7', true],
      ['code=http://loinc.org|718-7', true],
      ['code=http://loinc.org|718-8', false],
      ['combo-code=http://loinc.org|718-7', true],
      ['combo-code=x', true, observation({ component: [{ code: { coding: [{ code: 'x' }] } }] })],
      ['component-code=718-7', false],
      ['category=laboratory', true],
      ['status=final,amended', true],
      ['status=cancelled', false],
      ['status:not=cancelled&code=718-7', true],
      ['value-concept=y', true, observation({ valueCodeableConcept: { coding: [{ code: 'Y' }] } })],
    ],
    observation(),
  );
  check(
    [
      ['class=IMP', true],
      ['class=AMB', false],
      ['status=in-progress', true],
    ],
    encounter(),
  );
});

describe('references', () => {
  check(
    [
      ['subject=Patient/p1', true],
      ['subject=p1', true],
      ['subject=p2', false],
      ['subject=Group/p1', false],
      ['subject:Patient=p1', true],
      ['subject:Group=p1', false],
      ['patient=p1', true],
      ['patient=Patient/p1', true],
      ['patient=Patient/p1,Patient/p2', true],
      ['patient=https://here.example/fhir/R4/Patient/p1', true],
      ['patient=https://there.example/fhir/Patient/p1', false],
      [
        'subject=https://there.example/fhir/Patient/p1',
        true,
        observation({ subject: { reference: 'https://there.example/fhir/Patient/p1' } }),
      ],
      ['patient=p1', true, observation({ subject: { reference: 'Patient/p1/_history/2' } })],
      ['patient=g1', false, observation({ subject: { reference: 'Group/g1' } })],
      ['subject=g1', true, observation({ subject: { reference: 'Group/g1' } })],
      ['encounter=e1', true],
      ['performer=Practitioner/d1', true],
      ['performer=d1', true],
      ['based-on:missing=true', true],
      ['patient:missing=false', true],
      ['focus=anything', true, observation({ focus: [{ reference: 'Device/anything' }] })],
      ['focus=Device/anything', true, observation({ focus: [{ reference: 'Device/anything' }] })],
      [
        'subject:identifier=s|v',
        true,
        observation({ subject: { identifier: { system: 's', value: 'v' } } }),
      ],
      [
        'subject:identifier=s|w',
        false,
        observation({ subject: { identifier: { system: 's', value: 'v' } } }),
      ],
    ],
    observation(),
  );
  const provenance = {
    resourceType: 'Provenance',
    target: [{ reference: 'Patient/p1' }, { reference: 'Observation/o1' }],
    entity: [{ role: 'source', what: { reference: 'DocumentReference/d' } }],
  };
  check(
    [
      ['target=o1', true],
      ['target=Observation/o1', true],
      ['target=Encounter/o1', false],
      ['patient=p1', true],
      ['patient=o1', false],
      ['entity=d', true],
    ],
    provenance,
  );
});

describe('strings', () => {
  check(
    [
      ['family=müller', true],
      ['family=MULL', true],
      ['family=schmidt', true],
      ['family=ller', false],
      ['family=anna', false],
      ['family=Müller-Schmidt', true],
      ['family=muller schmidt', true],
      ['family=muller jones', false],
      ['given=an', true],
      ['given=eva', true],
      ['given=evan', false],
      ['name=anna', true],
      ['name=dr', true],
      ['name=anna müller', true],
      ['name=nobody,eva', true],
      ['name=anna nobody,dr jones', false],
      ['family:exact=Müller-Schmidt', true],
      ['family:exact=müller-schmidt', false],
      ['family:exact=Müller', false],
      ['name:exact=Eva', true],
      ['name:exact=Dr.', true],
      ['family:contains=LLER&gender=female', true],
      ['family:contains=x&gender=female', false],
      [
        'name=wolfeschlegelstein',
        true,
        patient({ name: [{ family: 'Wolfeschlegelsteinhausen' }] }),
      ],
      [
        'name=wolfeschlegelstern',
        false,
        patient({ name: [{ family: 'Wolfeschlegelsteinhausen' }] }),
      ],
      ['name=obrien', true, patient({ name: [{ family: "O'Brien" }] })],
      ["family=o'b", true, patient({ name: [{ family: 'OBrien' }] })],
      ['name=straße', true, patient({ name: [{ text: 'Strasse' }] })],
      ['name=李', true, patient({ name: [{ text: '李雷' }] })],
      ['name=anna', true, patient({ name: [{ text: 'Anna M', family: 'M' }] })],
      ['name=anna berg', false, patient({ name: [{ given: ['Anna'] }, { family: 'Berg' }] })],
      ['address=main', true],
      ['address=spring', true],
      ['address=62701', true],
      ['address-city=spring', true],
      ['address-city=main', false],
      ['address-postalcode=627', true],
      ['address-state=il', true],
      ['address-country:missing=true', true],
    ],
    patient(),
  );
});

describe('columns', () => {
  check(
    [
      ['_id=p1', true],
      ['_id=p2,p1', true],
      ['_id=p2', false],
      ['_id=p1&_id=p2', false],
      ['_id=p1&gender=male', false],
      ['_lastUpdated=2024-03-05', true],
      ['_lastUpdated=2024-03-06', false],
      ['_lastUpdated=ge2024-03-05T10:00:00.000Z', true],
      ['_lastUpdated=gt2024-03-05T10:00:00.000Z', false],
      ['_lastUpdated=lt2024-03-05T10:00:00.001Z', true],
      ['_lastUpdated=gt2024-03-04&_lastUpdated=lt2024-03-06', true],
      ['_lastUpdated=gt2024-03-05&_lastUpdated=lt2024-03-07', false],
      ['_lastUpdated=ne2024-03-05', false],
      ['_lastUpdated=2023,2024', true],
    ],
    patient(),
  );
});
