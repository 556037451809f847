// Datatype maps: one value to one FHIR data type or to a primitive; to a resource of its own and a
// Reference to it in directory.ts. Results of equal raw texts are remembered.

import { DEFAULT_DELIMITERS } from '../hl7/delimiters.ts';
import { Value } from '../hl7/value.ts';
import type { Cell } from './cell.ts';
import { compileDirectory } from './directory.ts';
import { cloneJson, freshText, type JsonObject } from './json.ts';
import type { RunRow } from './order.ts';
import { CONVERSIONS } from './primitives.ts';
import { compileRows, type RowContext } from './row.ts';
import { type Run, Scope } from './scope.ts';
import type { Dialect } from './source-path.ts';
import { settle, wholeOf } from './target.ts';
import type { Convert } from './value.ts';

export interface Datatype {
  name: string;
  /** FHIR data type, primitive type or resource type. */
  yields: string;
  primitive: boolean;
  convert: Convert;
  /** It makes a resource, or a map that it uses does. */
  makes: boolean;
  /** The result depends on the raw text alone, and is worth keeping over messages. */
  lasting: boolean;
  /** Instances that its resource's key needs: `patient`. */
  needs: string[];
}

/** Compiles a checked datatype map. `index` is its number among all, for the memo of a run. */
export function compileDatatype(index: number, context: RowContext): Datatype {
  const { value, name } = context.source;
  const yields = String(value.yields);
  const primitive = Object.hasOwn(CONVERSIONS, yields) || yields === 'xhtml';
  const rows = compileRows(value.rows, ['rows'], context);
  const kind = { name, yields, primitive };
  if (value.resource !== undefined) {
    const { convert, needs } = compileDirectory(value.resource, yields, rows, context);
    return { ...kind, convert, needs, lasting: false, makes: true };
  }
  const build: Convert = (cell, scope, path, repetition, label) => {
    const from = { scope, path, repetition };
    const { run, group, segment, instance } = scope;
    const inner = new Scope(run, group, segment, cell, instance, NO_EACHES, from, label);
    return buildValue(rows, inner, primitive);
  };
  const lasting = !context.seen.transient && LASTING.has(yields);
  const keep = lasting ? keepOver(build) : remember(index, build);
  const needs = [...context.needs];
  const { makes } = context.seen;
  return { ...kind, convert: needs.length === 0 ? keep : build, needs, lasting, makes };
}

/** What paths the rows of a datatype map may use. */
export function dialectOf(datatype: unknown): Dialect {
  return datatype === 'json' ? { kind: 'json' } : { kind: 'datatype', name: String(datatype) };
}

const NO_EACHES: never[] = [];
const SEEN_ONCE = Symbol('seen once');
const LEVELS = 10;
const RAW_MAX = 500;

/** Coded values: few different ones, told by every message, and no names or identifiers. */
const LASTING = new Set(['CodeableConcept', 'Coding', 'Quantity', 'code', 'uri']);
const KEPT_MAX = 2000;

/**
 * Results of a pure map by raw text, over messages, as long as this set of maps lives. The same
 * text means the same only under the same delimiters.
 */
function keepOver(build: Convert): Convert {
  const levels: Map<string, unknown>[] = Array.from({ length: LEVELS }, () => new Map());
  const isKept = (cell: Cell) => cell instanceof Value && cell.delimiters === DEFAULT_DELIMITERS;
  return keepBy((cell) => (isKept(cell) ? levels[cell.level] : undefined), build);
}

/** Results by raw text, within a message. `index` is the number of the map among all. */
function remember(index: number, build: Convert): Convert {
  return keepBy((cell, { memo }) => {
    const slot = index * LEVELS + cell.level;
    memo[slot] ??= new Map();
    return memo[slot];
  }, build);
}

/**
 * The second time that a raw text comes the result is kept, from the third on it is copied. Not
 * with an account, which must see every leaf, and not when issues were reported.
 */
function keepBy(
  mapOf: (cell: Cell, run: Run) => Map<string, unknown> | undefined,
  build: Convert,
): Convert {
  return (cell, scope, path, repetition, label) => {
    const { run } = scope;
    const { raw } = cell;
    const kept =
      run.account !== null || raw.length > RAW_MAX || cell.level > 3 ? undefined : mapOf(cell, run);
    const known = kept?.get(raw);
    if (known !== undefined && known !== SEEN_ONCE) return cloneJson(known);
    const issues = run.issues.length;
    const value = build(cell, scope, path, repetition, label);
    if (kept !== undefined && run.issues.length === issues && value !== undefined) {
      if (kept.size >= KEPT_MAX) kept.clear();
      kept.set(freshText(raw), known === SEEN_ONCE ? cloneJson(value) : SEEN_ONCE);
    }
    return value;
  };
}

function buildValue(rows: RunRow, inner: Scope, primitive: boolean): unknown {
  const out: JsonObject = {};
  if (rows(inner, out) === 0) return undefined;
  if (primitive) return out[''];
  settle(out);
  return wholeOf(out);
}
