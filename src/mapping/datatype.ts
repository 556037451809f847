// Datatype maps: one value to one FHIR data type, to a primitive, or to a resource of its own and
// a Reference to it. Results of equal raw texts are remembered within a message.

import type { WriteMode } from '../model/resource.ts';
import { cloneJson, type JsonObject } from './json.ts';
import { compileKey, type KeyMaker } from './key.ts';
import type { RunRow } from './order.ts';
import { CONVERSIONS } from './primitives.ts';
import type { Read } from './read.ts';
import { compileRows, type RowContext, readPath } from './row.ts';
import { type Made, Scope } from './scope.ts';
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
  const convert = needs.length === 0 ? remember(index, build) : build;
  return { name, yields, primitive, convert, needs };
}

/** What paths the rows of a datatype map may use. */
export function dialectOf(datatype: unknown): Dialect {
  return datatype === 'json' ? { kind: 'json' } : { kind: 'datatype', name: String(datatype) };
}

const NO_EACHES: never[] = [];
const SEEN_ONCE = Symbol('seen once');
const LEVELS = 10;
const RAW_MAX = 500;

/**
 * The second time that a raw text comes the result is kept, from the third on it is copied. Not
 * with an account, which must see every leaf, and not when issues were reported.
 */
function remember(index: number, build: Convert): Convert {
  return (cell, scope, path, repetition, label) => {
    const { run } = scope;
    const { raw } = cell;
    if (run.account !== null || raw.length > RAW_MAX || cell.level > 3) {
      return build(cell, scope, path, repetition, label);
    }
    const slot = index * LEVELS + cell.level;
    let memo = run.memo[slot];
    if (memo === undefined) {
      memo = new Map();
      run.memo[slot] = memo;
    }
    const known = memo.get(raw);
    if (known !== undefined && known !== SEEN_ONCE) return cloneJson(known);
    const issues = run.issues.length;
    const value = build(cell, scope, path, repetition, label);
    if (run.issues.length === issues && value !== undefined) {
      memo.set(raw, known === SEEN_ONCE ? cloneJson(value) : SEEN_ONCE);
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
  for (const cell of found.cells) run.account?.mapped(cell, `${own.type}.id`);
  const known = run.made.get(reference);
  if (known !== undefined) fillMissing(known.resource, out);
  else {
    const made: Made = { resource: out as Made['resource'], mode: own.mode, cleared: new Set() };
    run.made.set(reference, made);
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
