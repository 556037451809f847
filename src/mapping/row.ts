// Compiles rows, the one language of all maps, to closures. Each form of a row has its function;
// copying values is in copy.ts. Compile-time faults carry the row's place in its file.
import { ConditionError, compileCondition, conditionPaths, parseCondition } from './condition.ts';
import { compileCopy } from './copy.ts';
import type { Datatype } from './datatype.ts';
import { isPlainObject, type JsonObject } from './json.ts';
import { compileManner } from './manner.ts';
import { accountOnly, inOrder, limitFor, onlyWhen, type RunRow, reading } from './order.ts';
import { compileRead, type Eaches, fieldName, type Read } from './read.ts';
import { findInstances, type Instance, type Scope } from './scope.ts';
import { faultAt, type MapFault, type MapSource, type Place } from './source.ts';
import { type Dialect, readSourcePath } from './source-path.ts';
import type { Table } from './table.ts';
import { parseTarget, settle, type Target, wholeOf } from './target.ts';
import { typeAt } from './target-type.ts';
import { constantOf } from './value.ts';

export interface RowContext {
  source: MapSource;
  faults: MapFault[];
  dialect: Dialect;
  /** FHIR type that the rows fill: `Patient`, `HumanName`; '' = not known, null = not checked. */
  fills: string | null;
  eaches: Eaches;
  /** `""` at these rows clears their target: rows of an instance, not of blocks or datatypes. */
  clearable: boolean;
  datatype(name: string): Datatype | undefined;
  table(name: string): Table | undefined;
  /** Filled while compiling: instances that rows refer to, with the row's place. */
  refs: Map<string, Place>;
  /** Filled while compiling: instances that keys of used datatype maps need. */
  needs: Set<string>;
  /**
   * Filled while compiling: a result depends on more than the raw text (zone, run); a row makes
   * resources of values.
   */
  seen: { transient: boolean; makes: boolean };
}

export type WrittenRow = Record<string, unknown>;

/** Compiles a list of rows; they run in order. */
export function compileRows(rows: unknown, place: Place, context: RowContext): RunRow {
  const list = Array.isArray(rows) ? rows : [];
  const compiled = list.map((row, index) => compileRow(row, [...place, index], context));
  return inOrder(compiled, limitFor(context.dialect));
}

export function compileRow(written: unknown, place: Place, context: RowContext): RunRow {
  if (!isPlainObject(written)) return refuse(context, place, 'A row is a map of names and values.');
  const row = compileManner(written, place, context, compileForm(written, place, context));
  if (written.when === undefined) return row;
  const holds = compileWhen(written.when, [...place, 'when'], context);
  return onlyWhen(holds, row);
}

/** Compiles a condition; one that does not parse is a fault and never holds. */
export function compileWhen(
  written: unknown,
  place: Place,
  context: RowContext,
): (scope: Scope) => boolean {
  try {
    const condition = parseCondition(String(written));
    const reads = new Map<string, Read>();
    for (const path of conditionPaths(condition)) {
      const read = readPath(path, place, context, true);
      if (read === undefined) return () => false;
      reads.set(path, read);
    }
    return compileCondition<Scope>(condition, (path) => reads.get(path) as Read);
  } catch (thrown) {
    if (!(thrown instanceof ConditionError)) throw thrown;
    refuse(context, place, `${thrown.message} (at character ${thrown.offset + 1})`);
    return () => false;
  }
}

/** Compiles a path of this context; a text that is not one is a fault. */
export function readPath(
  text: string,
  place: Place,
  context: RowContext,
  wholeSegment = false,
): Read | undefined {
  const path = readSourcePath(text, context.dialect);
  if (path !== undefined && (wholeSegment || path.kind !== 'field' || path.field > 0)) {
    return compileRead(path, context.eaches);
  }
  const { dialect } = context;
  const wanted =
    dialect.kind === 'segment'
      ? 'such as PID-3.1'
      : dialect.kind === 'json'
        ? 'such as /a/b or ./b'
        : `such as ${dialect.name}.1`;
  refuse(context, place, `"${text}" is not a path ${wanted}.`);
  return undefined;
}

