// The small codecs of fhir/: JSON with exact decimals, times, compartments, outcomes, bundles.
import { describe, expect, it } from 'vitest';
import { historyBundle, searchsetBundle } from '../../src/fhir/bundle.ts';
import { capabilityStatement } from '../../src/fhir/capability.ts';
import { isCompartmentType, patientCompartment } from '../../src/fhir/compartment.ts';
import { copyDecimals, keepDecimal, parseJson } from '../../src/fhir/json.ts';
import { OUTCOME_ISSUES_MAX, outcomeOfError, outcomeOfIssues } from '../../src/fhir/outcome.ts';
import { isTemporal, spanOf } from '../../src/fhir/time.ts';
import { validateResource } from '../../src/fhir/validate.ts';
import { EngineError } from '../../src/model/errors.ts';
import type { Issue } from '../../src/model/issue.ts';
import { observation, patient } from './samples.ts';

describe('parseJson', () => {
  it.each([
    '{"value":1.50}',
    '{"a":[{"value":0.10,"b":{"c":1e3}}],"d":-2.0}',
    '{"value":12345678901234567890.12}',
    '{"value":0.1234567890123456789}',
    '{"value":1,"text":"\\"x\\": 1.50, ]}"}',
    '{"a": "10:00:00.500"}'.replace(' ', ''),
  ])('writes %s as it was read', (text) => {
    expect(JSON.stringify(parseJson(text))).toBe(text);
  });

  it('gives numbers that are numbers', () => {
    const quantity = parseJson('{"value":1.50}') as { value: number };
    expect(quantity.value).toBe(1.5);
    expect(Object.keys(quantity)).toEqual(['value']);
    quantity.value = 2.5;
    expect(JSON.stringify(quantity)).toBe('{"value":2.5}');
  });

  it('keeps a decimal that a map made', () => {
    const quantity = { value: 7 };
    keepDecimal(quantity, 'value', '7.00');
    expect(JSON.stringify({ quantity })).toBe('{"quantity":{"value":7.00}}');
  });

  it('carries decimals over to a copy, which then keeps its own', () => {
    const quantity = parseJson('{"value":1.50}') as { value: number };
    expect(JSON.stringify({ ...quantity })).toBe('{"value":1.5}');
    const copy = copyDecimals(quantity, { ...quantity, unit: 'g' });
    keepDecimal(copy, 'value', '1.500');
    expect(JSON.stringify([quantity, copy])).toBe('[{"value":1.50},{"value":1.500,"unit":"g"}]');
  });

  const secret = 'Zaphod';
  it.each([
    ['no JSON', `{"name":"${secret}" x}`],
    ['nothing', ''],
    ['too deep', '['.repeat(65) + ']'.repeat(65)],
    ['too deep in objects', `${'{"a":'.repeat(65)}1${'}'.repeat(65)}`],
    ['not UTF-8', Buffer.from([0x22, 0xff, 0x22])],
  ])('refuses %s without quoting it', (_name, input) => {
    let thrown: unknown;
    try {
      parseJson(input);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toMatchObject({ code: 'BAD_REQUEST' });
    expect(String(thrown)).not.toContain(secret);
    expect((thrown as Error).cause).toBeUndefined();
  });

  it('takes 64 levels, a byte order mark, and brackets in strings', () => {
    expect(parseJson('['.repeat(64) + ']'.repeat(64))).toBeDefined();
    expect(parseJson(Buffer.from('\ufeff{}'))).toEqual({});
    expect(parseJson(`["${'['.repeat(99)}\\"${'{'.repeat(99)}"]`)).toHaveLength(1);
  });

  it('does not touch prototypes', () => {
    expect(() => parseJson('{"__proto__":{"polluted":1}}')).toThrow('named __proto__');
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  });
});

describe('times', () => {
  it.each([
    ['2024', '2024-01-01T00:00:00.000Z', '2024-12-31T23:59:59.999Z'],
    ['2024-02', '2024-02-01T00:00:00.000Z', '2024-02-29T23:59:59.999Z'],
    ['2023-02-28', '2023-02-28T00:00:00.000Z', '2023-02-28T23:59:59.999Z'],
    ['2024-03-05T09:30Z', '2024-03-05T09:30:00.000Z', '2024-03-05T09:30:59.999Z'],
    ['2024-03-05T09:30:15+02:00', '2024-03-05T07:30:15.000Z', '2024-03-05T07:30:15.999Z'],
    ['2024-03-05T09:30:15.5Z', '2024-03-05T09:30:15.500Z', '2024-03-05T09:30:15.599Z'],
    ['2024-03-05T09:30:15.123456Z', '2024-03-05T09:30:15.123Z', '2024-03-05T09:30:15.123Z'],
    ['0099-01-01', '0099-01-01T00:00:00.000Z', '0099-01-01T23:59:59.999Z'],
  ])('%s', (text, low, high) => {
    expect(spanOf(text)).toEqual({ low: Date.parse(low), high: Date.parse(high) });
  });

  it.each([
    ['time', '23:59:60', true],
    ['time', '24:00:00', false],
    ['date', '0000-01-01', false],
    ['instant', '2024-03-05T09:30:15Z', true],
    ['instant', '2024-03-05T09:30:15', false],
    ['dateTime', '2024-03-05T09:30:15.-5:00', false],
  ])('%s %s', (type, text, expected) => expect(isTemporal(type, text)).toBe(expected));
});

describe('patientCompartment', () => {
  const at = (reference: string) => ({ reference });
  it.each<[string, Record<string, unknown>, string | null]>([
    ['a patient', patient(), 'p1'],
    ['an observation', observation(), 'p1'],
    ['subject before performer', observation({ performer: [at('Patient/p2')] }), 'p1'],
    ['a performer alone', observation({ subject: undefined, performer: [at('Patient/p2')] }), 'p2'],
    ['another kind of subject', observation({ subject: at('Group/g') }), null],
    ['a foreign patient', observation({ subject: at('http://x.example/Patient/p9') }), null],
    ['a practitioner', { resourceType: 'Practitioner', id: 'x' }, null],
    [
      'several',
      { resourceType: 'Group', member: [{ entity: at('Patient/a') }, { entity: at('Patient/b') }] },
      null,
    ],
    [
      'the same twice',
      { resourceType: 'Account', subject: [at('Patient/a'), at('Patient/a')] },
      'a',
    ],
    [
      'a coverage',
      { resourceType: 'Coverage', beneficiary: at('Patient/a'), payor: [at('Patient/b')] },
      'a',
    ],
    [
      'a provenance',
      { resourceType: 'Provenance', target: [at('Observation/o'), at('Patient/a')] },
      'a',
    ],
  ])('%s', (_name, resource, expected) => {
    expect(patientCompartment(resource as { resourceType: string })).toBe(expected);
  });

  it('knows the types', () => {
    expect(isCompartmentType('Observation')).toBe(true);
    expect(isCompartmentType('Practitioner')).toBe(false);
  });
});

describe('outcomes', () => {
  const issue: Issue = { severity: 'error', code: 'value', at: 'Patient.id', text: 'x' };

  it('are valid FHIR', () => {
    const outcomes = [
      outcomeOfIssues([issue]),
      outcomeOfIssues([]),
      outcomeOfError(new EngineError('GONE')),
    ];
    for (const outcome of outcomes) expect(validateResource(outcome)).toEqual([]);
  });

  it('are bounded', () => {
    const outcome = outcomeOfIssues(Array.from({ length: OUTCOME_ISSUES_MAX + 5 }, () => issue));
    expect(outcome.issue).toHaveLength(OUTCOME_ISSUES_MAX + 1);
  });
});

describe('bundles', () => {
  const base = 'https://x.example/fhir/R4';
  const page = {
    url: `${base}/Patient`,
    parameters: [['name', 'a b']] as [string, string][],
    next: 'c1',
    total: 9,
  };

  it('are valid FHIR with links that keep the parameters', () => {
    const bundle = searchsetBundle(base, [patient()], page);
    expect(validateResource(bundle)).toEqual([]);
    expect(bundle.link).toEqual([
      { relation: 'self', url: `${base}/Patient?name=a+b` },
      { relation: 'next', url: `${base}/Patient?name=a+b&_cursor=c1` },
    ]);
  });

  it('have no empty entry', () => {
    expect(validateResource(searchsetBundle(base, [], page))).toEqual([]);
  });

  it('tell deleted and forgotten versions', () => {
    const version = { type: 'Patient', id: 'p1', version: 1, lastUpdated: 0, deleted: false };
    const bundle = historyBundle(
      base,
      [
        { ...version, resource: patient() },
        { ...version, version: 2, deleted: true, resource: null },
        { ...version, version: 3, resource: null },
      ],
      page,
    );
    expect(validateResource(bundle)).toEqual([]);
    const entry = bundle.entry as { response: { status: string } }[];
    expect(entry.map(({ response }) => response.status)).toEqual(['201', '204', '410']);
  });
});

it('the CapabilityStatement is valid FHIR', () => {
  const options = { baseUrl: 'https://x.example/fhir/R4', version: '1.0.0', date: '2026-11-22' };
  expect(validateResource(capabilityStatement(options))).toEqual([]);
});
