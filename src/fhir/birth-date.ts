// Owns the blind buckets of a birth date: equality tokens for decade, year, month and day, so that
// ranges can be searched although the index holds no dates. Times of other kinds are ranges.
import { daysIn } from './time.ts';

const YEAR_MIN = 1800;
const YEAR_MAX = 2099;

/** Buckets of years that are not decades of their own. */
const BEFORE = '<';
const AFTER = '>';

/**
 * Buckets of one date: `198`, `1980`, `1980-05`, `1980-05-12`; a date that is less precise ends
 * in its own marked bucket (`1980~`), because a range must find it without finding all of 1980.
 */
export function birthBuckets(date: string): string[] {
  const m = /^(\d{4})(?:-(\d\d)(?:-(\d\d))?)?/.exec(date);
  if (!m) return [];
  const [, year = '', month, day] = m;
  const buckets = [decadeOf(Number(year)), year];
  if (month === undefined) return [...buckets, `${year}~`];
  buckets.push(`${year}-${month}`);
  if (day === undefined) return [...buckets, `${year}-${month}~`];
  return [...buckets, `${year}-${month}-${day}`];
}

/** The bucket of a search value: what it contains, at its own precision. */
export function birthBucketOf(date: string): string {
  return date.slice(0, 10);
}

/**
 * Buckets that hold every date which touches the days from `from` to `to` (YYYY-MM-DD); undefined
 * = open. Dates outside 1800 to 2099 are in two coarse buckets, so the answer is a superset.
 */
export function birthRange(from: string | undefined, to: string | undefined): string[] {
  const buckets: string[] = [];
  const low = from ?? '';
  const high = to ?? '9999';
  if (low.slice(0, 4) < String(YEAR_MIN)) buckets.push(BEFORE);
  if (high.slice(0, 4) > String(YEAR_MAX)) buckets.push(AFTER);
  for (let decade = YEAR_MIN; decade <= YEAR_MAX; decade += 10) {
    addPeriod(
      buckets,
      decadeOf(decade),
      `${decade}-01-01`,
      `${decade + 9}-12-31`,
      low,
      high,
      () => {
        for (let year = decade; year < decade + 10; year++) addYear(buckets, year, low, high);
      },
    );
  }
  return buckets;
}

function addYear(buckets: string[], year: number, low: string, high: string): void {
  addPeriod(buckets, String(year), `${year}-01-01`, `${year}-12-31`, low, high, () => {
    buckets.push(`${year}~`);
    for (let month = 1; month <= 12; month++) addMonth(buckets, year, month, low, high);
  });
}

function addMonth(buckets: string[], year: number, month: number, low: string, high: string): void {
  const name = `${year}-${two(month)}`;
  const days = daysIn(year, month);
  addPeriod(buckets, name, `${name}-01`, `${name}-${two(days)}`, low, high, () => {
    buckets.push(`${name}~`);
    for (let day = 1; day <= days; day++) {
      const date = `${name}-${two(day)}`;
      if (date >= low && date <= high) buckets.push(date);
    }
  });
}

/** Takes the whole bucket when the range covers it, goes into it when it touches it. */
function addPeriod(
  buckets: string[],
  name: string,
  first: string,
  last: string,
  low: string,
  high: string,
  enter: () => void,
): void {
  if (last < low || first > high) return;
  if (first >= low && last <= high) buckets.push(name);
  else enter();
}

function decadeOf(year: number): string {
  if (year < YEAR_MIN) return BEFORE;
  return year > YEAR_MAX ? AFTER : String(Math.floor(year / 10));
}

function two(value: number): string {
  return value < 10 ? `0${value}` : String(value);
}
