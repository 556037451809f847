// How what a row writes meets what stands there: `initial` and `union` (the stored resource) and
// `adds` (the output in hand). Wraps compiled rows; merging itself is record/merge.ts.

import { tableOf } from '../model/table.ts';
import type { JsonObject } from './json.ts';
import type { RunRow } from './order.ts';
import { type RowContext, refuse, type WrittenRow } from './row.ts';
import type { Made, Scope } from './scope.ts';
import type { Place } from './source.ts';
import { parseTarget, type Target } from './target.ts';

/** Compiles `initial`, `union` and `adds` of a row around its form. */
export function compileManner(
  written: WrittenRow,
  place: Place,
  context: RowContext,
  row: RunRow,
): RunRow {
  const asked = MANNERS.filter((name) => written[name] !== undefined);
  if (asked.length === 0) return row;
  const target = typeof written.to === 'string' ? parseTarget(written.to) : undefined;
  let wrapped = row;
  for (const name of asked) {
    const wrong = target === undefined ? NO_TARGET : findFault(name, written, target, context);
    if (wrong !== '') refuse(context, [...place, name], wrong);
    else if (target !== undefined) wrapped = WRAP[name](wrapped, target);
  }
  const { first, reads, accounts } = row;
  return wrapped === row ? row : Object.assign(wrapped, { first, reads, accounts });
}

const MANNERS = ['adds', 'initial', 'union'] as const;
type Manner = (typeof MANNERS)[number];

const NO_TARGET = 'The row has no target of its own.';

function findFault(
  manner: Manner,
  written: WrittenRow,
  target: Target,
  context: RowContext,
): string {
  if (written.clear !== undefined) return 'A row that clears writes nothing.';
  if (manner === 'adds') return target.appends ? 'A target with [] is always new.' : '';
  if (!context.clearable || target.element === '') {
    return 'Only rows of the resource itself meet what is stored.';
  }
  return manner === 'union' && !target.list ? 'Only a list can be added to.' : '';
}

const WRAP: Record<Manner, (row: RunRow, target: Target) => RunRow> = tableOf({
  adds: (row, target) => (scope, out) => (target.has(out) ? row(scope, out) : 0),
  initial: (row, { element }) => {
    return (scope, out) => (out[element] === undefined ? mark(scope, out, row, element) : 0);
  },
  union: (row, { element }) => {
    return (scope, out) => {
      const before = lengthOf(out[element]);
      const written = row(scope, out);
      if (lengthOf(out[element]) > before) madeOf(scope)?.union.add(element);
      return written;
    };
  },
});

function mark(scope: Scope, out: JsonObject, row: RunRow, element: string): number {
  const written = row(scope, out);
  if (out[element] !== undefined) madeOf(scope)?.initial.add(element);
  return written;
}

function madeOf(scope: Scope): Made | undefined {
  return scope.instance?.made;
}

function lengthOf(list: unknown): number {
  return Array.isArray(list) ? list.length : 0;
}
