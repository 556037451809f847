// HL7 TS/DTM, DT and TM texts to FHIR date, dateTime, instant and time (v2.5.1 section 2.A.22,
// FHIR R4 datatypes). Precision is kept: nothing is invented but `:00` where FHIR demands it.

import { tableOf } from '../model/table.ts';
import type { LocalTime, Zone } from './zone.ts';

export interface Converted {
  /** undefined = the text is not of the form. */
  value: string | undefined;
  /** The zone was not in the text and came from the channel. */
  assumedZone: boolean;
  occurs: 'once' | 'twice' | 'never';
  /** The text is a date with an offset and no time: FHIR has no such thing, the date was kept. */
  droppedOffset?: true;
}

const DTM =
  /^(\d{4})(?:(\d{2})(?:(\d{2})(?:(\d{2})(?:(\d{2})(?:(\d{2})(\.\d{1,9})?)?)?)?)?)?([+-]\d{4})?$/;
const FHIR =
  /^(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)?)?)?)?$/;
const TM = /^(\d{2})(?:(\d{2})(?:(\d{2})(\.\d{1,9})?)?)?(?:[+-]\d{4})?$/;
const TM_OFFSET = /[+-]\d{4}$/;
const FHIR_TIME = /^(\d{2}):(\d{2})(?::(\d{2})(\.\d{1,9})?)?$/;

/** How many groups of DTM the degree of precision of v2.3 (TS.2) leaves. */
const DEGREE: Record<string, number> = tableOf({ Y: 1, L: 2, D: 3, H: 4, M: 5, S: 7 });

interface Parts {
  groups: string[];
  zone: string;
}

/** A dateTime as precise as the text; `degree` is TS.2 or ''. FHIR's own form passes as it is. */
export function toDateTime(text: string, degree: string, zone: Zone): Converted {
  const parts = readParts(text, degree);
  if (parts === undefined) return { value: undefined, assumedZone: false, occurs: 'once' };
  const [year = '', month, day, hour, minute = '00', second = '00', fraction = ''] = parts.groups;
  const date = [year, month, day].filter((part) => part !== undefined).join('-');
  if (hour === undefined) {
    const plain: Converted = { value: date, assumedZone: false, occurs: 'once' };
    return parts.zone === '' ? plain : { ...plain, droppedOffset: true };
  }
  const time = `${date}T${hour}:${minute}:${second}${fraction}`;
  if (parts.zone !== '') {
    return { value: time + parts.zone, assumedZone: false, occurs: 'once' };
  }
  const { offset, occurs } = zone(localTime(year, month, day, hour, minute));
  return { value: time + offset, assumedZone: true, occurs };
}

/** As toDateTime, but only a text that goes to the second. */
export function toInstant(text: string, degree: string, zone: Zone): Converted {
  const parts = readParts(text, degree);
  if (parts === undefined || parts.groups[5] === undefined) {
    return { value: undefined, assumedZone: false, occurs: 'once' };
  }
  return toDateTime(text, degree, zone);
}

/** The date part, as precise as the text. */
export function toDate(text: string): string | undefined {
  const parts = readParts(text, '');
  return parts?.groups.slice(0, 3).join('-');
}

/** A time of day; minutes and seconds that are missing are `00`. */
export function toTime(text: string): string | undefined {
  const match = TM.exec(text) ?? FHIR_TIME.exec(text);
  if (match === null) return undefined;
  const [, hour = '', minute = '00', second = '00', fraction = ''] = match;
  if (Number(hour) > 23 || Number(minute) > 59 || Number(second) > 59) return undefined;
  if (!isOffset(TM_OFFSET.exec(text)?.[0] ?? '')) return undefined;
  return `${hour}:${minute}:${second}${fraction}`;
}

function readParts(text: string, degree: string): Parts | undefined {
  const match = DTM.exec(text) ?? FHIR.exec(text);
  if (match === null) return undefined;
  const groups = match.slice(1, 8).filter((part) => part !== undefined);
  const zone = readZone(match[8] ?? '');
  // A part that cannot be makes the whole doubtful, also where TS.2 or the type would cut it off.
  if (!isCalendar(groups) || !isOffset(zone)) return undefined;
  return { groups: groups.slice(0, DEGREE[degree.toUpperCase()] ?? 7), zone };
}

/** `Z`, or an offset of at most 14 hours with minutes below 60 (FHIR R4, dateTime). */
function isOffset(zone: string): boolean {
  if (zone === '' || zone === 'Z') return true;
  const hours = Number(zone.slice(1, 3));
  const minutes = Number(zone.slice(-2));
  return minutes <= 59 && hours * 60 + minutes <= 14 * 60;
}

function readZone(zone: string): string {
  if (zone === '' || zone === 'Z' || zone.includes(':')) return zone;
  return `${zone.slice(0, 3)}:${zone.slice(3)}`;
}

function isCalendar(groups: readonly string[]): boolean {
  const [year, month = 1, day = 1, hour = 0, minute = 0, second = 0] = groups.map(Number);
  if (year === undefined || year === 0 || month < 1 || month > 12 || day < 1) return false;
  if (day > daysIn(year, month)) return false;
  return hour <= 23 && minute <= 59 && second <= 59;
}

function daysIn(year: number, month: number): number {
  if (month === 2) return (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0 ? 29 : 28;
  return [4, 6, 9, 11].includes(month) ? 30 : 31;
}

function localTime(
  year: string,
  month: string | undefined,
  day: string | undefined,
  hour: string,
  minute: string,
): LocalTime {
  return {
    year: Number(year),
    month: Number(month),
    day: Number(day),
    hour: Number(hour),
    minute: Number(minute),
  };
}
