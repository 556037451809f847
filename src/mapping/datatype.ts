// Datatype maps: one value to one FHIR data type, to a primitive, or to a resource of its own and
// a Reference to it. Results of equal raw texts are remembered within a message.

import { DEFAULT_DELIMITERS } from '../hl7/delimiters.ts';
import { Value } from '../hl7/value.ts';
import type { WriteMode } from '../model/resource.ts';
import type { Cell } from './cell.ts';
import { cloneJson, type JsonObject } from './json.ts';
import { compileKey, type KeyMaker } from './key.ts';
import type { RunRow } from './order.ts';
import { CONVERSIONS } from './primitives.ts';
import type { Read } from './read.ts';
import { compileRows, type RowContext, readPath } from './row.ts';
import { type Made, newMade, type Run, Scope } from './scope.ts';
import { faultAt } from './source.ts';
import type { Dialect } from './source-path.ts';
import { fillMissing, settle, wholeOf } from './target.ts';
import type { Convert } from './value.ts';

export interface Datatype {
  name: string;
  /** FHIR data type, primitive type or resource type. */
  yields: string;
  primitive: boolean;
  convert: Convert;
  /** The result depends on the raw text alone, and is worth keeping over messages. */
  lasting: boolean;
  /** Instances that its resource's key needs: `patient`. */
  needs: string[];
}

interface OwnResource {
  type: string;
  mode: WriteMode;
  key: KeyMaker;
  display: Read[];
}

/** Compiles a checked datatype map. `index` is its number among all, for the memo of a run. */
export function compileDatatype(index: number, context: RowContext): Datatype {
  const { value, name } = context.source;
  const yields = String(value.yields);
  const primitive = Object.hasOwn(CONVERSIONS, yields) || yields === 'xhtml';
  const rows = compileRows(value.rows, ['rows'], context);
  const own = compileResource(value.resource, yields, context);
  const needs = [...(own?.key.needs ?? []), ...context.needs];
  const build: Convert = (cell, scope, path, repetition, label) => {
    const from = { scope, path, repetition };
    const { run, group, segment, instance } = scope;
    const inner = new Scope(run, group, segment, cell, instance, NO_EACHES, from, label);
    return own === undefined ? buildValue(rows, inner, primitive) : buildResource(rows, inner, own);
  };
  const lasting = own === undefined && !context.seen.transient && LASTING.has(yields);
  const keep = lasting ? keepOver(build) : remember(index, build);
  const convert = needs.length === 0 ? keep : build;
  return { name, yields, primitive, convert, lasting, needs };
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
      kept.set(raw, known === SEEN_ONCE ? cloneJson(value) : SEEN_ONCE);
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

function compileResource(
  written: unknown,
  type: string,
  context: RowContext,
): OwnResource | undefined {
  if (written === undefined) return undefined;
  const { key, mode, display } = written as { key: unknown; mode?: WriteMode; display?: string[] };
  const compiled = compileKey(key, {
    read: (path) => readPath(path, ['resource', 'key'], context),
    isInstance: () => true,
    fail: (place, text) => {
      context.faults.push(faultAt(context.source, ['resource', 'key', ...place], text));
    },
  });
  const reads = (display ?? [])
    .map((path, i) => readPath(String(path), ['resource', 'display', i], context))
    .filter((read) => read !== undefined);
  return { type, mode: mode ?? 'merge', key: compiled, display: reads };
}

function buildResource(rows: RunRow, inner: Scope, own: OwnResource): JsonObject | undefined {
  const { run } = inner;
  const found = own.key.find(inner);
  const display = readDisplay(own.display, inner);
  if (found === undefined) return display === undefined ? undefined : { display };
  const id = run.idOf(own.type, found.key);
  const reference = `${own.type}/${id}`;
  const labelled = run.account === null ? inner : relabel(inner, own.type);
  const out: JsonObject = { resourceType: own.type, id };
  if (rows(labelled, out) === 0) return display === undefined ? undefined : { display };
  settle(out);
  for (const cell of found.cells) run.account?.inKey(cell, own.type);
  const known = run.made.get(reference);
  if (known !== undefined) fillMissing(known.resource, out);
  else {
    run.made.set(reference, newMade(out as Made['resource'], own.mode));
  }
  return display === undefined ? { reference } : { reference, display };
}

function readDisplay(reads: readonly Read[], scope: Scope): string | undefined {
  const texts: string[] = [];
  for (const read of reads) {
    const text = read.one(scope).text.trim();
    if (text !== '') texts.push(text);
  }
  return texts.length === 0 ? undefined : texts.join(' ');
}

function relabel(scope: Scope, label: string): Scope {
  const { run, group, segment, cell, instance, from } = scope;
  return new Scope(run, group, segment, cell, instance, NO_EACHES, from, label);
}
