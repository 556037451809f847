// The generated tables are what the definitions package says, and say what R4 says.
import { readFileSync, statSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { elementsOf, resourceTypes } from '../../src/fhir/elements.ts';
import { makeTables } from '../../src/fhir/generate/tables.ts';
import { parametersOf } from '../../src/fhir/parameters.ts';

const pathOf = (name: string): string => `src/fhir/r4/${name}.generated.json`;

describe('the generated tables', () => {
  it('are up to date: otherwise run `npm run generate`', () => {
    for (const [name, text] of Object.entries(makeTables())) {
      expect(readFileSync(pathOf(name), 'utf8') === text, name).toBe(true);
    }
  });

  it('stay small', () => {
    const bytes = ['elements', 'search', 'compartment'].map((name) => statSync(pathOf(name)).size);
    expect(bytes.reduce((sum, size) => sum + size)).toBeLessThan(1_000_000);
  });

  it('know every type that they mention', () => {
    const seen = new Set<string>();
    const visit = (type: string): void => {
      if (seen.has(type)) return;
      seen.add(type);
      for (const element of elementsOf(type)) {
        if (element.type.kind === 'complex') visit(element.type.name);
      }
    };
    for (const type of resourceTypes()) visit(type);
    expect(resourceTypes()).toHaveLength(146);
    expect(seen.size).toBeGreaterThan(600);
  });

  it('hold the parameters that Artery promises', () => {
    const promised: Record<string, string> = {
      Patient:
        'identifier name family given birthdate gender phone email telecom address active link',
      Encounter: 'patient subject status class date identifier participant location type',
      Observation: 'patient subject encounter code status category date identifier value-quantity',
      DiagnosticReport: 'patient subject code status date identifier category based-on result',
      ServiceRequest: 'patient code status identifier requester authored',
      Condition: 'patient code clinical-status onset-date encounter',
      AllergyIntolerance: 'patient code clinical-status',
      Provenance: 'target patient entity recorded',
      Coverage: 'patient identifier status',
      Specimen: 'patient identifier type',
    };
    for (const [type, names] of Object.entries(promised)) {
      for (const name of names.split(' ')) {
        expect(parametersOf(type).has(name), `${type}.${name}`).toBe(true);
      }
    }
  });
});
