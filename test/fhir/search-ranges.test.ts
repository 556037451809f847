// Searches by dates, quantities and birth dates, with all prefixes and precisions.
import { describe, expect, it } from 'vitest';
import type { Resource } from '../../src/model/resource.ts';
import { encounter, observation, patient, without } from './samples.ts';
import { isFound } from './simulate.ts';

type Row = [query: string, found: boolean];

function check(rows: Row[], sample: Resource): void {
  it.each(rows)('%s -> %s', (query, found) => expect(isFound(sample, query)).toBe(found));
}

describe('a time (2024-03-05T09:30:00Z)', () => {
  check(
    [
      ['date=2024', true],
      ['date=2024-03', true],
      ['date=2024-03-05', true],
      ['date=eq2024-03-05', true],
      ['date=2024-03-05T09:30Z', true],
      ['date=2024-03-05T10:30:00%2B01:00', true],
      ['date=2024-03-05T10:30:00+01:00', true],
      ['date=2024-03-06', false],
      ['date=ne2024-03-05', false],
      ['date=ne2024-03-06', true],
      ['date=gt2024-03-04', true],
      ['date=gt2024-03-05', false],
      ['date=ge2024-03-05', true],
      ['date=ge2024-03-06', false],
      ['date=lt2024-03-05', false],
      ['date=lt2024-03-05T09:30:00Z', false],
      ['date=lt2024-03-05T09:31Z', true],
      ['date=le2024-03-05', true],
      ['date=le2024-03-04', false],
      ['date=sa2024-03-04', true],
      ['date=sa2024-03-05', false],
      ['date=eb2024-03-06', true],
      ['date=eb2024-03-05', false],
      ['date=2023,2024', true],
      ['date=2022,2025', false],
      ['date=ne2024,2023', false],
      ['date=ge2024-03-01&date=lt2024-04-01', true],
      ['date=ge2024-03-01&date=lt2024-03-02', false],
      ['date:missing=false', true],
      ['date:missing=true', false],
    ],
    observation(),
  );
  check(
    [
      ['date:missing=true', true],
      ['date=ne2024', false],
    ],
    without(observation(), 'effectiveDateTime'),
  );
});

describe('a period', () => {
  check(
    [
      ['date=2024-03', true],
      ['date=2024-03-01', false],
      ['date=ge2024-03-02', true],
      ['date=gt2024-03-31', false],
      ['date=lt2024-03-02', true],
      ['date=lt2024-03-01', false],
      ['date=sa2024-02', true],
      ['date=sa2024-03-01', false],
      ['date=eb2024-04', true],
      ['date=eb2024-03-10', false],
    ],
    encounter({ period: { start: '2024-03-01', end: '2024-03-10' } }),
  );
  check(
    [
      ['date=ge2030', true],
      ['date=2024', false],
      ['date=lt2024-03-01', false],
      ['date=eb2030', false],
    ],
    encounter({ period: { start: '2024-03-01' } }),
  );
});

describe('a quantity (13.5 g/dL)', () => {
  check(
    [
      ['value-quantity=13.5', true],
      ['value-quantity=13.50', true],
      ['value-quantity=14', true],
      ['value-quantity=13', true],
      ['value-quantity=13.0', false],
      ['value-quantity=13.5|http://unitsofmeasure.org|g/dL', true],
      ['value-quantity=13.5||g/dL', true],
      ['value-quantity=13.5|http://unitsofmeasure.org|mg', false],
      ['value-quantity=gt13', true],
      ['value-quantity=gt13.5', false],
      ['value-quantity=ge13.5', true],
      ['value-quantity=lt13.5', false],
      ['value-quantity=lt14', true],
      ['value-quantity=le13.5', true],
      ['value-quantity=ne13.5', false],
      ['value-quantity=ne12', true],
      ['value-quantity=sa13', true],
      ['value-quantity=eb13', false],
      ['value-quantity=1.35e1', true],
      ['value-quantity=gt10&value-quantity=lt20', true],
      ['value-quantity=1,13.5', true],
      ['value-quantity=lt1,gt20', false],
      ['value-quantity:missing=false', true],
    ],
    observation(),
  );
  check(
    [
      ['value-quantity=lt3', true],
      ['value-quantity=gt6', false],
      ['value-quantity=5', false],
    ],
    observation({ valueQuantity: { value: 5, comparator: '<' } }),
  );
});

describe('a birth date', () => {
  check(
    [
      ['birthdate=1980-02-29', true],
      ['birthdate=1980-02', true],
      ['birthdate=1980', true],
      ['birthdate=1980-03', false],
      ['birthdate=ne1980', false],
      ['birthdate=ne1981', true],
      ['birthdate=gt1980-02-28', true],
      ['birthdate=gt1980-02-29', false],
      ['birthdate=ge1980-02-29', true],
      ['birthdate=ge1979-12-31', true],
      ['birthdate=gt1980', false],
      ['birthdate=lt1980-03', true],
      ['birthdate=lt1980-02-29', false],
      ['birthdate=le1980-02-29', true],
      ['birthdate=le1980', true],
      ['birthdate=lt2100', true],
      ['birthdate=gt1700', true],
      ['birthdate=ge1970&birthdate=lt1990', true],
      ['birthdate=ge1990&birthdate=lt2000', false],
      ['birthdate=1979,1980', true],
      ['birthdate=sa1980-02-28', true],
      ['birthdate=eb1980-03', true],
      ['birthdate=ge1980-02-29T00:00:00Z', true],
      ['birthdate:missing=false', true],
    ],
    patient(),
  );
  check(
    [
      ['birthdate=1980-02', true],
      ['birthdate=1980-02-01', false],
      ['birthdate=gt1980-02-10', true],
      ['birthdate=lt1980-02-10', true],
      ['birthdate=sa1980-02-10', false],
      ['birthdate=gt1980-03', false],
    ],
    patient({ birthDate: '1980-02' }),
  );
  check(
    [
      ['birthdate=1980', true],
      ['birthdate=gt1980-06-15', true],
      ['birthdate=lt1980-06-15', true],
      ['birthdate=gt1981', false],
    ],
    patient({ birthDate: '1980' }),
  );
  check(
    [
      ['birthdate=lt1750', true],
      ['birthdate=gt1750', false],
      ['birthdate=1701', true],
    ],
    patient({ birthDate: '1701' }),
  );
});
