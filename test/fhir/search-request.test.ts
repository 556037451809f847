// The request around the parameters: paging, sorting, totals, and what is refused with which words.
import { describe, expect, it } from 'vitest';
import { parseSearch } from '../../src/fhir/search.ts';
import { OPTIONS } from './simulate.ts';

function parse(text: string, type = 'Observation', lenient = false) {
  return parseSearch(type, new URLSearchParams(text), { ...OPTIONS, lenient });
}

describe('controls', () => {
  const rows: [string, object][] = [
    ['', { count: 20, total: 'none', sort: { by: 'lastUpdated', descending: true } }],
    ['_count=5', { count: 5 }],
    ['_count=100000', { count: 100 }],
    ['_count=0', { count: 0, total: 'accurate' }],
    ['_summary=count', { count: 0, total: 'accurate' }],
    ['_total=accurate', { total: 'accurate' }],
    ['_total=none', { total: 'none' }],
    ['_sort=date', { sort: { by: { param: 'date' }, descending: false } }],
    ['_sort=-date', { sort: { by: { param: 'date' }, descending: true } }],
    ['_sort=_lastUpdated', { sort: { by: 'lastUpdated', descending: false } }],
    ['_sort=-_id', { sort: { by: 'id', descending: true } }],
    ['_cursor=abc_1-2.3', { cursor: 'abc_1-2.3', applied: [] }],
    [
      '_format=json&status=final&_count=3',
      {
        applied: [
          ['_format', 'json'],
          ['status', 'final'],
          ['_count', '3'],
        ],
      },
    ],
  ];
  it.each(rows)('%s', (text, expected) => {
    const { query, issues } = parse(text);
    expect(issues).toEqual([]);
    expect(query).toMatchObject(expected);
  });

  it('gives shared places one name in the index', () => {
    const names = (text: string) =>
      parse(text)
        .query.tokens.flat()
        .map((term) => term.param);
    expect(names('patient=1')).toEqual(['subject']);
    expect(names('subject=Patient/1')).toEqual(['subject']);
  });
});

describe('refusals', () => {
  const rows: [string, string, string?][] = [
    ['hair=red', 'not-supported'],
    ['constructor=x', 'not-supported'],
    ['status:in=x', 'not-supported'],
    ['code:text=x', 'not-supported'],
    ['date:exact=2024', 'not-supported'],
    ['patient.name=x', 'not-supported'],
    ['subject:Patient.name=x', 'not-supported'],
    ['_has:Observation:patient:code=x', 'not-supported'],
    ['_include=Observation:patient', 'not-supported'],
    ['_include:iterate=Observation:patient', 'not-supported'],
    ['_elements=id', 'not-supported'],
    ['_summary=text', 'not-supported'],
    ['_sort=status', 'not-supported'],
    ['_sort=date,status', 'not-supported'],
    ['_sort=-birthdate', 'not-supported', 'Patient'],
    ['name:contains=x', 'not-supported', 'Patient'],
    ['value-string=x', 'not-supported'],
    ['date=ap2024', 'not-supported'],
    ['subject:Encounter=1', 'value'],
    ['date=yesterday', 'value'],
    ['date=2024-02-30', 'value'],
    ['value-quantity=much', 'value'],
    ['status:missing=maybe', 'value'],
    ['patient=Group/1', 'value'],
    ['patient=a b', 'value'],
    ['_id=a/b', 'value'],
    ['_count=-1', 'value'],
    ['_count=x', 'value'],
    ['_total=some', 'value'],
    ['_cursor=<x>', 'value'],
    ['name=--', 'value', 'Patient'],
    [`status=${'x,'.repeat(64)}x`, 'value'],
    [`code=${'x'.repeat(2001)}`, 'value'],
    ['status=final&'.repeat(65), 'value'],
  ];
  it.each(rows)('%s', (text, code, type) => {
    const { issues } = parse(text, type);
    expect(issues.map((issue) => [issue.severity, issue.code])).toEqual([['error', code]]);
  });

  it('tells all faults at once, and none of the values', () => {
    const { issues } = parse('hair=Zaphod&date=Zaphod&patient=Group/Zaphod&Zaphod Beeblebrox=1');
    expect(issues).toHaveLength(4);
    expect(JSON.stringify(issues)).not.toContain('Zaphod');
  });

  it('with handling=lenient leaves an unknown parameter out and says so', () => {
    const { issues, query } = parse('hair=red&status=final', 'Observation', true);
    expect(issues.map((issue) => issue.severity)).toEqual(['warning']);
    expect(query.applied).toEqual([['status', 'final']]);
  });

  it('does not forgive a bad value in lenient handling', () => {
    expect(parse('date=yesterday', 'Observation', true).issues[0]?.severity).toBe('error');
  });
});
