// Offsets of an IANA time zone at a local time. Reads no clock: the local time comes in.

export interface LocalTime {
  year: number;
  month: number;
  day: number;
  hour: number;
  minute: number;
}

export interface ZoneOffset {
  /** `+01:00` */
  offset: string;
  /** `twice`: the clock was set back over it, the first pass was taken. `never`: set forward. */
  occurs: 'once' | 'twice' | 'never';
}

export type Zone = (local: LocalTime) => ZoneOffset;

const REMEMBERED_MAX = 2000;
const HOURS_24_MS = 86_400_000;

/** Opens a zone by its IANA name. Throws RangeError for a name that is not known. */
export function openZone(name: string): Zone {
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone: name,
    calendar: 'iso8601',
    numberingSystem: 'latn',
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
    second: 'numeric',
  });
  const remembered = new Map<number, ZoneOffset>();
  return (local) => {
    const wall = wallMs(local);
    const known = remembered.get(wall);
    if (known !== undefined) return known;
    if (remembered.size >= REMEMBERED_MAX) remembered.clear();
    const found = findOffset(format, wall);
    remembered.set(wall, found);
    return found;
  };
}

/** Tries the offsets of the day before and the day after: one transition at most lies between. */
function findOffset(format: Intl.DateTimeFormat, wall: number): ZoneOffset {
  const before = offsetAt(format, wall - HOURS_24_MS);
  const after = offsetAt(format, wall + HOURS_24_MS);
  const fitsBefore = offsetAt(format, wall - before) === before;
  const fitsAfter = offsetAt(format, wall - after) === after;
  const occurs = before === after ? 'once' : fitsBefore && fitsAfter ? 'twice' : 'once';
  if (fitsBefore) return { offset: formatOffset(before), occurs };
  if (fitsAfter) return { offset: formatOffset(after), occurs: 'once' };
  return { offset: formatOffset(before), occurs: 'never' };
}

/** Offset in ms of the zone at an instant, to the minute. */
function offsetAt(format: Intl.DateTimeFormat, instant: number): number {
  const parts: Record<string, number> = {};
  for (const { type, value } of format.formatToParts(instant)) parts[type] = Number(value);
  const { year = 0, month = 0, day = 0, hour = 0, minute = 0 } = parts;
  const local = wallMs({ year, month, day, hour, minute });
  return Math.round((local - Math.floor(instant / 60_000) * 60_000) / 60_000) * 60_000;
}

function wallMs({ year, month, day, hour, minute }: LocalTime): number {
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  return date.setUTCHours(hour, minute, 0, 0);
}

function formatOffset(offsetMs: number): string {
  const minutes = Math.abs(Math.round(offsetMs / 60_000));
  const hh = String(Math.floor(minutes / 60)).padStart(2, '0');
  const mm = String(minutes % 60).padStart(2, '0');
  return `${offsetMs < 0 ? '-' : '+'}${hh}:${mm}`;
}
