// Whatever JSON comes, the pure functions of fhir/ answer and do not throw, and leave what they
// read as it was. A failure prints its seed.
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { patientCompartment } from '../../src/fhir/compartment.ts';
import { elementsOf, resourceTypes } from '../../src/fhir/elements.ts';
import { indexEntries } from '../../src/fhir/index-entries.ts';
import { parseSearch } from '../../src/fhir/search.ts';
import { validateResource } from '../../src/fhir/validate.ts';
import type { Resource } from '../../src/model/resource.ts';
import { OPTIONS } from './simulate.ts';

/** Keys that the rules look for, so that odd values stand where they are read. */
const KEYS =
  'coding code system value low high start end reference contained id meta extension'.split(' ');
const odd = fc.oneof(
  fc.jsonValue({ maxDepth: 3 }),
  fc.dictionary(fc.constantFrom(...KEYS), fc.jsonValue({ maxDepth: 2 })),
  fc.array(fc.dictionary(fc.constantFrom(...KEYS), fc.jsonValue({ maxDepth: 1 })), {
    maxLength: 2,
  }),
);

const resource = fc
  .constantFrom('Patient', 'Observation', 'Condition', 'Encounter', 'Coverage', 'Bundle', 'Group')
  .chain((type) => {
    const keys = elementsOf(type).flatMap(({ key }) => [key, `_${key}`]);
    const elements = fc.dictionary(fc.constantFrom(...keys), odd, { maxKeys: 5 });
    return elements.map((some): Resource => ({ ...some, resourceType: type }) as Resource);
  });

it('odd resources are judged, indexed and placed without a throw', () => {
  fc.assert(
    fc.property(resource, (one) => {
      const before = JSON.stringify(one);
      validateResource(one);
      for (const entry of indexEntries(one)) {
        if (entry.kind === 'token') expect(typeof entry.value).toBe('string');
        else expect(entry.low).toBeLessThanOrEqual(entry.high);
      }
      patientCompartment(one);
      expect(JSON.stringify(one)).toBe(before);
    }),
    { numRuns: 2_000 },
  );
});

it('odd searches are read without a throw', () => {
  const name = fc.oneof(
    fc.constantFrom('name', 'birthdate', 'identifier', '_id', '_sort', 'link', '_lastUpdated'),
    fc.string({ maxLength: 12 }),
  );
  const modifier = fc.constantFrom(
    '',
    ':exact',
    ':not',
    ':missing',
    ':Patient',
    ':identifier',
    ':',
  );
  const pair = fc.tuple(
    fc.tuple(name, modifier).map((parts) => parts.join('')),
    fc.string(),
  );
  fc.assert(
    fc.property(
      fc.constantFrom(...resourceTypes()),
      fc.array(pair, { maxLength: 4 }),
      (type, pairs) => {
        const { query } = parseSearch(type, pairs as [string, string][], OPTIONS);
        expect(() =>
          query.clauses.map((clause) => clause.test({ resourceType: type })),
        ).not.toThrow();
      },
    ),
    { numRuns: 2_000 },
  );
});
