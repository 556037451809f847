// From a cell to a FHIR value: built-in conversion, table, or datatype map, as one row names them.
// It reports what it cannot convert; where the value goes is the row's business.
import type { Cell } from './cell.ts';
import { cloneJson, isPlainObject, type JsonObject } from './json.ts';
import { CONVERSIONS, type Conversion, isBroken, withOidScheme } from './primitives.ts';
import { addIssue, type Scope } from './scope.ts';
import type { SourcePath } from './source-path.ts';
import type { Entry, Table, Unknown } from './table.ts';

/** Converts one cell, which stands at `path` and `repetition` of the scope; undefined = nothing. */
export type Convert = (
  cell: Cell,
  scope: Scope,
  path: SourcePath,
  repetition: number,
  label: string,
) => unknown;

export type Shape = 'code' | 'Coding' | 'CodeableConcept';

/** Conversion of text by one of the built-in conversions. */
export function convertText(as: string): Convert {
  const conversion: Conversion = CONVERSIONS[as] ?? (() => undefined);
  return (cell, scope, path, repetition, label) => {
    const { text } = cell;
    if (text === '' || (text.charCodeAt(0) <= 32 && text.trim() === '')) return undefined;
    const { run } = scope;
    const timed = as === 'dateTime' || as === 'instant';
    const degree = timed && cell.level < 3 ? cell.child(2) : undefined;
    run.conversion.degree = degree?.text ?? '';
    const value = conversion(text, run.conversion);
    if (value === undefined) {
      addIssue(scope, 'warning', 'value', path, repetition, `The value is not a valid ${as}.`);
      return undefined;
    }
    if (run.pendingTime !== null) reportTime(scope, path, repetition);
    if (run.account !== null) {
      run.account.mapped(cell, label);
      if (degree !== undefined) run.account.mapped(degree, label);
    }
    return value;
  };
}

/** A time whose zone was assumed: once per message; one that is not unique: each. */
function reportTime(scope: Scope, path: SourcePath, repetition: number): void {
  const { run } = scope;
  const time = run.pendingTime;
  run.pendingTime = null;
  if (time?.droppedOffset) {
    const text = 'A date without a time has no offset in FHIR: the date was kept.';
    addIssue(scope, 'information', 'value', path, repetition, text);
    return;
  }
  if (!run.zoneNoted) {
    run.zoneNoted = true;
    const text = "Times without a zone, the first one here, were read in the channel's time zone.";
    addIssue(scope, 'information', 'informational', path, repetition, text);
  }
  if (time?.occurs === 'twice') {
    const text = 'The local time occurs twice on that day; the first was taken.';
    addIssue(scope, 'information', 'informational', path, repetition, text);
  } else if (time?.occurs === 'never') {
    const text = 'The local time does not exist on that day: the clock was set forward over it.';
    addIssue(scope, 'warning', 'value', path, repetition, text);
  }
}

/** Conversion of text through a table, to a code, Coding or CodeableConcept. */
export function convertByTable(
  table: Table,
  unknown: Unknown,
  shape: Shape,
  isUri: boolean,
): Convert {
  return (cell, scope, path, repetition, label) => {
    const code = cell.text.trim();
    if (code === '') return undefined;
    const found = lookUp(table, unknown, code, scope, path, repetition);
    const { account } = scope.run;
    if (found === 'nothing') return undefined;
    if (found !== 'original' && found.ignore !== '') {
      account?.ignored(cell, found.ignore);
      return undefined;
    }
    const original = codingOf({ code, system: table.source, display: '', ignore: '' });
    const value = shapeOf(found, original, shape, unknown.policy === 'pass');
    if (value !== undefined) account?.mapped(cell, label);
    // A name that is no uri, such as an authority's own, becomes one.
    return isUri && typeof value === 'string'
      ? withOidScheme(value.replaceAll(/\s/g, '%20'))
      : value;
  };
}

