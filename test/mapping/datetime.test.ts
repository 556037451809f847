// HL7 times to FHIR: precision kept, zones, clock changes, what is no date.
import { describe, expect, it } from 'vitest';
import { toDate, toDateTime, toInstant, toTime } from '../../src/mapping/datetime.ts';
import { openZone } from '../../src/mapping/zone.ts';

const berlin = openZone('Europe/Berlin');

describe('dateTime', () => {
  it.each([
    ['1962', '1962'],
    ['196203', '1962-03'],
    ['19620320', '1962-03-20'],
    ['2024030108', '2024-03-01T08:00:00+01:00'],
    ['202403010830', '2024-03-01T08:30:00+01:00'],
    ['20240301083012', '2024-03-01T08:30:12+01:00'],
    ['20240301083012.120', '2024-03-01T08:30:12.120+01:00'],
    ['20240701083012', '2024-07-01T08:30:12+02:00'],
    ['20240301083012-0500', '2024-03-01T08:30:12-05:00'],
    ['20240301083012+0000', '2024-03-01T08:30:12+00:00'],
    ['19620320+0100', '1962-03-20'],
    ['20240229', '2024-02-29'],
    ['2024-03-01', '2024-03-01'],
    ['2024-03-01T08:30:12Z', '2024-03-01T08:30:12Z'],
    ['2024-03-01T08:30:12+01:00', '2024-03-01T08:30:12+01:00'],
    ['2024-03-01T08:30:12', '2024-03-01T08:30:12+01:00'],
  ])('%s is %s', (text, expected) => {
    expect(toDateTime(text, '', berlin).value).toBe(expected);
  });

  it.each([
    '',
    '00000000',
    '20230229',
    '20241301',
    '20240132',
    '2024013',
    '20240101240000',
    '20240101126000',
    '20240101120060',
    '20240101120000+1',
    'unknown',
    '20240301 0830',
    '01.03.2024',
  ])('refuses "%s"', (text) => {
    expect(toDateTime(text, '', berlin).value).toBeUndefined();
  });

  it('is cut to the degree of precision of v2.3', () => {
    const cut = (degree: string) => toDateTime('20240301083012', degree, berlin).value;
    expect(['Y', 'L', 'D', 'M', 'S', ''].map(cut)).toEqual([
      '2024',
      '2024-03',
      '2024-03-01',
      '2024-03-01T08:30:00+01:00',
      '2024-03-01T08:30:12+01:00',
      '2024-03-01T08:30:12+01:00',
    ]);
  });

  it.each([
    ['Europe/Berlin', '20240331013000', '+01:00', 'once'],
    ['Europe/Berlin', '20240331023000', '+01:00', 'never'],
    ['Europe/Berlin', '20240331033000', '+02:00', 'once'],
    ['Europe/Berlin', '20241027013000', '+02:00', 'once'],
    ['Europe/Berlin', '20241027023000', '+02:00', 'twice'],
    ['Europe/Berlin', '20241027033000', '+01:00', 'once'],
    ['America/New_York', '20240310023000', '-05:00', 'never'],
    ['America/New_York', '20241103013000', '-04:00', 'twice'],
    ['Australia/Lord_Howe', '20240407014500', '+11:00', 'twice'],
    ['Asia/Kathmandu', '20240407014500', '+05:45', 'once'],
    ['Pacific/Apia', '20111230120000', '-10:00', 'never'],
    ['UTC', '20240407014500', '+00:00', 'once'],
  ])('in %s at %s has the offset %s and occurs %s', (zone, text, offset, occurs) => {
    const converted = toDateTime(text, '', openZone(zone));
    expect(converted.value?.slice(19)).toBe(offset);
    expect(converted).toMatchObject({ assumedZone: true, occurs });
  });

  it('says when the zone was given', () => {
    expect(toDateTime('20240301083012+0100', '', berlin).assumedZone).toBe(false);
  });

  it('refuses a zone that is not known', () => {
    expect(() => openZone('Europe/Atlantis')).toThrow(RangeError);
  });
});

describe('the other types of time', () => {
  it('takes the date part', () => {
    expect(['1962', '196203', '196203201530', '20230229', ''].map(toDate)).toEqual([
      '1962',
      '1962-03',
      '1962-03-20',
      undefined,
      undefined,
    ]);
  });

  it('takes an instant only to the second', () => {
    const instant = (text: string) => toInstant(text, '', berlin).value;
    expect(instant('20240301083012')).toBe('2024-03-01T08:30:12+01:00');
    expect(instant('202403010830')).toBeUndefined();
    expect(instant('20240301')).toBeUndefined();
  });

  it.each([
    ['08', '08:00:00'],
    ['0830', '08:30:00'],
    ['083012.5', '08:30:12.5'],
    ['08:30', '08:30:00'],
    ['0830+0100', '08:30:00'],
    ['2430', undefined],
    ['x', undefined],
  ])('time %s is %s', (text, expected) => {
    expect(toTime(text)).toBe(expected);
  });
});
