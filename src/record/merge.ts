// How a mapped resource meets the stored one: HL7 v2.5.1 section 2.5.3, where an absent or empty
// field is no change and `""` removes. Pure; neither resource is changed.
import type { MappedResource, Resource } from '../model/resource.ts';
import { joinByUrl, joinLists } from './join.ts';

type Identified = Resource & { id: string };

/** Elements that merge one level deeper, since several fields of a message fill them. */
const DEEPER = new Set([
  'period',
  'servicePeriod',
  'hospitalization',
  'collection',
  'actualPeriod',
]);

const EXTENSIONS = new Set(['extension', 'modifierExtension']);

/** Stems of R4's choice elements: only one of `deceasedBoolean`, `deceasedDateTime` may stand. */
const CHOICES = [
  'abatement',
  'collected',
  'deceased',
  'effective',
  'identified',
  'medication',
  'multipleBirth',
  'occurred',
  'occurrence',
  'onset',
  'performed',
  'product',
  'reported',
  'serviced',
  'timing',
  'value',
];

/** Merges as `mode` says; a stored resource is absent when there is none or it is forgotten. */
export function mergeResource(stored: Identified | undefined, mapped: MappedResource): Identified {
  if (stored === undefined) return mapped.resource;
  if (mapped.mode === 'create-only') return stored;
  if (mapped.mode === 'replace') return mapped.resource;
  const { union = [], initial = [] } = mapped;
  const incoming = initial.length === 0 ? mapped.resource : withoutKnown(mapped, stored, initial);
  const merged = overlay(stored, incoming, union) as Identified;
  for (const path of mapped.cleared) clear(merged, stepsOf(path), incoming);
  return merged;
}

/** What the message says without those initial elements that are stored already. */
function withoutKnown(
  { resource }: MappedResource,
  stored: object,
  initial: readonly string[],
): Record<string, unknown> {
  const rest: Record<string, unknown> = { ...resource };
  for (const element of initial) if (hasElement(stored, element)) delete rest[element];
  return rest;
}

/** An element, or another type of the same choice. */
function hasElement(stored: object, element: string): boolean {
  if (Object.hasOwn(stored, element)) return true;
  const stem = choiceOf(element);
  return stem !== undefined && Object.keys(stored).some((name) => choiceOf(name) === stem);
}

function overlay(stored: object, incoming: object, union: readonly string[] = []): object {
  const merged: Record<string, unknown> = { ...stored };
  for (const [element, value] of Object.entries(incoming)) {
    const before = merged[element];
    dropRivals(merged, element, incoming);
    if (DEEPER.has(element) && isObject(before) && isObject(value)) {
      merged[element] = overlay(before, value);
    } else if (EXTENSIONS.has(element)) {
      merged[element] = joinByUrl(before, value);
    } else if (union.includes(element)) {
      merged[element] = joinLists(before, value);
    } else {
      merged[element] = value;
    }
  }
  return merged;
}

/** Other types of the same choice element go, and what extends the old primitive goes. */
function dropRivals(merged: Record<string, unknown>, element: string, incoming: object): void {
  const extension = `_${element}`;
  if (!Object.hasOwn(incoming, extension)) delete merged[extension];
  const stem = choiceOf(element);
  if (stem === undefined) return;
  for (const other of Object.keys(merged)) {
    const isRival = other !== element && choiceOf(other) === stem;
    if (isRival && !Object.hasOwn(incoming, other)) delete merged[other];
  }
}

function choiceOf(element: string): string | undefined {
  const name = element.startsWith('_') ? element.slice(1) : element;
  return CHOICES.find((stem) => name.startsWith(stem) && /^[A-Z]/.test(name.slice(stem.length)));
}

/** Steps of a cleared path; the dots of an extension's url part nothing. */
function stepsOf(path: string): string[] {
  return path.match(/[^.()]+(?:\([^)]*\))?/g) ?? [];
}

/** Removes what the message empties, unless the same message also values it. */
function clear(from: Record<string, unknown>, path: string[], incoming: unknown): void {
  const [element, ...deeper] = path;
  if (element === undefined) return;
  const [, list, url] = /^(\w+)\((.+)\)$/.exec(element) ?? [];
  if (list !== undefined && url !== undefined) {
    clearExtension(from, list, url, incoming);
    return;
  }
  const valued = isObject(incoming) ? incoming[element] : undefined;
  if (deeper.length > 0) {
    const inner = from[element];
    if (!isObject(inner)) return;
    const copy = { ...inner };
    clear(copy, deeper, valued);
    if (Object.keys(copy).length === 0) delete from[element];
    else from[element] = copy;
    return;
  }
  if (valued !== undefined) return;
  const stem = element.endsWith('[x]') ? element.slice(0, -3) : element;
  for (const name of Object.keys(from)) {
    const gone = name === stem || name === `_${stem}` || choiceOf(name) === stem;
    const kept = isObject(incoming) && Object.hasOwn(incoming, name);
    if (gone && !kept) delete from[name];
  }
}

function clearExtension(
  from: Record<string, unknown>,
  list: string,
  url: string,
  incoming: unknown,
): void {
  const isOne = (item: unknown) => isObject(item) && item.url === url;
  const valued = isObject(incoming) ? incoming[list] : undefined;
  const stored = from[list];
  if (!Array.isArray(stored) || (Array.isArray(valued) && valued.some(isOne))) return;
  const kept = stored.filter((item) => !isOne(item));
  if (kept.length === 0) delete from[list];
  else from[list] = kept;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
