// Copy rows, `from` to `to`: which repetitions are read, how they are converted, and when a null
// clears. The most frequent rows have their own short loops.
import { Value } from '../hl7/value.ts';
import { type Cell, JsonCell } from './cell.ts';
import { isPlainObject, type JsonObject } from './json.ts';
import { type RunRow, reading } from './order.ts';
import { CONVERSIONS } from './primitives.ts';
import { convertRange } from './range.ts';
import type { Read } from './read.ts';
import {
  clearTarget,
  fromPaths,
  NOTHING,
  type RowContext,
  readTarget,
  refuse,
  type WrittenRow,
} from './row.ts';
import type { Scope } from './scope.ts';
import type { Place } from './source.ts';
import { readUnknown } from './table.ts';
import type { Target } from './target.ts';
import {
  applyTable,
  type Convert,
  convertByTable,
  convertText,
  type Shape,
  withPrefix,
} from './value.ts';

/** Compiles a copy row. */
export function compileCopy(row: WrittenRow, place: Place, context: RowContext): RunRow {
  const reads = fromPaths(row, place, context);
  const target = readTarget(row.to, [...place, 'to'], context);
  const convert = compileConvert(row, place, context);
  if (target === undefined || convert === undefined || reads.length === 0) return NOTHING;
  const copy =
    typeof row.join === 'string'
      ? joinValues(reads, target, convert, row.join, String(row.prefix ?? ''))
      : target.appends
        ? appendValues(reads, target, convert)
        : writeFirst(reads, target, convert, isObject(row, context));
  const run = context.clearable ? withClear(reads, target, copy) : copy;
  return reading(reads, context.dialect, run);
}

/** The conversion that `using`, `as`, `table` and `prefix` of a row ask for. */
function compileConvert(row: WrittenRow, place: Place, context: RowContext): Convert | undefined {
  const plain =
    row.using === undefined ? compileAs(row, place, context) : useDatatype(row, place, context);
  if (plain === undefined || row.prefix === undefined || row.join !== undefined) return plain;
  return withPrefix(String(row.prefix), plain);
}

function useDatatype(row: WrittenRow, place: Place, context: RowContext): Convert | undefined {
  const datatype = context.datatype(String(row.using));
  if (datatype === undefined) {
    refuse(context, [...place, 'using'], `There is no sound datatype map ${row.using}.`);
    return undefined;
  }
  if (row.as !== undefined) {
    refuse(context, [...place, 'as'], 'A row has using or as, not both.');
    return undefined;
  }
  if (!datatype.lasting) context.seen.transient = true;
  if (datatype.makes) context.seen.makes = true;
  if (row.table === undefined) return datatype.convert;
  const table = findTable(row, place, context);
  if (table === undefined) return undefined;
  if (!CODED.has(datatype.yields)) {
    const text = `A table needs a coded value, and ${row.using} yields ${datatype.yields}.`;
    refuse(context, [...place, 'table'], text);
    return undefined;
  }
  return applyTable(table, unknownOf(row, table), datatype.convert);
}

const CODED = new Set(['CodeableConcept', 'Coding', 'code', 'string', 'uri', 'id']);
const SHAPES = new Set(['code', 'Coding', 'CodeableConcept', 'uri', 'string', 'id']);

function compileAs(row: WrittenRow, place: Place, context: RowContext): Convert | undefined {
  const as = String(row.as ?? (row.table === undefined ? 'string' : 'code'));
  if (row.table !== undefined) {
    const table = findTable(row, place, context);
    if (!SHAPES.has(as)) {
      refuse(context, [...place, 'as'], 'With table, as is code, Coding, CodeableConcept or uri.');
      return undefined;
    }
    const shape = as === 'Coding' || as === 'CodeableConcept' ? as : 'code';
    return table && convertByTable(table, unknownOf(row, table), shape as Shape, as === 'uri');
  }
  if (as === 'dateTime' || as === 'instant') context.seen.transient = true;
  if (as === 'Range') return convertRange;
  if (Object.hasOwn(CONVERSIONS, as)) return convertText(as);
  const known = [...Object.keys(CONVERSIONS), 'Range'].join(', ');
  refuse(context, [...place, 'as'], `"${as}" is not one of ${known}, or needs a table.`);
  return undefined;
}

