// Instances of a message map: where each is made, its key, and the rows that fill it, compiled
// against the message's structure. Running them is in run.ts.
import type { WriteMode } from '../model/resource.ts';
import { isPlainObject } from './json.ts';
import { compileKey, type KeyMaker } from './key.ts';
import { type Location, resolveLocation } from './location.ts';
import type { RunRow } from './order.ts';
import { compileRows, compileWhen, type RowContext, readPath, refuse } from './row.ts';
import type { Scope } from './scope.ts';
import { faultAt, type Place } from './source.ts';
import { readSourcePath } from './source-path.ts';

/** A segment map, compiled; `segment` '' = a map for JSON records. */
export interface SegmentMap {
  name: string;
  segment: string;
  resource: string;
  rows: RunRow;
  refs: ReadonlyMap<string, Place>;
  needs: ReadonlySet<string>;
}

/** A segment map as one instance uses it. */
export interface Contribution {
  /** Group levels to go up from the instance's group, then names to go down. */
  up: number;
  down: readonly string[];
  /** '' = the JSON node in hand. */
  segment: string;
  /** The instance's own occurrence alone. */
  own: boolean;
  when: ((scope: Scope) => boolean) | null;
  rows: RunRow;
}

export interface CompiledInstance {
  name: string;
  type: string;
  mode: WriteMode;
  ordinal: boolean;
  /** HL7: where; JSON: pointer tokens, `*` = every element. */
  at: Location | { tokens: readonly string[] };
  when: ((scope: Scope) => boolean) | null;
  key: KeyMaker;
  contributions: Contribution[];
  rows: RunRow;
}

export interface InstanceContext {
  row: RowContext;
  names: ReadonlySet<string>;
  /** Locations of the structure; empty for JSON records. */
  locations: readonly Location[];
  segmentMap(name: string): SegmentMap | undefined;
}

/** Compiles one instance; undefined when its place is not known. Faults go to the row context. */
export function compileInstance(
  name: string,
  written: Record<string, unknown>,
  context: InstanceContext,
): CompiledInstance | undefined {
  const place: Place = ['resources', name];
  const { row } = context;
  const at = compileAt(String(written.at), [...place, 'at'], context);
  if (at === undefined) return undefined;
  const fills = row.fills === null ? null : String(written.type);
  const rowContext: RowContext = { ...row, fills, clearable: true };
  const key = compileKey(written.key, {
    read: (path) => readPath(path, [...place, 'key'], rowContext),
    isInstance: (other) => context.names.has(other) && other !== name,
    fail: (where, text) => row.faults.push(faultAt(row.source, [...place, 'key', ...where], text)),
  });
  const type = String(written.type);
  const contributions = (Array.isArray(written.maps) ? written.maps : [])
    .map((map, i) => contribute(map, [...place, 'maps', i], at, type, context))
    .filter((contribution) => contribution !== undefined);
  const rows = compileRows(written.rows, [...place, 'rows'], rowContext);
  const when =
    written.when === undefined ? null : compileWhen(written.when, [...place, 'when'], row);
  const mode = (written.mode ?? 'merge') as WriteMode;
  const ordinal = written.ordinal === true;
  return { name, type, mode, ordinal, at, when, key, contributions, rows };
}

function compileAt(
  text: string,
  place: Place,
  context: InstanceContext,
): CompiledInstance['at'] | undefined {
  if (context.row.dialect.kind === 'json') {
    const path = text === '' ? undefined : readSourcePath(text, context.row.dialect);
    if (path?.kind === 'pointer') return { tokens: path.tokens };
    refuse(context.row, place, `"${text}" is not a JSON Pointer such as /readings/*.`);
    return undefined;
  }
  const found = resolveLocation(text, context.locations, []);
  if (typeof found !== 'string') return found;
  refuse(context.row, place, found);
  return undefined;
}

function contribute(
  written: unknown,
  place: Place,
  at: CompiledInstance['at'],
  type: string,
  context: InstanceContext,
): Contribution | undefined {
  const { row } = context;
  const use = isPlainObject(written) ? written : { map: written };
  const map = context.segmentMap(String(use.map));
  const fail = (text: string) => {
    refuse(row, place, text);
    return undefined;
  };
  if (map === undefined) return fail(`There is no sound segment map ${use.map}.`);
  if (map.resource !== type) {
    return fail(`${map.name} makes a ${map.resource}, and this is a ${type}.`);
  }
  for (const name of [...map.refs.keys(), ...map.needs]) {
    if (!context.names.has(name)) {
      return fail(`${map.name} refers to ${name}, and this message map has no such instance.`);
    }
  }
  const when = use.when === undefined ? null : compileWhen(use.when, [...place, 'when'], row);
  const { segment, rows } = map;
  if ('tokens' in at) {
    if (segment !== '') return fail(`${map.name} is for segment ${segment}, not for JSON records.`);
    return { up: 0, down: [], segment, own: true, when, rows };
  }
  if (use.at === undefined && at.segment === segment) {
    return { up: 0, down: [], segment, own: true, when, rows };
  }
  const target =
    use.at === undefined
      ? nearestWith(segment, at.groups, context.locations)
      : resolveLocation(String(use.at), context.locations, at.groups);
  if (typeof target === 'string') return fail(target);
  if (target.segment !== segment) return fail(`${map.name} is for segment ${segment}.`);
  return { ...stepsTo(at.groups, target.groups), segment, own: false, when, rows };
}

/** The segment as a direct child of the group, or of the nearest group around it. */
function nearestWith(
  segment: string,
  groups: readonly string[],
  locations: readonly Location[],
): Location | string {
  for (let depth = groups.length; depth >= 0; depth--) {
    const group = groups.slice(0, depth).join('.');
    const found = locations.find((l) => l.segment === segment && l.groups.join('.') === group);
    if (found !== undefined) return found;
  }
  return `${segment} is not in the instance's group or around it: say where with at.`;
}

function stepsTo(from: readonly string[], to: readonly string[]): { up: number; down: string[] } {
  let shared = 0;
  while (shared < from.length && shared < to.length && from[shared] === to[shared]) shared++;
  return { up: from.length - shared, down: to.slice(shared) };
}
