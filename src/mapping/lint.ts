// Looks at written maps for what is allowed and probably not meant: maps that nothing uses, targets
// that are no FHIR elements or ignore their cardinality, rows that never write. For `map lint`.
import { type ElementInfo, elementsOf, isResourceType } from '../fhir/elements.ts';
import type { SiteMaps } from './compile.ts';
import { canonicalJson, isPlainObject } from './json.ts';
import { CONVERSIONS } from './primitives.ts';
import { faultAt, formatFault, type MapFault, type MapSource, type Place } from './source.ts';

/**
 * Warnings about the maps of all sites (the base is one), each once; what one site uses is used.
 * Faults of compiling are not repeated.
 */
export function lintMaps(sites: readonly SiteMaps[]): MapFault[] {
  const warnings: MapFault[] = [];
  const used = new Set<string>();
  for (const { uses, messages } of sites) {
    for (const id of reachable(uses, [...messages.keys()])) used.add(id);
  }
  for (const source of sites.flatMap(({ sources }) => sources)) {
    const id = `${source.layer}/${source.name}`;
    if (source.layer !== 'messages' && !used.has(id)) {
      warnings.push(faultAt(source, [], 'No message map uses this map.', 'warning'));
    }
    lintSource(source, warnings);
  }
  return [...new Map(warnings.map((found) => [formatFault(found), found])).values()];
}

function reachable(uses: SiteMaps['uses'], messages: readonly string[]): Set<string> {
  const reached = new Set(messages.map((name) => `messages/${name}`));
  for (const id of reached) for (const used of uses.get(id) ?? []) reached.add(used);
  return reached;
}

function lintSource(source: MapSource, warnings: MapFault[]): void {
  const { value } = source;
  if (source.layer === 'segments') lintRows(value.rows, ['rows'], String(value.resource), source);
  if (source.layer === 'datatypes') lintRows(value.rows, ['rows'], String(value.yields), source);
  if (source.layer !== 'messages' || !isPlainObject(value.resources)) return;
  for (const [name, instance] of Object.entries(value.resources)) {
    if (!isPlainObject(instance)) continue;
    const place = ['resources', name];
    const type = String(instance.type);
    if (!isResourceType(type)) {
      warn([...place, 'type'], `${type} is not an R4 resource type.`);
    } else lintRows(instance.rows, [...place, 'rows'], type, source);
  }

  function warn(place: Place, text: string): void {
    warnings.push(faultAt(source, place, text, 'warning'));
  }

  function lintRows(rows: unknown, place: Place, type: string, from: MapSource): void {
    if (!Array.isArray(rows)) return;
    for (const [index, text] of findIdle(rows)) warn([...place, index], text);
    if (Object.hasOwn(CONVERSIONS, type)) return;
    rows.forEach((row: unknown, index) => {
      if (isPlainObject(row)) lintRow(row, [...place, index], type, from);
    });
  }

  function lintRow(
    row: Record<string, unknown>,
    place: Place,
    type: string,
    from: MapSource,
  ): void {
    let inner = type;
    if (typeof row.to === 'string' && row.to !== '.') {
      const found = followTarget(row.to, type, row.clear === true || typeof row.value === 'object');
      if (typeof found === 'string') inner = found;
      else warn([...place, 'to'], found.fault);
    }
    if (row.rows !== undefined) lintRows(row.rows, [...place, 'rows'], inner, from);
    if (!isPlainObject(row.cases)) return;
    for (const [value, item] of Object.entries(row.cases)) {
      const list = Array.isArray(item) ? item : [item];
      lintRows(list, [...place, 'cases', value], type, from);
    }
  }
}

/** Rows that never write: the same as one above, or behind a constant that always stands. */
function findIdle(rows: readonly unknown[]): Map<number, string> {
  const idle = new Map<number, string>();
  const written = new Set<string>();
  const constants = new Set<unknown>();
  for (const [index, row] of rows.entries()) {
    if (!isPlainObject(row)) continue;
    const text = canonicalJson({ ...row, id: null });
    if (written.has(text)) idle.set(index, 'The same row stands above.');
    else if (row.clear === undefined && constants.has(row.to)) {
      idle.set(index, `A row above always writes ${row.to}: this one never does.`);
    }
    written.add(text);
    if (isLasting(row)) constants.add(row.to);
  }
  return idle;
}

/** A constant without a condition; to an object or a list further rows may add. */
function isLasting({ to, value, when, cases, rows }: Record<string, unknown>): boolean {
  if (value === undefined || typeof value === 'object' || cases !== undefined) return false;
  return when === undefined && rows === undefined && !String(to).includes('[]');
}

const STEP = /(_?[a-zA-Z][a-zA-Z0-9]*)(\([^\s()]+\))?(\[\d*\])?(?:\.|$)/g;

/** The type at the end of a target, or what is wrong with it. */
function followTarget(target: string, root: string, isWhole: boolean): string | { fault: string } {
  let type = root;
  const steps = [...target.matchAll(STEP)];
  for (const [index, [, name = '', extension, position]] of steps.entries()) {
    if (type === 'Resource' || type === 'unknown') return 'unknown';
    const element = findElement(type, name, isWhole);
    if (element === undefined) return { fault: `${type} has no element ${name}.` };
    const listed = extension !== undefined || position !== undefined;
    const isLast = index === steps.length - 1;
    const single = name.startsWith('_') || !element.many;
    if (single && listed && extension === undefined) {
      return { fault: `${type}.${name} is no list: [] is not meant.` };
    }
    if (!single && !listed && !(isLast && isWhole)) {
      return { fault: `${type}.${name} is a list: [] or [n] is missing.` };
    }
    type = name.startsWith('_') ? 'Element' : element.type.name;
  }
  return type;
}

/** `value` names all forms of value[x], where a row clears them. */
function findElement(type: string, name: string, byStem: boolean): ElementInfo | undefined {
  const plain = name.replace(/^_/, '');
  try {
    return elementsOf(type).find(
      ({ key, choice }) => key === plain || (byStem && choice === plain),
    );
  } catch {
    return undefined;
  }
}
