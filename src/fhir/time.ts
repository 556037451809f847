// Owns FHIR's date, dateTime, instant and time: their form, the calendar, and the span of
// milliseconds that a value of some precision covers. It knows no time zone but UTC.

export interface Span {
  /** ms since the epoch, both inclusive. */
  low: number;
  high: number;
}

/** Ends of an open period; within what a JavaScript Date can hold. */
export const TIME_MIN = -8.64e15;
export const TIME_MAX = 8.64e15;

/** Year, month, day, hour, minute, second, fraction, zone. */
const FORM = new RegExp(
  '^(\\d{4})(?:-(\\d\\d)(?:-(\\d\\d)' +
    '(?:T(\\d\\d):(\\d\\d)(?::(\\d\\d)(?:\\.(\\d{1,9}))?)?(Z|[+-]\\d\\d:\\d\\d)?)?)?)?$',
);

/**
 * The span of a FHIR date or dateTime: `2020-02` is all of February. Minutes without seconds and a
 * missing zone (UTC) are taken, as a search allows. null = not of that form, or no such day.
 */
export function spanOf(text: string): Span | null {
  const m = FORM.exec(text);
  if (!m || !isDay(m)) return null;
  const [, year, month, day, hour, minute, second, fraction, zone] = m;
  const y = Number(year);
  if (month === undefined) return { low: utc(y, 1, 1), high: utc(y + 1, 1, 1) - 1 };
  const mo = Number(month);
  if (day === undefined) return { low: utc(y, mo, 1), high: utc(y, mo + 1, 1) - 1 };
  const low = utc(y, mo, Number(day));
  if (hour === undefined) return { low, high: low + 86_399_999 };
  if (!isTime(hour, minute, second) || !isZone(zone)) return null;
  const start = low + Number(hour) * 3_600_000 + Number(minute) * 60_000 - offsetOf(zone);
  if (second === undefined) return { low: start, high: start + 59_999 };
  const at = start + Number(second) * 1000;
  if (fraction === undefined) return { low: at, high: at + 999 };
  // Finer than a millisecond is cut off.
  const step = fraction.length >= 3 ? 1 : 10 ** (3 - fraction.length);
  const from = at + Number(fraction.padEnd(3, '0').slice(0, 3));
  return { low: from, high: from + step - 1 };
}

/** Whether it is a FHIR `date`, `dateTime`, `instant` or `time` (R4 datatypes.html#primitive). */
export function isTemporal(type: string, text: string): boolean {
  switch (type) {
    case 'date':
      return text.length <= 10 && spanOf(text) !== null;
    case 'dateTime':
      return text.length <= 10
        ? spanOf(text) !== null
        : text.length > 19 && isZoned(text) && spanOf(text) !== null;
    case 'instant':
      return text.length > 19 && isZoned(text) && spanOf(text) !== null;
    default:
      return /^([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d+)?$/.test(text);
  }
}

/** Seconds and a zone are there: `Z` or `+hh:mm` at the end, `:` before the seconds. */
function isZoned(text: string): boolean {
  if (text[16] !== ':') return false;
  return text.endsWith('Z') || text[text.length - 3] === ':';
}

function isDay(m: RegExpExecArray): boolean {
  const year = Number(m[1]);
  if (year === 0) return false;
  if (m[2] === undefined) return true;
  const month = Number(m[2]);
  if (month < 1 || month > 12) return false;
  if (m[3] === undefined) return true;
  const day = Number(m[3]);
  return day >= 1 && day <= daysIn(year, month);
}

/** Days of a month, 1 = January. */
export function daysIn(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}

function isTime(hour: string, minute = '00', second = '00'): boolean {
  return Number(hour) <= 23 && Number(minute) <= 59 && Number(second) <= 60;
}

function isZone(zone: string | undefined): boolean {
  if (zone === undefined || zone === 'Z') return true;
  const hours = Number(zone.slice(1, 3));
  const minutes = Number(zone.slice(4));
  return minutes <= 59 && (hours <= 13 || (hours === 14 && minutes === 0));
}

function offsetOf(zone: string | undefined): number {
  if (zone === undefined || zone === 'Z') return 0;
  const ms = Number(zone.slice(1, 3)) * 3_600_000 + Number(zone.slice(4)) * 60_000;
  return zone.startsWith('-') ? -ms : ms;
}

/** Date.UTC reads the years 0 to 99 as 1900 to 1999. */
function utc(year: number, month: number, day: number): number {
  if (year >= 100) return Date.UTC(year, month - 1, day);
  return new Date(0).setUTCFullYear(year, month - 1, day);
}