function shapeOf(found: Entry | 'original', original: JsonObject, shape: Shape, passes: boolean) {
  if (shape === 'code') {
    if (found !== 'original') return found.code;
    return passes ? original.code : undefined;
  }
  const mapped = found === 'original' ? original : codingOf(found);
  if (shape === 'Coding') return mapped;
  if (found === 'original' || isSame(original, mapped) || original.system === undefined) {
    return { coding: [mapped] };
  }
  return { coding: [mapped, original] };
}

/** Applies a table to what a datatype map yielded. */
export function applyTable(table: Table, unknown: Unknown, inner: Convert): Convert {
  return (cell, scope, path, repetition, label) => {
    const { account } = scope.run;
    const start = account?.mark ?? 0;
    const value = inner(cell, scope, path, repetition, label);
    const coding = firstCoding(value);
    const code = typeof value === 'string' ? value : coding?.code;
    if (typeof code !== 'string') return value;
    const found = lookUp(table, unknown, code, scope, path, repetition);
    if (found !== 'nothing' && (found === 'original' || found.ignore === '')) {
      return withEntry(value, coding, found, table, unknown.policy === 'pass');
    }
    account?.rollback(start);
    if (found !== 'nothing') account?.ignored(cell, found.ignore);
    return undefined;
  };
}

function firstCoding(value: unknown): JsonObject | undefined {
  if (!isPlainObject(value)) return undefined;
  const first = Array.isArray(value.coding) ? value.coding[0] : value;
  return isPlainObject(first) ? first : undefined;
}

function withEntry(
  value: unknown,
  coding: JsonObject | undefined,
  found: Entry | 'original',
  table: Table,
  passes: boolean,
): unknown {
  if (coding === undefined || !isPlainObject(value)) {
    if (found !== 'original') return found.code;
    return passes ? value : undefined;
  }
  const mapped = found === 'original' ? undefined : codingOf(found);
  const same = mapped !== undefined && isSame(coding, mapped);
  if (table.source !== '' && coding.system === undefined && !same) coding.system = table.source;
  if (mapped === undefined) return value;
  if (!Array.isArray(value.coding)) return { ...value, ...mapped };
  if (same) Object.assign(coding, mapped);
  else value.coding.unshift(mapped);
  return value;
}

/** The original says no more than the target: the same code, and no other system. */
function isSame(original: JsonObject, mapped: JsonObject): boolean {
  if (original.code !== mapped.code) return false;
  return original.system === undefined || original.system === mapped.system;
}

function codingOf(entry: Entry): JsonObject {
  const coding: JsonObject = {};
  if (entry.system !== '') coding.system = entry.system;
  coding.code = entry.code;
  if (entry.display !== '') coding.display = entry.display;
  return coding;
}

/** `original`: keep the code as it came. `nothing`: why was reported. */
function lookUp(
  table: Table,
  unknown: Unknown,
  code: string,
  scope: Scope,
  path: SourcePath,
  repetition: number,
): Entry | 'original' | 'nothing' {
  const entry = table.find(code);
  if (entry !== undefined) return entry;
  if (isBroken(code)) {
    const text = 'The code holds a character that could not be read or kept; it was left out.';
    addIssue(scope, 'warning', 'code-invalid', path, repetition, text);
    return unknown.policy === 'default' ? unknown.entry : 'nothing';
  }
  if (unknown.policy === 'pass') return 'original';
  const severity = unknown.policy === 'error' ? 'error' : 'warning';
  const text = `The code is not in the table ${table.name}.`;
  addIssue(scope, severity, 'code-invalid', path, repetition, text);
  if (unknown.policy === 'default') return unknown.entry;
  return unknown.policy === 'error' ? 'nothing' : 'original';
}

/** Puts a written text before a text value, unless the conversion has put `urn:oid:` there. */
export function withPrefix(prefix: string, inner: Convert): Convert {
  return (cell, scope, path, repetition, label) => {
    const value = inner(cell, scope, path, repetition, label);
    if (typeof value !== 'string') return value;
    return prefix === 'urn:oid:' && value.startsWith(prefix) ? value : prefix + value;
  };
}

/** A constant as written, a fresh copy each time. */
export function constantOf(written: unknown): () => unknown {
  if (typeof written !== 'object' || written === null) return () => written;
  return () => cloneJson(written);
}
