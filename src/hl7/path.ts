// Places in a message: `PID-3`, `PID-3.1`, `PID-3[1].4.2`, `OBX[2]-5`. Both indexes in brackets
// count from 0 and [0] is not written: PID-3[1] is the second repetition, OBX[2] the third OBX.
import type { Issue } from '../model/issue.ts';

export interface Path {
  segment: string;
  /** Which segment of that name, from 0. */
  occurrence: number;
  /** From 1; 0 = the whole segment. */
  field: number;
  /** From 0; undefined = not named: the first when one is read, all when all are asked for. */
  repetition: number | undefined;
  /** From 1; 0 = not named. */
  component: number;
  /** From 1; 0 = not named. */
  subcomponent: number;
}

const PLACE = /[-.](\d{1,4})(?:\[(\d{1,5})\])?(?:\.(\d{1,3})(?:\.(\d{1,3}))?)?/;
const PATTERN = new RegExp(`^([A-Z][A-Z0-9]{2})(?:\\[(\\d{1,5})\\])?(?:${PLACE.source})?$`);

/** Reads `PID-3[1].4.2` (also `PID.3`); undefined when it is not a path or a number is 0. */
export function parsePath(text: string): Path | undefined {
  const match = PATTERN.exec(text);
  if (match === null) return undefined;
  const [, segment = '', occurrence, field, repetition, component, subcomponent] = match;
  if ([field, component, subcomponent].some((n) => n !== undefined && Number(n) === 0)) {
    return undefined;
  }
  return {
    segment,
    occurrence: Number(occurrence ?? 0),
    field: Number(field ?? 0),
    repetition: repetition === undefined ? undefined : Number(repetition),
    component: Number(component ?? 0),
    subcomponent: Number(subcomponent ?? 0),
  };
}

/** Writes a path as parsePath reads it: formatPath('PID', 0, 3, 1, 4, 2) is `PID-3[1].4.2`. */
export function formatPath(
  segment: string,
  occurrence: number,
  field = 0,
  repetition = 0,
  component = 0,
  subcomponent = 0,
): string {
  let out = occurrence > 0 ? `${segment}[${occurrence}]` : segment;
  if (field > 0) out += `-${field}`;
  if (repetition > 0) out += `[${repetition}]`;
  if (component > 0) out += `.${component}`;
  return subcomponent > 0 ? `${out}.${subcomponent}` : out;
}

/** An issue about a place of a message. */
export function issueAt(
  at: string,
  severity: Issue['severity'],
  code: Issue['code'],
  text: string,
): Issue {
  return { severity, code, at, text };
}
