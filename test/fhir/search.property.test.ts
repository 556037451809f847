// Random resources and searches: the index never loses what the check in clear finds, and where a
// search calls itself exact, both agree. A failure prints its seed.
import fc from 'fast-check';
import { describe, it } from 'vitest';
import { observation, patient } from './samples.ts';
import { isFound } from './simulate.ts';

const two = (value: number): string => String(value).padStart(2, '0');

/** Few values, so that searches meet resources often. */
const word = fc.constantFrom(
  'anna',
  'Änne',
  'annabella',
  "o'neil",
  'berg',
  'Berg-Alm',
  'x',
  'Zoë Li',
);
const code = fc.constantFrom('A', 'a', 'b', 'C d', 'a|b', 'a,b');
const system = fc.constantFrom('http://one', 'http://two', undefined);
const year = fc.integer({ min: 1795, max: 1805 }).map((y) => (y % 2 === 0 ? y : y + 180));
const date = fc
  .tuple(year, fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 28 }), fc.nat(2))
  .map(([y, m, d, precision]) =>
    [`${y}`, `-${two(m)}`, `-${two(d)}`].slice(0, precision + 1).join(''),
  );
const time = fc
  .tuple(date, fc.integer({ min: 0, max: 23 }), fc.constantFrom('Z', '+05:30', '-08:00'))
  .map(([day, hour, zone]) => (day.length === 10 ? `${day}T${two(hour)}:30:00${zone}` : day));
const number = fc.constantFrom(0, 1, 1.5, 1.05, 2, 10, 100, -1, 99.9);
const prefix = fc.constantFrom('', 'eq', 'ne', 'gt', 'lt', 'ge', 'le', 'sa', 'eb');

const somePatient = fc.record({
  name: fc.array(
    fc.record({ family: word, given: fc.array(word, { minLength: 1, maxLength: 2 }), text: word }),
    { minLength: 1, maxLength: 2 },
  ),
  birthDate: fc.option(date, { nil: undefined }),
  identifier: fc.array(fc.record({ system, value: code }), { minLength: 1, maxLength: 3 }),
  address: fc.array(fc.record({ city: word, line: fc.tuple(word) }), {
    minLength: 1,
    maxLength: 2,
  }),
  active: fc.constantFrom(true, false, undefined),
});

const escapeValue = (text: string): string => text.replace(/[\\,|$]/g, '\\$&');
const list = (value: fc.Arbitrary<string>) =>
  fc.array(value, { minLength: 1, maxLength: 3 }).map((values) => values.join(','));
const param = (names: string[], value: fc.Arbitrary<string>) =>
  fc.tuple(fc.constantFrom(...names), list(value)).map((pair): [string, string] => pair);

const tokenValue = fc
  .tuple(fc.constantFrom('', '|', 'http://one|', 'http://two|'), code)
  .map(([before, value]) => before + escapeValue(value));
const patientSearch = fc.oneof(
  param(['name', 'family', 'given', 'address', 'address-city', 'name:exact', 'family:exact'], word),
  param(
    ['birthdate'],
    fc.tuple(prefix, fc.oneof(date, time)).map((pair) => pair.join('')),
  ),
  param(['identifier', 'identifier:not'], tokenValue),
  param(['active', 'active:not'], fc.constantFrom('true', 'false')),
  fc.tuple(
    fc.constantFrom('birthdate:missing', 'active:missing'),
    fc.constantFrom('true', 'false'),
  ),
);

const someObservation = fc.record({
  effective: fc.oneof(
    time.map((effectiveDateTime) => ({ effectiveDateTime })),
    fc.tuple(time, time).map(([start, end]) => ({ effectivePeriod: { start, end } })),
    time.map((start) => ({ effectivePeriod: { start } })),
    fc.constant({}),
  ),
  value: fc.oneof(
    number.map((value) => ({ valueQuantity: { value, unit: 'g' } })),
    number.map((value) => ({ valueQuantity: { value, comparator: '<' } })),
    fc.constant({}),
  ),
  subject: fc.constantFrom('Patient/a', 'Group/a', 'Patient/b', 'http://x.example/Patient/a'),
});

const observationSearch = fc.oneof(
  param(
    ['date'],
    fc.tuple(prefix, time).map((pair) => pair.join('')),
  ),
  param(
    ['value-quantity'],
    fc.tuple(prefix, number).map((pair) => pair.join('')),
  ),
  param(
    ['value-quantity'],
    fc.tuple(prefix, number).map((pair) => `${pair.join('')}||g`),
  ),
  param(['subject', 'patient', 'subject:Patient'], fc.constantFrom('a', 'b', 'Patient/a')),
  fc.tuple(
    fc.constantFrom('date:missing', 'value-quantity:missing'),
    fc.constantFrom('true', 'false'),
  ),
  fc.tuple(
    fc.constant('_lastUpdated'),
    fc.tuple(prefix, time).map((pair) => pair.join('')),
  ),
);

const texts = (search: fc.Arbitrary<[string, string]>) =>
  fc
    .array(search, { minLength: 1, maxLength: 3 })
    .map((pairs) => new URLSearchParams(pairs).toString());

describe('index and clear check', () => {
  it('agree on patients', () => {
    fc.assert(
      fc.property(somePatient, texts(patientSearch), (elements, text) => {
        isFound(patient(elements), text);
      }),
      { numRuns: 3_000 },
    );
  });

  it('agree on observations', () => {
    fc.assert(
      fc.property(someObservation, texts(observationSearch), (some, text) => {
        const { effective, value, subject } = some;
        const absent = { effectiveDateTime: undefined, valueQuantity: undefined };
        const elements = { ...absent, ...effective, ...value, subject: { reference: subject } };
        isFound(observation(elements), text);
      }),
      { numRuns: 3_000 },
    );
  });
});
