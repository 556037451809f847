// The lossless tokenizer: text -> segments -> values, split only when asked for. Parsing never
// fails; what is wrong is reported as issues. It does not decode bytes: see charset.ts.
import type { Issue } from '../model/issue.ts';
import type { Delimiters } from './delimiters.ts';
import { DEFAULT_DELIMITERS, readDelimiters } from './delimiters.ts';
import { scanLines } from './lines.ts';
import type { Path } from './path.ts';
import { formatPath, issueAt } from './path.ts';
import { ABSENT, Value } from './value.ts';

/**
 * More segments are left uncut in the last one; more delimiters, or repetitions of one field, are
 * not split; all are errors.
 */
export interface MessageLimits {
  segments: number;
  delimiters: number;
  repetitions: number;
}

/** Of the tokenizer itself, whatever a caller allows. */
export const MESSAGE_LIMITS: MessageLimits = {
  segments: 100_000,
  delimiters: 1_000_000,
  repetitions: 1_000_000,
};

/** Reads one message. `toString()` of the result is `text`, character for character. */
export function parseMessage(text: string, bounds: MessageLimits = MESSAGE_LIMITS): Message {
  const limits = least(bounds, MESSAGE_LIMITS);
  const { prefix, lines } = scanLines(text, limits.segments + 1);
  const issues: Issue[] = [];
  if (lines.length > limits.segments) {
    const what = `The message has more than ${limits.segments} segments.`;
    issues.push(issueAt('MSH', 'error', 'too-long', what));
  }
  const header = lines.find((line) => HEADERS.has(line.text.slice(0, 3)));
  let delimiters = DEFAULT_DELIMITERS;
  if (header === undefined) {
    issues.push(issueAt('MSH', 'error', 'structure', 'There is no MSH segment.'));
  } else {
    const read = readDelimiters(header.text);
    delimiters = read.delimiters;
    issues.push(...read.issues);
  }
  const much = findTooMany(text, delimiters, limits);
  if (much !== undefined) {
    const what = `The message has more than ${much}; they are not split.`;
    issues.push(issueAt('MSH', 'error', 'too-long', what));
    delimiters = { ...NOTHING, field: delimiters.field };
  }
  const counts = new Map<string, number>();
  const segments: Segment[] = [];
  for (const line of lines) {
    const name = segmentName(line.text, delimiters);
    const occurrence = counts.get(name) ?? 0;
    counts.set(name, occurrence + 1);
    segments.push(new Segment(name, occurrence, line.text, line.end, delimiters));
  }
  reportOddSegments(segments, issues);
  return new Message(delimiters, segments, issues, prefix);
}

export class Message {
  readonly delimiters: Delimiters;
  /** In the order of the message. */
  readonly segments: readonly Segment[];
  /** What the tokenizer found; places as in path.ts, no values. */
  readonly issues: readonly Issue[];
  /** BOM, VT and blank lines before the first segment. */
  readonly prefix: string;

  constructor(
    delimiters: Delimiters,
    segments: readonly Segment[],
    issues: readonly Issue[],
    prefix = '',
  ) {
    this.delimiters = delimiters;
    this.segments = segments;
    this.issues = issues;
    this.prefix = prefix;
  }

  first(name: string): Segment | undefined {
    for (const segment of this.segments) if (segment.name === name) return segment;
    return undefined;
  }

  all(name: string): Segment[] {
    return this.segments.filter((segment) => segment.name === name);
  }

  /** The value at a parsed path; ABSENT where the message has no such place. Compile paths once. */
  at(path: Path): Value {
    const { segment: name, occurrence } = path;
    for (const segment of this.segments) {
      if (segment.name === name && segment.occurrence === occurrence) return segment.at(path);
    }
    return ABSENT;
  }

  /** The text as it was received. */
  toString(): string {
    let out = this.prefix;
    for (const segment of this.segments) out += segment.raw + segment.end;
    return out;
  }
}

export class Segment {
  /** Three characters in a well-formed message: `PID`. */
  readonly name: string;
  /** Which segment of that name in its message, from 0. */
  readonly occurrence: number;
  /** As received, without its end. */
  readonly raw: string;
  /** CR, LF or CRLF and the blank lines that follow; '' when the last one has no end. */
  readonly end: string;
  readonly delimiters: Delimiters;
  private split: string[] | undefined;
  private cache: (Value | undefined)[] | undefined;

  constructor(name: string, occurrence: number, raw: string, end: string, delimiters: Delimiters) {
    this.name = name;
    this.occurrence = occurrence;
    this.raw = raw;
    this.end = end;
    this.delimiters = delimiters;
  }

  /** `OBX[2]`: its place in the message, as in path.ts. */
  get location(): string {
    return formatPath(this.name, this.occurrence);
  }

  /** Number of the last field, empty ones included; MSH-1 counts. */
  get fieldCount(): number {
    return this.fields().length - 1 + this.shift();
  }

  /** Field `n` from 1; MSH-1 is the separator itself, MSH-2 the encoding characters. */
  field(n: number): Value {
    this.cache ??= [];
    const known = this.cache[n];
    if (known !== undefined) return known;
    const value = this.readField(n);
    // Far fields are not cached, so that a huge number cannot grow the array.
    if (n < 256) this.cache[n] = value;
    return value;
  }

