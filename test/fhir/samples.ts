// Small valid resources that tests change.
import type { Resource } from '../../src/model/resource.ts';

type Sample = Resource & { id: string };

export function patient(elements: Record<string, unknown> = {}): Sample {
  return {
    resourceType: 'Patient',
    id: 'p1',
    meta: { versionId: '1', lastUpdated: '2024-03-05T10:00:00.000Z' },
    identifier: [{ system: 'urn:oid:1.2.3', value: 'MRN-77' }],
    name: [{ family: 'Müller-Schmidt', given: ['Anna', 'Eva'], prefix: ['Dr.'] }],
    gender: 'female',
    birthDate: '1980-02-29',
    telecom: [
      { system: 'phone', value: '+49 (30) 1234-567', use: 'home' },
      { system: 'email', value: 'Anna@Example.org' },
    ],
    address: [{ line: ['1 Main Street'], city: 'Springfield', state: 'IL', postalCode: '62701' }],
    managingOrganization: { reference: 'Organization/o1' },
    ...elements,
  };
}

export function observation(elements: Record<string, unknown> = {}): Sample {
  return {
    resourceType: 'Observation',
    id: 'o1',
    meta: { versionId: '1', lastUpdated: '2024-03-05T10:00:00.000Z' },
    status: 'final',
    category: [{ coding: [{ system: 'http://example.org/cat', code: 'laboratory' }] }],
    code: { coding: [{ system: 'http://loinc.org', code: '718-7' }] },
    subject: { reference: 'Patient/p1' },
    encounter: { reference: 'Encounter/e1' },
    effectiveDateTime: '2024-03-05T09:30:00Z',
    performer: [{ reference: 'Practitioner/d1' }],
    valueQuantity: { value: 13.5, unit: 'g/dL', system: 'http://unitsofmeasure.org', code: 'g/dL' },
    ...elements,
  };
}

export function encounter(elements: Record<string, unknown> = {}): Sample {
  return {
    resourceType: 'Encounter',
    id: 'e1',
    status: 'in-progress',
    class: { system: 'http://terminology.hl7.org/CodeSystem/v3-ActCode', code: 'IMP' },
    subject: { reference: 'Patient/p1' },
    period: { start: '2024-03-01T08:00:00Z' },
    ...elements,
  };
}

/** The sample without some of its elements. */
export function without(resource: Sample, ...keys: string[]): Sample {
  const copy: Record<string, unknown> = { ...resource };
  for (const key of keys) delete copy[key];
  return copy as Sample;
}
