// Datatype maps that make resources: practitioners, places and organizations, named in passing by a
// value (XCN, PL, XON), with a Reference to each. What a value made is kept over messages.
import { parseOwnJson } from '../fhir/json.ts';
import { DEFAULT_DELIMITERS } from '../hl7/delimiters.ts';
import { Value } from '../hl7/value.ts';
import type { WriteMode } from '../model/resource.ts';
import type { Cell } from './cell.ts';
import { freshText, type JsonObject } from './json.ts';
import { compileKey, type KeyMaker } from './key.ts';
import type { RunRow } from './order.ts';
import { isBroken } from './primitives.ts';
import type { Read } from './read.ts';
import { type RowContext, readPath } from './row.ts';
import { keptMade, type Made, newMade, ownMade, type Run, Scope } from './scope.ts';
import { faultAt } from './source.ts';
import { fillMissing, settle } from './target.ts';
import type { Convert } from './value.ts';

interface OwnResource {
  type: string;
  mode: WriteMode;
  key: KeyMaker;
  display: Read[];
  rows: RunRow;
}

/** What one value makes: the Reference to write, and the resource, unless it says too little. */
interface Built {
  reference: string;
  display: string | undefined;
  made: Made | undefined;
}

/** Compiles the `resource` part of a checked datatype map. */
export function compileDirectory(
  written: unknown,
  type: string,
  rows: RunRow,
  context: RowContext,
): { convert: Convert; needs: string[] } {
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
  const own = { type, mode: mode ?? 'merge', key: compiled, display: reads, rows } as const;
  const needs = [...compiled.needs, ...context.needs];
  // An id that depends on the patient, or a value that makes a second resource, is not kept.
  const keeps = needs.length === 0 && !context.seen.makes;
  context.seen.makes = true;
  return { convert: convertTo(own, keeps ? keepBuilt() : () => undefined), needs };
}

/** Different values kept of one map, tenant and level. */
const KEPT_MAX = 2_000;
const RAW_MAX = 500;
const LEVELS = 4;

type KeptTexts = Map<string, Built | null>;

/**
 * What values made, by raw text. The same text means the same under the same delimiters for the
 * same tenant (whose ids `idOf` makes).
 */
function keepBuilt(): (cell: Cell, run: Run) => KeptTexts | undefined {
  const tenants = new WeakMap<Run['idOf'], KeptTexts[]>();
  return (cell, run) => {
    if (!(cell instanceof Value) || cell.delimiters !== DEFAULT_DELIMITERS) return undefined;
    if (run.account !== null || cell.raw.length > RAW_MAX) return undefined;
    let levels = tenants.get(run.idOf);
    if (levels === undefined) {
      levels = Array.from({ length: LEVELS }, () => new Map());
      tenants.set(run.idOf, levels);
    }
    return levels[cell.level];
  };
}

function convertTo(
  own: OwnResource,
  keptOf: (cell: Cell, run: Run) => KeptTexts | undefined,
): Convert {
  return (cell, scope, path, repetition, label) => {
    const { run } = scope;
    const kept = keptOf(cell, run);
    const known = kept?.get(cell.raw);
    if (known) return tell(known, run);
    const { issues, zoneUses } = run;
    const issuesBefore = issues.length;
    const { group, segment, instance } = scope;
    const from = { scope, path, repetition };
    const inner = new Scope(run, group, segment, cell, instance, NO_EACHES, from, label);
    const built = build(inner, own);
    if (built === undefined) return undefined;
    const isPure = issues.length === issuesBefore && run.zoneUses === zoneUses;
    if (kept === undefined || !isPure) return tell(built, run);
    if (kept.size >= KEPT_MAX) kept.clear();
    // Kept from its second use on: most numbers of visitors come once.
    const lasting = known === null ? keep(built) : null;
    kept.set(freshText(cell.raw), lasting);
    return tell(lasting ?? built, run);
  };
}

function build(inner: Scope, own: OwnResource): Built | undefined {
  const { run } = inner;
  const found = own.key.find(inner);
  const display = readDisplay(own.display, inner);
  const nothing = display === undefined ? undefined : { reference: '', display, made: undefined };
  if (found === undefined || isBroken(found.key)) return nothing;
  const id = run.idOf(own.type, found.key);
  const labelled = run.account === null ? inner : relabel(inner, own.type);
  const out: JsonObject = { resourceType: own.type, id };
  if (own.rows(labelled, out) === 0) return nothing;
  settle(out);
  for (const cell of found.cells) run.account?.inKey(cell, own.type);
  const made = newMade(out as Made['resource'], own.mode);
  return { reference: `${own.type}/${id}`, display, made };
}

/** Adds what was built to the message's resources; the answer is the Reference to it. */
function tell({ reference, display, made }: Built, run: Run): JsonObject {
  if (made === undefined) return { display };
  const known = run.made.get(reference);
  if (known === undefined) run.made.set(reference, made);
  else if (known !== made) fillMissing(ownMade(run, known).resource, made.resource);
  return display === undefined ? { reference } : { reference, display };
}

/** A copy that holds on to nothing of the message. */
function keep({ reference, display, made }: Built): Built {
  const own = {
    reference: freshText(reference),
    display: display === undefined ? undefined : freshText(display),
  };
  if (made === undefined) return { ...own, made };
  const text = JSON.stringify(made.resource);
  return { ...own, made: keptMade(parseOwnJson(text) as Made['resource'], made.mode, text) };
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

const NO_EACHES: never[] = [];