export function readTarget(
  written: unknown,
  place: Place,
  context: RowContext,
  wholeChoice = false,
): Target | undefined {
  const target = typeof written === 'string' ? parseTarget(written) : undefined;
  if (target === undefined) {
    refuse(context, place, `"${written}" is not a target element.`);
    return undefined;
  }
  const found = typeAt(context.fills ?? '', target.names, wholeChoice);
  if ('type' in found) return target;
  refuse(context, place, `${found.of} has no element ${found.unknown} ("${written}").`);
  return undefined;
}

/** Notes a fault at a place of the file; the row does nothing. */
export function refuse(context: RowContext, place: Place, text: string): RunRow {
  context.faults.push(faultAt(context.source, place, text));
  return NOTHING;
}

export const NOTHING: RunRow = accountOnly(() => 0);

const FORMS = ['ignore', 'cases', 'rows', 'ref', 'clear', 'value'] as const;
const EXPR =
  'expr: computations are not part of this version of the mapping format; ' +
  'use a datatype map, a table or when.';

function compileForm(row: WrittenRow, place: Place, context: RowContext): RunRow {
  if (row.expr !== undefined) return refuse(context, [...place, 'expr'], EXPR);
  const forms = FORMS.filter((form) => row[form] !== undefined);
  if (forms.length > 1) {
    return refuse(context, place, `A row has one form, not both ${forms.join(' and ')}.`);
  }
  switch (forms[0]) {
    case 'ignore':
      return compileIgnore(row, place, context);
    case 'cases':
      return compileChoice(row, place, context);
    case 'rows':
      return compileBlock(row, place, context);
    case 'ref':
      return compileRef(row, place, context);
    case 'clear':
      return compileClear(row, place, context);
    case 'value':
      return compileConstant(row, place, context);
    default:
      return compileCopy(row, place, context);
  }
}

function compileIgnore(row: WrittenRow, place: Place, context: RowContext): RunRow {
  const reads = fromPaths(row, place, context);
  const reason = String(row.ignore);
  return accountOnly((scope) => {
    const { account } = scope.run;
    if (account !== null) for (const read of reads) account.ignored(read.one(scope), reason);
    return 0;
  });
}

/** The paths of `from`, compiled; faults are noted. */
export function fromPaths(row: WrittenRow, place: Place, context: RowContext): Read[] {
  const from = Array.isArray(row.from) ? row.from : [row.from];
  if (row.from === undefined) refuse(context, place, 'The row needs from.');
  return from
    .filter((path) => path !== undefined)
    .map((path) => readPath(String(path), [...place, 'from'], context))
    .filter((read) => read !== undefined);
}

function compileConstant(row: WrittenRow, place: Place, context: RowContext): RunRow {
  const target = readTarget(row.to, [...place, 'to'], context);
  const make = constantOf(row.value);
  if (target === undefined) return NOTHING;
  return (_scope, out) => {
    target.write(out, make());
    return 0;
  };
}

function compileClear(row: WrittenRow, place: Place, context: RowContext): RunRow {
  const target = readTarget(row.to, [...place, 'to'], context, true);
  if (target === undefined) return NOTHING;
  if (target.clearPath === '' || !context.clearable) {
    return refuse(context, place, 'Only an element of the resource itself can be cleared.');
  }
  return (scope) => {
    scope.instance?.made.cleared.add(target.clearPath);
    return 0;
  };
}

function compileRef(row: WrittenRow, place: Place, context: RowContext): RunRow {
  const target = readTarget(row.to, [...place, 'to'], context);
  const name = String(row.ref);
  const required = row.required === true;
  if (context.dialect.kind === 'datatype') {
    return refuse(context, [...place, 'ref'], 'A datatype map cannot refer to instances.');
  }
  if (!context.refs.has(name)) context.refs.set(name, [...place, 'ref']);
  if (target === undefined) return NOTHING;
  return (scope, out) => {
    const found = findInstances(scope, name);
    if (found.length === 0 && required) reportMissing(scope, name);
    let written = 0;
    for (const instance of found) {
      if (target.write(out, referenceTo(instance))) written++;
      if (!target.appends) break;
    }
    return written;
  };
}