function findTable(row: WrittenRow, place: Place, context: RowContext) {
  const table = context.table(String(row.table));
  if (table === undefined) {
    refuse(context, [...place, 'table'], `There is no sound table ${row.table}.`);
  }
  return table;
}

function unknownOf(row: WrittenRow, table: { unknown: ReturnType<typeof readUnknown> }) {
  return row.unknown === undefined ? table.unknown : readUnknown(row.unknown, '');
}

/** True when values are objects, which may add to one that stands there. */
function isObject(row: WrittenRow, context: RowContext): boolean {
  if (row.as === 'Coding' || row.as === 'CodeableConcept' || row.as === 'Range') return true;
  return row.using !== undefined && context.datatype(String(row.using))?.primitive === false;
}

function labelOf(scope: Scope, target: Target): string {
  if (scope.run.account === null) return '';
  return target.label === '' ? scope.label : `${scope.label}.${target.label}`;
}

/** The first value that converts, of the first path that has one. */
function writeFirst(
  reads: readonly Read[],
  target: Target,
  convert: Convert,
  merges: boolean,
): RunRow {
  return (scope, out) => {
    if (!merges && target.has(out)) return 0;
    const label = labelOf(scope, target);
    for (const read of reads) {
      const first = read.one(scope);
      const direct = first.valued && isSingle(first);
      if (direct && writeOne(first, 0, read, target, convert, scope, out, label)) return 1;
      if (first.raw === '' && read.path.kind !== 'field') continue;
      if (direct && !mayRepeat(read)) continue;
      const cells = read.all(scope);
      for (let i = direct ? 1 : 0; i < cells.length; i++) {
        const cell = cells[i];
        if (cell === undefined || !cell.valued) continue;
        if (writeOne(cell, i, read, target, convert, scope, out, label)) return 1;
      }
    }
    return 0;
  };
}

function writeOne(
  cell: Cell,
  repetition: number,
  { path }: Read,
  target: Target,
  convert: Convert,
  scope: Scope,
  out: JsonObject,
  label: string,
): boolean {
  const mark = scope.run.account?.mark ?? 0;
  const value = convert(cell, scope, path, repetition, label);
  if (value === undefined) return false;
  if (target.write(out, value)) return true;
  scope.run.account?.rollback(mark);
  return false;
}

/** A field that does not repeat is its own first repetition: nothing has to be split. */
function isSingle(cell: Cell): boolean {
  if (cell instanceof Value) {
    return cell.level !== 0 || !cell.raw.includes(cell.delimiters.repetition);
  }
  return !(cell instanceof JsonCell && Array.isArray(cell.json));
}

function mayRepeat({ path }: Read): boolean {
  return path.kind === 'field' && path.repetition === undefined;
}

/** One element per valued repetition of every path. */
function appendValues(reads: readonly Read[], target: Target, convert: Convert): RunRow {
  return (scope, out) => {
    const label = labelOf(scope, target);
    let written = 0;
    for (const read of reads) {
      const cells = read.all(scope);
      for (let i = 0; i < cells.length; i++) {
        const cell = cells[i];
        if (cell === undefined || !cell.valued) continue;
        const value = convert(cell, scope, read.path, i, label);
        if (value !== undefined && target.write(out, value)) written++;
      }
    }
    return written;
  };
}

function joinValues(
  reads: readonly Read[],
  target: Target,
  convert: Convert,
  between: string,
  prefix: string,
): RunRow {
  return (scope, out) => {
    if (target.has(out)) return 0;
    const label = labelOf(scope, target);
    const texts: string[] = [];
    for (const read of reads) {
      read.all(scope).forEach((cell, i) => {
        if (!cell.valued) return;
        const value = convert(cell, scope, read.path, i, label);
        if (value !== undefined && !isPlainObject(value)) texts.push(String(value));
      });
    }
    return texts.length > 0 && target.write(out, prefix + texts.join(between)) ? 1 : 0;
  };
}

function withClear(reads: readonly Read[], target: Target, copy: RunRow): RunRow {
  return (scope: Scope, out: JsonObject) => {
    const written = copy(scope, out);
    if (written > 0) return written;
    for (const read of reads) {
      if (read.one(scope).presence !== 'null') continue;
      clearTarget(scope, target, read);
      break;
    }
    return 0;
  };
}
