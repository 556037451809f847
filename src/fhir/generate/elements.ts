// Distils StructureDefinitions into the compact element table of fhir/r4/elements.generated.json.
// Reads nothing itself; see main.ts. The table's form is described in ../elements.ts.
import type { ElementTable } from '../elements.ts';

export interface StructureDefinition {
  resourceType: string;
  name: string;
  type: string;
  kind: string;
  abstract: boolean;
  derivation?: string;
  snapshot: { element: ElementDefinition[] };
}

interface ElementDefinition {
  path: string;
  min: number;
  max: string;
  base: { path: string };
  contentReference?: string;
  type?: { code: string; targetProfile?: string[] }[];
  binding?: { strength: string; valueSet?: string };
}

/** Enumerated codes of `Patient.gender`, bound to that value set; undefined = an open list. */
export type CodesOf = (path: string, valueSet: string) => string[] | undefined;

/** Not part of the R4 specification; the definitions package adds them. */
const FOREIGN_ELEMENTS = /^Meta\.(project|author|onBehalfOf|account|accounts|compartment|deleted)$/;
const FOREIGN_TYPES = new Set(['SubscriptionStatus', 'MetadataResource', 'MoneyQuantity']);

const BASES = ['Element', 'BackboneElement', 'Resource', 'DomainResource'];

/** The element table of all concrete resource types and data types, keys sorted. */
export function distilElements(definitions: StructureDefinition[], codesOf: CodesOf): ElementTable {
  const table: ElementTable = { resources: [], types: {}, codes: {} };
  const wanted = definitions.filter(
    (d) =>
      d.resourceType === 'StructureDefinition' &&
      (d.kind === 'resource' || d.kind === 'complex-type') &&
      !FOREIGN_TYPES.has(d.name) &&
      d.name !== 'SimpleQuantity',
  );
  for (const definition of wanted) {
    if (definition.kind === 'resource' && !definition.abstract)
      table.resources.push(definition.name);
    distilType(table, definition, codesOf);
  }
  table.resources.sort();
  table.types = sortKeys(table.types);
  table.codes = sortKeys(table.codes);
  return table;
}

function distilType(table: ElementTable, definition: StructureDefinition, codesOf: CodesOf): void {
  const [root, ...elements] = definition.snapshot.element;
  if (!root) return;
  for (const element of elements) {
    if (FOREIGN_ELEMENTS.test(element.path)) continue;
    const dot = element.path.lastIndexOf('.');
    const parent = element.path.slice(0, dot);
    const name = element.path.slice(dot + 1);
    const owner = rowsOf(table, parent, definition, parent === definition.name);
    if (isInherited(element, parent)) continue;
    owner[name] = rowOf(table, element, codesOf);
  }
}

/** The rows of a type; `''` names the base whose elements it has too. */
function rowsOf(
  table: ElementTable,
  key: string,
  definition: StructureDefinition,
  isRoot: boolean,
): Record<string, string> {
  const known = table.types[key];
  if (known) return known;
  const base = isRoot ? baseOfRoot(definition) : baseOfNested(definition, key);
  const rows: Record<string, string> = base === '' ? {} : { '': base };
  table.types[key] = rows;
  return rows;
}

function baseOfRoot(definition: StructureDefinition): string {
  const paths = definition.snapshot.element.map((element) => element.base?.path);
  if (definition.name === 'Element' || definition.name === 'Resource') return '';
  if (definition.name === 'DomainResource') return 'Resource';
  if (definition.name === 'BackboneElement') return 'Element';
  if (paths.includes('DomainResource.text')) return 'DomainResource';
  if (definition.kind === 'resource') return 'Resource';
  return paths.includes('BackboneElement.modifierExtension') ? 'BackboneElement' : 'Element';
}

function baseOfNested(definition: StructureDefinition, key: string): string {
  const own = definition.snapshot.element.find((element) => element.path === key);
  return own?.type?.[0]?.code === 'BackboneElement' ? 'BackboneElement' : 'Element';
}

function isInherited(element: ElementDefinition, parent: string): boolean {
  const from = element.base.path.split('.')[0] ?? '';
  return BASES.includes(from) && from !== parent;
}

function rowOf(table: ElementTable, element: ElementDefinition, codesOf: CodesOf): string {
  const parts = [typesOf(element), `${element.min}..${element.max}`];
  const { strength, valueSet = '' } = element.binding ?? {};
  const isCode = element.type?.some((type) => type.code === 'code') === true;
  const codes = isCode && strength === 'required' ? codesOf(element.path, valueSet) : undefined;
  if (codes !== undefined) {
    const name = (valueSet === '' ? element.path : valueSet)
      .replace(/\|.*$/, '')
      .replace(/^.*\//, '');
    table.codes[name] = codes;
    parts.push(`#${name}`);
  }
  return parts.join(' ');
}

function typesOf(element: ElementDefinition): string {
  if (element.contentReference) return `@${element.contentReference.slice(1)}`;
  const types = (element.type ?? []).map((type) => {
    if (type.code.startsWith('http://hl7.org/fhirpath/')) {
      if (element.path === 'Resource.id') return 'id';
      return element.path === 'Extension.url' ? 'uri' : 'string';
    }
    if (type.code === 'BackboneElement' || type.code === 'Element') return `@${element.path}`;
    const targets = (type.targetProfile ?? []).map((url) => url.replace(/^.*\//, ''));
    const isAny = targets.length === 0 || targets.includes('Resource');
    return type.code === 'Reference' && !isAny ? `Reference(${targets.join(',')})` : type.code;
  });
  return types.join('|');
}

function sortKeys<T>(record: Record<string, T>): Record<string, T> {
  return Object.fromEntries(Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1)));
}
