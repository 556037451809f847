// Paths of the mapping language that say where a value comes from: `PID-3[1].4.2`, `CX.4`, `CX`,
// `/patient/mrn`, `./code`. Targets are in target.ts.
import { parsePath } from '../hl7/path.ts';

export type SourcePath = FieldPath | ComponentPath | PointerPath;

/** A field of a segment; `field` 0 = the segment itself. */
export interface FieldPath {
  kind: 'field';
  text: string;
  segment: string;
  field: number;
  /** From 0; undefined = not named. */
  repetition: number | undefined;
  /** From 1; 0 = not named. */
  component: number;
  subcomponent: number;
}

/** A part of the value that a datatype map is applied to; `part` 0 = the value itself. */
export interface ComponentPath {
  kind: 'component';
  text: string;
  part: number;
  subpart: number;
}

/** A JSON Pointer, from the record's root or (`./`) from the node in hand. */
export interface PointerPath {
  kind: 'pointer';
  text: string;
  relative: boolean;
  tokens: string[];
}

/** What paths may stand in a map: fields, components of that datatype, or JSON pointers. */
export type Dialect =
  /** `own`: the segment whose map it is, '' = a message map. */
  { kind: 'segment'; own: string } | { kind: 'datatype'; name: string } | { kind: 'json' };

/** Reads a path; undefined when it is not one that the dialect knows. */
export function readSourcePath(text: string, dialect: Dialect): SourcePath | undefined {
  if (dialect.kind === 'json') return readPointer(text);
  if (dialect.kind === 'datatype') return readComponent(text, dialect.name);
  const path = parsePath(text);
  if (path === undefined || path.occurrence !== 0 || text.includes('.') !== hasParts(path)) {
    return undefined;
  }
  const { segment, field, repetition, component, subcomponent } = path;
  return { kind: 'field', text, segment, field, repetition, component, subcomponent };
}

/** One pattern for all three kinds, for tokenizers of conditions and keys. */
export const SOURCE_PATH_TEXT =
  /(?:[A-Z][A-Z0-9]{1,3}(?:-\d{1,4})?(?:\[\d{1,5}\])?(?:\.\d{1,3}){0,2}|\.?\/[^\s()"',=<>!?]*|\.)/y;

function hasParts(path: { component: number }): boolean {
  return path.component > 0;
}

function readComponent(text: string, datatype: string): ComponentPath | undefined {
  const [name, part, subpart, more] = text.split('.');
  if (name !== datatype || more !== undefined) return undefined;
  const numbers = [part, subpart].map((n) => (n === undefined ? 0 : toNumber(n)));
  const [first = -1, second = -1] = numbers;
  if (first < 0 || second < 0) return undefined;
  return { kind: 'component', text, part: first, subpart: second };
}

function toNumber(text: string): number {
  return /^[1-9]\d{0,2}$/.test(text) ? Number(text) : -1;
}

function readPointer(text: string): PointerPath | undefined {
  const relative = text === '.' || text.startsWith('./');
  const pointer = relative ? text.slice(1) : text;
  if (pointer !== '' && !pointer.startsWith('/')) return undefined;
  if (pointer === '' && !relative) return undefined;
  const tokens = pointer
    .split('/')
    .slice(1)
    .map((token) => token.replaceAll('~1', '/').replaceAll('~0', '~'));
  return { kind: 'pointer', text, relative, tokens };
}