function referenceTo({ made }: Instance): JsonObject {
  return { reference: `${made.resource.resourceType}/${made.resource.id}` };
}

function reportMissing(scope: Scope, name: string): void {
  const at = scope.segment?.location ?? scope.cell.raw;
  const text = `The resource refers to ${name}, and the message makes none.`;
  scope.run.issues.push({ severity: 'error', code: 'required', at, text });
}

function compileChoice(row: WrittenRow, place: Place, context: RowContext): RunRow {
  const by = readPath(String(row.by), [...place, 'by'], context);
  const cases = isPlainObject(row.cases) ? row.cases : {};
  const compiled = new Map<string, RunRow>();
  for (const [value, written] of Object.entries(cases)) {
    const at = [...place, 'cases', value];
    const rows = Array.isArray(written) ? written : [written];
    const inherited = rows.map((item) => (isPlainObject(item) ? inherit(item, row) : item));
    const compile = (item: unknown, index: number) =>
      compileRow(item, Array.isArray(written) ? [...at, index] : at, context);
    compiled.set(value, inOrder(inherited.map(compile), null));
  }
  const rest = compiled.get('*');
  return (scope, out) => {
    const cell = by?.one(scope);
    const written = (compiled.get(cell?.text ?? '') ?? rest)?.(scope, out) ?? 0;
    if (written > 0 && cell?.valued) scope.run.account?.mapped(cell, `${scope.label} (choice)`);
    return written;
  };
}

function inherit(item: WrittenRow, row: WrittenRow): WrittenRow {
  const stands = ['from', 'value', 'ref', 'rows', 'clear'].some((key) => item[key] !== undefined);
  return stands ? item : { ...item, from: row.from };
}

function compileBlock(row: WrittenRow, place: Place, context: RowContext): RunRow {
  const target = readTarget(row.to, [...place, 'to'], context);
  const each =
    row.each === undefined ? undefined : readPath(String(row.each), [...place, 'each'], context);
  if (target === undefined || (row.each !== undefined && each === undefined)) return NOTHING;
  const name = each?.path.kind === 'field' ? fieldName(each.path) : '';
  const eaches = each === undefined ? context.eaches : [...context.eaches, name];
  const found = typeAt(context.fills ?? '', target.names);
  const fills = context.fills !== null && 'type' in found ? found.type : null;
  const inner = { ...context, eaches, fills, clearable: false };
  const rows = compileRows(row.rows, [...place, 'rows'], inner);
  if (each === undefined) return (scope, out) => runBlock(scope, scope, out, target, rows);
  return reading([each], context.dialect, (scope, out) => {
    let written = 0;
    for (const cell of each.all(scope)) {
      if (!cell.valued) continue;
      const inside = scope.inBlock([...scope.eaches, cell], cell, scope.label);
      written += runBlock(scope, inside, out, target, rows);
    }
    if (written === 0 && context.clearable && each.one(scope).presence === 'null') {
      clearTarget(scope, target, each);
    }
    return written;
  });
}

function runBlock(
  scope: Scope,
  inside: Scope,
  out: JsonObject,
  target: Target,
  rows: RunRow,
): number {
  const { account } = scope.run;
  const start = account?.mark ?? 0;
  const element: JsonObject = {};
  const labelled =
    account === null
      ? inside
      : inside.inBlock(inside.eaches, inside.cell, `${scope.label}.${target.label}`);
  if (rows(labelled, element) === 0) return 0;
  settle(element);
  if (target.write(out, wholeOf(element))) return 1;
  account?.rollback(start);
  return 0;
}

/** A null field: its target goes on the cleared list of the instance. */
export function clearTarget(scope: Scope, target: Target, read: Read): void {
  scope.instance?.made.cleared.add(target.clearPath);
  scope.run.account?.used(read.one(scope), `${scope.label}.${target.clearPath} (removed)`);
}
