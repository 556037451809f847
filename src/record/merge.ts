// How a mapped resource meets the stored one: HL7 v2.5.1 section 2.5.3, where an absent or empty
// field is no change and `""` removes. Pure; neither resource is changed.
import type { MappedResource, Resource } from '../model/resource.ts';

type Identified = Resource & { id: string };

/** Elements that merge one level deeper, since several fields of a message fill them. */
const DEEPER = new Set([
  'period',
  'servicePeriod',
  'hospitalization',
  'collection',
  'actualPeriod',
]);

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
  const merged = overlay(stored, mapped.resource) as Identified;
  for (const path of mapped.cleared) clear(merged, path.split('.'), mapped.resource);
  return merged;
}

function overlay(stored: object, incoming: object): object {
  const merged: Record<string, unknown> = { ...stored };
  for (const [element, value] of Object.entries(incoming)) {
    const before = merged[element];
    dropRivals(merged, element, incoming);
    if (DEEPER.has(element) && isObject(before) && isObject(value)) {
      merged[element] = overlay(before, value);
    } else if (element === 'link' && 'resourceType' in merged) {
      merged[element] = joinLinks(before, value);
    } else {
      merged[element] = value;
    }
  }
  return merged;
}

/** Other types of the same choice element go, and what extends the old primitive goes. */
function dropRivals(merged: Record<string, unknown>, element: string, incoming: object): void {
  const extension = `_${element}`;
  if (extension in merged && !(extension in incoming)) delete merged[extension];
  const stem = choiceOf(element);
  if (stem === undefined) return;
  for (const other of Object.keys(merged)) {
    if (other !== element && choiceOf(other) === stem && !(other in incoming)) delete merged[other];
  }
}

function choiceOf(element: string): string | undefined {
  const name = element.startsWith('_') ? element.slice(1) : element;
  return CHOICES.find((stem) => name.startsWith(stem) && /^[A-Z]/.test(name.slice(stem.length)));
}

/** Patient.link: each merge (A40) adds a link; one to the same patient of the same type is one. */
function joinLinks(before: unknown, value: unknown): unknown {
  if (!Array.isArray(before) || !Array.isArray(value)) return value;
  const keyOf = (link: { other?: { reference?: string }; type?: string }): string =>
    `${link.type}|${link.other?.reference}`;
  const known = new Set(before.map(keyOf));
  return [...before, ...value.filter((link) => !known.has(keyOf(link)))];
}

/** Removes what the message empties, unless the same message also values it. */
function clear(from: Record<string, unknown>, path: string[], incoming: unknown): void {
  const [element, ...deeper] = path;
  if (element === undefined) return;
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
    const kept = isObject(incoming) && name in incoming;
    if (gone && !kept) delete from[name];
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
