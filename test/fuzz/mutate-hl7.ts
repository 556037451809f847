// Mutations that know HL7v2: segments, fields, repetitions, components, delimiters, escapes.
import { mutateText, ODD_TEXTS } from './mutate-text.ts';
import type { Random } from './random.ts';

const ESCAPES = [
  '\\F\\',
  '\\S\\',
  '\\T\\',
  '\\R\\',
  '\\E\\',
  '\\X0C\\',
  '\\XD800\\',
  '\\.br\\',
  '\\Z1\\',
  '\\H',
];
const TIMES = [
  '20260230',
  '20261301',
  '2026010125',
  '20260101+2400',
  '0000',
  '20260101000000.99999+0060',
];
const SEPARATORS = ['^', '~', '&', '|', '\\'];

/** `text` has its segments ended by CR. The answer may be no message at all any more. */
export function mutateHl7(random: Random, text: string): string {
  let segments = text.split('\r').filter((segment) => segment !== '');
  for (let left = 1 + random.below(3); left > 0; left -= 1)
    segments = changeSegments(random, segments);
  const end = random.chance(0.1) ? random.pick(['', '\n', '\r\n', '\r\r', '\rtrailing']) : '\r';
  const whole = segments.join(random.chance(0.05) ? '\n' : '\r') + end;
  return random.chance(0.1) ? mutateText(random, whole) : whole;
}

function changeSegments(random: Random, segments: string[]): string[] {
  const at = random.below(segments.length);
  const segment = segments[at] ?? '';
  switch (random.below(8)) {
    case 0:
      return segments.toSpliced(at, 1);
    case 1:
      return segments.toSpliced(at, 0, ...Array(1 + random.below(20)).fill(segment));
    case 2:
      return segments.toSpliced(at, 1).toSpliced(random.below(segments.length), 0, segment);
    case 3:
      return segments.toSpliced(at, 1, segment.slice(0, random.below(segment.length + 1)));
    case 4:
      return segments.toSpliced(
        at,
        0,
        random.pick(['ZZZ|1|2^3', 'XX|', 'pid|1', 'MSH', '', 'NTE|1||x']),
      );
    default:
      return segments.toSpliced(at, 1, changeField(random, segment));
  }
}

function changeField(random: Random, segment: string): string {
  const fields = segment.split('|');
  const at = random.below(fields.length + 2);
  while (fields.length <= at) fields.push('');
  const field = fields[at] ?? '';
  fields[at] = random.pick([
    () => '',
    () => '""',
    () => random.pick(ODD_TEXTS),
    () => field + random.pick(ESCAPES) + field,
    () => random.pick(TIMES),
    () =>
      Array(2 + random.below(50))
        .fill(field)
        .join(random.pick(SEPARATORS)),
    () => field.split('').reverse().join(''),
    () => mutateText(random, field),
  ])();
  return fields.join('|');
}
