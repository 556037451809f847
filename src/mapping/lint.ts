// Looks at written maps for what is allowed and probably not meant: maps that nothing uses, and
// targets that are no FHIR elements or ignore their cardinality. Used by `artery map lint`.
import { type ElementInfo, elementsOf, isResourceType } from '../fhir/elements.ts';
import type { SiteMaps } from './compile.ts';
import { isPlainObject } from './json.ts';
import { CONVERSIONS } from './primitives.ts';
import { faultAt, type MapFault, type MapSource, type Place } from './source.ts';

/** Warnings about the maps of a site; faults of compiling are not repeated. */
export function lintMaps({ sources, uses, messages }: SiteMaps): MapFault[] {
  const warnings: MapFault[] = [];
  const used = reachable(uses, [...messages.keys()]);
  for (const source of sources) {
    const id = `${source.layer}/${source.name}`;
    if (source.layer !== 'messages' && !used.has(id)) {
      warnings.push(faultAt(source, [], 'No message map uses this map.', 'warning'));
    }
    lintSource(source, warnings);
  }
  return warnings;
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
    if (Object.hasOwn(CONVERSIONS, type) || !Array.isArray(rows)) return;
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
