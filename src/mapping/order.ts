// How compiled rows run one after another, and which of them need not run: rows that read beyond
// the last field or component, and rows that only account, when no account is kept.
import { countChildren } from './cell.ts';
import type { JsonObject } from './json.ts';
import type { Read } from './read.ts';
import type { Scope } from './scope.ts';
import type { Dialect } from './source-path.ts';

/** Runs a row on an output object; the answer is how many values it wrote, constants left out. */
export interface RunRow {
  (scope: Scope, out: JsonObject): number;
  /** It does nothing unless the segment (or value) has this field (or component); 0 = not known. */
  first?: number;
  /** The paths without which it does nothing. */
  reads?: readonly Read[];
  /** It writes nothing: it runs only for an account. */
  accounts?: boolean;
}

/** Number of the last field or component of what rows of a dialect read; null = not known. */
export type Limit = ((scope: Scope) => number) | null;

export function limitFor(dialect: Dialect): Limit {
  if (dialect.kind === 'datatype') return countParts;
  if (dialect.kind === 'segment' && dialect.own !== '') return countFields;
  return null;
}

/** Runs rows in their order and sums what they wrote. */
export function inOrder(rows: readonly RunRow[], limit: Limit): RunRow {
  const writing = rows.filter((row) => row.accounts !== true);
  const [only] = rows;
  if (rows.length === 1 && only !== undefined) return only;
  const firsts = writing.map((row) => row.first ?? 0);
  return (scope, out) => {
    let written = 0;
    if (scope.run.account !== null) {
      for (const row of rows) written += row(scope, out);
      return written;
    }
    const last = limit === null ? Number.POSITIVE_INFINITY : limit(scope);
    for (let i = 0; i < writing.length; i++) {
      if ((firsts[i] as number) <= last) written += (writing[i] as RunRow)(scope, out);
    }
    return written;
  };
}

/** A row with a condition, which is asked last: most rows have nothing to read. */
export function onlyWhen(holds: (scope: Scope) => boolean, row: RunRow): RunRow {
  const { reads } = row;
  const guarded: RunRow =
    reads === undefined
      ? (scope, out) => (holds(scope) ? row(scope, out) : 0)
      : (scope, out) => (isThere(reads, scope) && holds(scope) ? row(scope, out) : 0);
  return Object.assign(guarded, { first: row.first, reads, accounts: row.accounts });
}

/** Tells that a row does nothing without these paths. */
export function reading(reads: readonly Read[], dialect: Dialect, row: RunRow): RunRow {
  const first = Math.min(...reads.map((read) => firstOf(read, dialect)));
  return Object.assign(row, { first, reads });
}

export function accountOnly(row: RunRow): RunRow {
  return Object.assign(row, { accounts: true });
}

function isThere(reads: readonly Read[], scope: Scope): boolean {
  for (const read of reads) {
    const cell = read.one(scope);
    if (cell.raw !== '' || cell.valued) return true;
  }
  return false;
}

function firstOf({ path }: Read, dialect: Dialect): number {
  if (path.kind === 'component') return path.part;
  if (path.kind !== 'field' || dialect.kind !== 'segment') return 0;
  return path.segment === dialect.own ? path.field : 0;
}

function countFields({ segment }: Scope): number {
  return segment === null ? Number.POSITIVE_INFINITY : segment.fieldCount;
}

function countParts({ cell }: Scope): number {
  return countChildren(cell);
}
