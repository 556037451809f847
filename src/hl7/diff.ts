// The difference of two HL7 v2 messages, field by field. What stands in a segment is compared as it
// is written; the n-th segment of a name is compared with the n-th of the other message.

export interface FieldDifference {
  /** `PID-5`, `OBX[2]-5`; the whole segment where the other message has none: `NK1`. */
  at: string;
  before: string;
  after: string;
}

/** Texts with CR, LF or CRLF as the end of a segment. */
export function diffMessages(before: string, after: string): FieldDifference[] {
  const [old, now] = [segmentsOf(before), segmentsOf(after)];
  const places = new Set([...old.keys(), ...now.keys()]);
  return [...places].flatMap((at) => diffSegment(at, old.get(at), now.get(at)));
}

function diffSegment(
  at: string,
  old: readonly string[] | undefined,
  now: readonly string[] | undefined,
): FieldDifference[] {
  if (old === undefined || now === undefined) {
    return [{ at, before: old?.join('|') ?? '', after: now?.join('|') ?? '' }];
  }
  // MSH-1 is the separator itself, so that the first field after the name is number 2.
  const shift = at === 'MSH' ? 1 : 0;
  const found: FieldDifference[] = [];
  for (let index = 1; index < Math.max(old.length, now.length); index++) {
    const [left = '', right = ''] = [old[index], now[index]];
    if (left !== right) found.push({ at: `${at}-${index + shift}`, before: left, after: right });
  }
  return found;
}

/** Fields by `PID`, `OBX[2]`: the first one has no number. */
function segmentsOf(text: string): Map<string, string[]> {
  const separator = text.charAt(3) || '|';
  const counts = new Map<string, number>();
  const segments = new Map<string, string[]>();
  for (const written of text.split(/\r\n|\r|\n/)) {
    if (written === '') continue;
    const fields = written.split(separator);
    const name = fields[0] ?? '';
    const count = (counts.get(name) ?? 0) + 1;
    counts.set(name, count);
    segments.set(count === 1 ? name : `${name}[${count}]`, fields);
  }
  return segments;
}