  /** The value at field, repetition, component and subcomponent; the name is not looked at. */
  at(path: Path): Value {
    const field = this.field(path.field);
    if (path.repetition === undefined && path.component === 0) return field;
    const repetition = field.repetition(path.repetition ?? 0);
    if (path.component === 0) return repetition;
    const component = repetition.child(path.component);
    return path.subcomponent === 0 ? component : component.child(path.subcomponent);
  }

  /** Decoded text of one leaf: the fast way. '' when it is absent, empty or null. */
  text(field: number, component = 1, subcomponent = 1, repetition = 0): string {
    const value = this.field(field).repetition(repetition).child(component);
    return subcomponent === 1 ? value.text : value.child(subcomponent).text;
  }

  private fields(): string[] {
    this.split ??= this.raw.split(this.delimiters.field, FIELDS_MAX);
    return this.split;
  }

  /** 1 for segments whose first field is the separator itself. */
  private shift(): 0 | 1 {
    return HEADERS.has(this.name) ? 1 : 0;
  }

  private readField(n: number): Value {
    const shift = this.shift();
    if (shift === 1 && n === 1) return new Value(this.delimiters.field, 4, this.delimiters);
    const raw = n < 1 ? undefined : this.fields()[n - shift];
    if (raw === undefined) return ABSENT;
    return new Value(raw, shift === 1 && n === 2 ? 4 : 0, this.delimiters);
  }
}

const FIELDS_MAX = MESSAGE_LIMITS.delimiters + 1;

const NOTHING: Delimiters = {
  field: '',
  component: '',
  repetition: '',
  escape: '',
  subcomponent: '',
  truncation: '',
};

function least(one: MessageLimits, other: MessageLimits): MessageLimits {
  return {
    segments: Math.min(one.segments, other.segments),
    delimiters: Math.min(one.delimiters, other.delimiters),
    repetitions: Math.min(one.repetitions, other.repetitions),
  };
}

/** What there is too much of, in words; undefined where all is within its limit. Linear. */
function findTooMany(text: string, by: Delimiters, limits: MessageLimits): string | undefined {
  const { field, component, repetition, subcomponent } = by;
  if (text.length > limits.delimiters) {
    let count = 0;
    for (const delimiter of [field, component, repetition, subcomponent]) {
      count += countOf(text, delimiter, limits.delimiters - count);
    }
    if (count > limits.delimiters) return `${limits.delimiters} fields or components`;
  }
  const { repetitions } = limits;
  if (countOf(text, repetition, repetitions) < repetitions) return undefined;
  return hasLongField(text, by, repetitions) ? `${repetitions} repetitions of a field` : undefined;
}

/** Occurrences; counting stops one beyond `most`. */
function countOf(text: string, delimiter: string, most: number): number {
  if (delimiter === '') return 0;
  let count = 0;
  for (let at = text.indexOf(delimiter); at >= 0; at = text.indexOf(delimiter, at + 1)) {
    count++;
    if (count > most) break;
  }
  return count;
}

function hasLongField(text: string, { field, repetition }: Delimiters, most: number): boolean {
  let count = 1;
  for (const character of text) {
    if (character === field || character === '\r' || character === '\n') count = 1;
    else if (character === repetition) count++;
    if (count > most) return true;
  }
  return false;
}

const HEADERS = new Set(['MSH', 'FHS', 'BHS']);

/** Lower case is read as upper case; what is no name at all is `???` (it may be patient data). */
function segmentName(line: string, delimiters: Delimiters): string {
  const end = line.charAt(3) === delimiters.field ? 3 : line.indexOf(delimiters.field);
  const name = (end < 0 ? line : line.slice(0, end)).trim();
  if (NAME.test(name)) return name;
  return /^[a-z][a-z0-9]{2}$/i.test(name) ? name.toUpperCase() : '???';
}

const NAME = /^[A-Z][A-Z0-9]{2}$/;
const ODD_MAX = 100;

function reportOddSegments(segments: readonly Segment[], issues: Issue[]): void {
  let odd = 0;
  const trailing = 1 + segments.findLastIndex((segment) => !isTrailingText(segment));
  for (const [index, segment] of segments.entries()) {
    const issue = index < trailing ? findOddity(segment, index) : trailingText(index);
    if (issue === undefined) continue;
    odd++;
    if (odd <= ODD_MAX) issues.push(issue);
  }
  if (odd > ODD_MAX) {
    const text = `${odd - ODD_MAX} further lines have faults of this kind.`;
    issues.push(issueAt('MSH', 'error', 'structure', text));
  }
}

/** No segment name and no field: what cuts a field in two has fields after it, mostly. */
function isTrailingText({ name, raw, delimiters }: Segment): boolean {
  return name === '???' && !raw.includes(delimiters.field);
}

function trailingText(index: number): Issue {
  const text = 'Text after the last segment: it is kept with the message and not mapped.';
  return issueAt(`line ${index + 1}`, 'warning', 'structure', text);
}

function findOddity(segment: Segment, index: number): Issue | undefined {
  const { name, raw } = segment;
  const at = `line ${index + 1}`;
  if (!NAME.test(name)) {
    return issueAt(at, 'error', 'structure', 'The line does not begin with a segment name.');
  }
  if (!raw.startsWith(name)) {
    return issueAt(at, 'warning', 'structure', 'White space or lower case in the segment name.');
  }
  if (name === 'MSH' && segment.occurrence > 0) {
    return issueAt(segment.location, 'error', 'structure', 'A second message begins here.');
  }
  if (index === 0 && !HEADERS.has(name)) {
    return issueAt(segment.location, 'warning', 'structure', 'A segment stands before MSH.');
  }
  return undefined;
}
