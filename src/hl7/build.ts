// Builds messages and segments of values, and sets one place of a message. Text that is put in is
// escaped: an injected delimiter stays data.
import { EngineError } from '../model/errors.ts';
import type { Delimiters } from './delimiters.ts';
import { DEFAULT_DELIMITERS } from './delimiters.ts';
import { escapeText } from './escape.ts';
import type { Message } from './message.ts';
import { parseMessage } from './message.ts';
import type { Path } from './path.ts';

/** Plain text; null = the HL7 null `""`; '' and undefined = empty. */
export type LeafInput = string | null | undefined;
/** An array inside a repetition's array holds subcomponents. */
export type ComponentInput = LeafInput | readonly LeafInput[];
/** An array holds components. */
export type RepetitionInput = LeafInput | readonly ComponentInput[];
/** `{ repeat }` holds repetitions. */
export type FieldInput = RepetitionInput | { readonly repeat: readonly RepetitionInput[] };

/** A segment by its name and its fields, from field 1; of MSH, FHS and BHS from field 3. */
export interface SegmentInput {
  name: string;
  fields: readonly FieldInput[];
}

/** Text of a message, every segment ended by CR. */
export function buildMessage(
  segments: readonly SegmentInput[],
  delimiters: Delimiters = DEFAULT_DELIMITERS,
): string {
  return segments.map((segment) => `${buildSegment(segment, delimiters)}\r`).join('');
}

/** One segment without its end; trailing empty fields are left out. */
export function buildSegment(
  { name, fields }: SegmentInput,
  delimiters: Delimiters = DEFAULT_DELIMITERS,
): string {
  if (!/^[A-Z][A-Z0-9]{2}$/.test(name)) {
    throw new EngineError('INVALID_CONTENT', 'A segment name is three capitals or digits.');
  }
  const parts = fields.map((field) => buildField(field, delimiters));
  const isHeader = name === 'MSH' || name === 'FHS' || name === 'BHS';
  const head = isHeader ? [name, encodingCharacters(delimiters)] : [name];
  return [...head, ...trimEmpty(parts)].join(delimiters.field);
}

/** One field, escaped and delimited. */
export function buildField(field: FieldInput, delimiters: Delimiters = DEFAULT_DELIMITERS): string {
  if (typeof field === 'object' && field !== null && 'repeat' in field) {
    const parts = field.repeat.map((one) => buildRepetition(one, delimiters));
    return join(parts, delimiters.repetition);
  }
  return buildRepetition(field, delimiters);
}

/** MSH-2 of these delimiters. */
export function encodingCharacters(delimiters: Delimiters): string {
  const { component, repetition, subcomponent, truncation } = delimiters;
  return component + repetition + delimiters.escape + subcomponent + truncation;
}

/**
 * A new message with one place set; everything else stays character for character. Empty fields,
 * repetitions and components are added up to the place; a missing segment is added at the end
 * (only the next occurrence of its name). Throws INVALID_CONTENT where the place cannot be made.
 */
export function setValue(message: Message, path: Path, value: LeafInput): Message {
  const { segment: name, occurrence, field } = path;
  const isHeader = name === 'MSH' || name === 'FHS' || name === 'BHS';
  if (field < 1 || (isHeader && field < 3)) {
    throw new EngineError('INVALID_CONTENT', 'A field is to be named, and no delimiters.');
  }
  const { delimiters } = message;
  const target = message.segments.find((s) => s.name === name && s.occurrence === occurrence);
  if (target === undefined && message.all(name).length !== occurrence) {
    throw new EngineError('INVALID_CONTENT', 'The segments before that one are missing.');
  }
  const text = setInSegment(target?.raw ?? name, path, isHeader ? 1 : 0, value, delimiters);
  let out = message.prefix;
  for (const segment of message.segments) {
    out += (segment === target ? text : segment.raw) + segment.end;
  }
  if (target === undefined) {
    const last = message.segments.at(-1);
    const before = last !== undefined && last.end === '' ? lineEnd(message) : '';
    out += before + text + lineEnd(message);
  }
  return parseMessage(out);
}

function lineEnd(message: Message): string {
  return /^\r\n|^[\r\n]/.exec(message.segments[0]?.end ?? '')?.[0] ?? '\r';
}

function setInSegment(
  raw: string,
  path: Path,
  shift: number,
  value: LeafInput,
  delimiters: Delimiters,
): string {
  return replacePart(raw, delimiters.field, path.field - shift, (field) =>
    path.repetition === undefined && path.component === 0
      ? buildLeaf(value, delimiters)
      : replacePart(field, delimiters.repetition, path.repetition ?? 0, (repetition) =>
          path.component === 0
            ? buildLeaf(value, delimiters)
            : replacePart(repetition, delimiters.component, path.component - 1, (component) =>
                path.subcomponent === 0
                  ? buildLeaf(value, delimiters)
                  : replacePart(component, delimiters.subcomponent, path.subcomponent - 1, () =>
                      buildLeaf(value, delimiters),
                    ),
              ),
        ),
  );
}

function replacePart(
  raw: string,
  delimiter: string,
  index: number,
  replace: (part: string) => string,
): string {
  const parts = delimiter === '' ? [raw] : raw.split(delimiter);
  while (parts.length <= index) parts.push('');
  parts[index] = replace(parts[index] ?? '');
  return join(parts, delimiter);
}

function buildRepetition(value: RepetitionInput, delimiters: Delimiters): string {
  if (!isList(value)) return buildLeaf(value, delimiters);
  const parts = value.map((component) => buildComponent(component, delimiters));
  return join(trimEmpty(parts), delimiters.component);
}

function buildComponent(value: ComponentInput, delimiters: Delimiters): string {
  if (!isList(value)) return buildLeaf(value, delimiters);
  const parts = value.map((leaf) => buildLeaf(leaf, delimiters));
  return join(trimEmpty(parts), delimiters.subcomponent);
}

function buildLeaf(value: LeafInput, delimiters: Delimiters): string {
  if (value === null) return '""';
  return value === undefined ? '' : escapeText(value, delimiters);
}

function join(parts: readonly string[], delimiter: string): string {
  if (parts.length > 1 && delimiter === '') {
    throw new EngineError('INVALID_CONTENT', 'The message declares no delimiter for that level.');
  }
  return parts.join(delimiter);
}

function trimEmpty(parts: readonly string[]): readonly string[] {
  let length = parts.length;
  while (length > 0 && parts[length - 1] === '') length--;
  return parts.slice(0, length);
}

function isList<T>(value: unknown): value is readonly T[] {
  return Array.isArray(value);
}
