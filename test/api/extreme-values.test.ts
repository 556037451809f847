// Valid FHIR values at the ends of their scales are stored, found and sorted; none is answered
// with a server's fault. A failure prints its seed.
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { fhirServer } from './fhir-server.ts';

const server = fhirServer();

const EDGES = [
  '1.7e308',
  '-1.7e308',
  '1.7976931348623157e308',
  '-1.7976931348623157e308',
  '5e-324',
  '1e-400',
  '-1e-400',
  '0e999',
  '0',
  '-0',
  '1e22',
  '9007199254740993',
  '0.00000000000000000000000001',
];
const digits = fc.integer({ min: 0, max: 999_999_999 }).map(String);
const decimal = fc.oneof(
  fc.constantFrom(...EDGES),
  fc
    .tuple(fc.constantFrom('', '-'), digits, digits, fc.integer({ min: -420, max: 298 }))
    .map(([sign, whole, part, power]) => `${sign}${whole}.${part}e${power}`),
);
const COMPARATORS = ['', '<', '<=', '>=', '>'];
const PREFIXES = ['', 'eq', 'ne', 'gt', 'lt', 'ge', 'le', 'sa', 'eb'];

/** Whether a double can hold it: what would become 0 or infinite is refused, not changed. */
function isHeld(text: string): boolean {
  const [mantissa = ''] = text.split('e');
  return Number(text) !== 0 ? Number.isFinite(Number(text)) : !/[1-9]/.test(mantissa);
}

function observation(id: string, value: string, comparator: string): string {
  const made = comparator === '' ? '' : `,"comparator":"${comparator}"`;
  const code = '"code":{"text":"c"}';
  const quantity = `"valueQuantity":{"value":${value}${made}}`;
  return `{"resourceType":"Observation","id":"${id}","status":"final",${code},${quantity}}`;
}

it('stores and finds every decimal with every comparator', async () => {
  let count = 0;
  await fc.assert(
    fc.asyncProperty(
      decimal,
      fc.constantFrom(...COMPARATORS),
      fc.constantFrom(...PREFIXES),
      decimal,
      async (value, comparator, prefix, wanted) => {
        const id = `n${count++}`;
        const body = observation(id, value, comparator);
        const told = `${value} ${comparator} ${prefix} ${wanted}`;
        const saved = await server.call(`PUT /Observation/${id}`, { body });
        expect(saved.status, `${told} ${saved.text}`).toBe(isHeld(value) ? 201 : 400);
        if (isHeld(value)) expect(saved.text).toContain(`"value":${value}`);
        const asked = await server.call(
          `GET /Observation?value-quantity=${prefix}${encodeURIComponent(wanted)}&_id=${id}`,
        );
        expect(asked.status, `${told} ${asked.text}`).toBe(200);
        if (comparator === '' && isHeld(value)) {
          const own = `/Observation?_id=${id}&value-quantity=`;
          for (const each of ['ge', 'le']) {
            const found = await server.call(`GET ${own}${each}${encodeURIComponent(value)}`);
            expect(found.body.entry, `${told} ${each}`).toHaveLength(1);
          }
        }
      },
    ),
    { numRuns: 150 },
  );
}, 60_000);

it('finds and pages open ranges beside points, whatever their width', async () => {
  const rows: [string, string, string][] = [
    ['w1', '1.7e308', '<'],
    ['w2', '-1.7e308', '>'],
    ['w3', '1', ''],
    ['w4', '-1.7976931348623157e308', '<='],
  ];
  for (const [id, value, comparator] of rows) {
    const body = observation(id, value, comparator);
    expect((await server.call(`PUT /Observation/${id}`, { body })).status).toBe(201);
  }
  const ids = async (query: string): Promise<string> => {
    const { body } = await server.call(`GET /Observation?_id=w1,w2,w3,w4&${query}`);
    const entries = (body.entry ?? []) as { resource: { id: string } }[];
    return entries.map(({ resource }) => resource.id).join(' ');
  };
  expect(await ids('value-quantity=gt1.69e308&_sort=_id')).toBe('w1 w2');
  expect(await ids('value-quantity=lt-1.69e308&_sort=_id')).toBe('w1 w2 w4');
  expect(await ids('value-quantity=1&_sort=_id')).toBe('w3');
});

it('stores and finds every day of the years 1 to 9999', async () => {
  let count = 0;
  const year = fc.oneof(
    fc.constantFrom(1, 2, 99, 100, 9998, 9999),
    fc.integer({ min: 1, max: 9999 }),
  );
  const date = fc
    .tuple(year, fc.constantFrom('', '-01', '-12', '-01-01', '-12-31', '-06-15'))
    .map(([y, rest]) => `${String(y).padStart(4, '0')}${rest}`);
  const TIMES = ['T00:00:00+14:00', 'T23:59:59-12:00', 'T23:59:60Z', 'T12:00:00.123456789Z'];
  const moment = fc
    .tuple(date, fc.constantFrom('', ...TIMES))
    .map(([day, time]) => (day.length === 10 ? day + time : day));
  await fc.assert(
    fc.asyncProperty(
      date,
      moment,
      moment,
      fc.constantFrom(...PREFIXES),
      async (born, at, asked, prefix) => {
        const id = `d${count++}`;
        const told = `${born} ${at} ${prefix} ${asked}`;
        const patient = { resourceType: 'Patient', id, birthDate: born };
        const effective =
          at.length > 10 ? { effectiveDateTime: at } : { effectivePeriod: { start: at } };
        const code = { text: 'c' };
        const seen = { resourceType: 'Observation', id, status: 'final', code, ...effective };
        for (const body of [patient, seen]) {
          const saved = await server.call(`PUT /${body.resourceType}/${id}`, { body });
          expect(saved.status, `${told} ${saved.text}`).toBe(201);
        }
        const value = encodeURIComponent(prefix + asked);
        const queries = [
          `Patient?birthdate=${value}`,
          `Observation?date=${value}&_sort=-date&_count=2`,
          `Observation?_lastUpdated=${value}`,
        ];
        for (const query of queries) {
          const found = await server.call(`GET /${query}&_total=accurate`);
          expect(found.status, `${query} ${found.text}`).toBe(200);
        }
        const own = await server.call(`GET /Patient?_id=${id}&birthdate=${born}`);
        expect(own.body.entry, told).toHaveLength(1);
      },
    ),
    { numRuns: 60 },
  );
}, 60_000);
