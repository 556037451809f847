// Owns the reading of the element table: which elements a type has, their types and cardinality.
// The table itself is generated (`npm run generate`); rows are read as they are asked for.

import { tableOf } from '../model/table.ts';
import tableJson from './r4/elements.generated.json' with { type: 'json' };

/**
 * The generated table. A row is `types min..max [#codes]`: types are joined by `|`, a choice's key
 * ends in `[x]`, `@Patient.contact` is a nested type, `Reference(Patient,Group)` names its targets.
 * The row under `''` names the base type whose rows belong to the type as well.
 */
export interface ElementTable {
  resources: string[];
  types: Record<string, Record<string, string>>;
  codes: Record<string, string[]>;
}

export interface ElementType {
  /** `HumanName`, `dateTime`, `Patient.contact` (nested), `Resource` (any resource). */
  name: string;
  kind: 'primitive' | 'complex' | 'resource';
  /** References only: allowed target types, empty = any. */
  targets: string[];
}

/** One JSON property of a type; a choice element yields one per type. */
export interface ElementInfo {
  /** JSON property name: `birthDate`, `valueQuantity`. */
  key: string;
  type: ElementType;
  min: number;
  /** true: a JSON array. */
  many: boolean;
  /** `value` for `valueQuantity`, '' where it is no choice. */
  choice: string;
  /** Enumerated codes of a required binding, null = open. */
  codes: readonly string[] | null;
  /** Name of that code list, '' = none. */
  codesName: string;
}

const { resources, types, codes } = tableOf(tableJson as unknown as ElementTable);
const TABLE: ElementTable = { resources, types: tableOf(types), codes: tableOf(codes) };

const PRIMITIVES: ReadonlySet<string> = new Set([
  'base64Binary',
  'boolean',
  'canonical',
  'code',
  'date',
  'dateTime',
  'decimal',
  'id',
  'instant',
  'integer',
  'markdown',
  'oid',
  'positiveInt',
  'string',
  'time',
  'unsignedInt',
  'uri',
  'url',
  'uuid',
  'xhtml',
]);

/** Names of all concrete R4 resource types, sorted. */
export function resourceTypes(): readonly string[] {
  return TABLE.resources;
}

/** True for the name of a concrete R4 resource type. */
export function isResourceType(name: string): boolean {
  return RESOURCES.has(name);
}

const RESOURCES: ReadonlySet<string> = new Set(TABLE.resources);

/** True for a type that has elements of its own: a resource, `HumanName`, `Patient.contact`. */
export function isElementType(name: string): boolean {
  return TABLE.types[name] !== undefined;
}

/** The elements of `Patient`, `HumanName` or `Patient.contact`, inherited ones first. */
export function elementsOf(type: string): ElementInfo[] {
  return readElements(TABLE, type);
}

/** The same from a given table; the generator uses it before the table is written. */
export function readElements(table: ElementTable, type: string): ElementInfo[] {
  const rows = table.types[type];
  if (!rows) throw new Error(`no FHIR type ${type}`);
  const base = rows[''];
  const inherited = base === undefined ? [] : readElements(table, base);
  const own = Object.entries(rows).filter(([key]) => key !== '');
  return [...inherited, ...own.flatMap(([key, row]) => readRow(table, key, row))];
}

function readRow(table: ElementTable, key: string, row: string): ElementInfo[] {
  const [types = '', cardinality = '', codesName] = row.split(' ');
  const [min = '0', max = '1'] = cardinality.split('..');
  const isChoice = key.endsWith('[x]');
  const stem = isChoice ? key.slice(0, -3) : key;
  const codes = codesName === undefined ? null : (table.codes[codesName.slice(1)] ?? null);
  return types.split('|').map((text) => {
    const type = readType(text);
    return {
      key: isChoice ? stem + type.name.charAt(0).toUpperCase() + type.name.slice(1) : stem,
      type,
      min: Number(min),
      many: max !== '1',
      choice: isChoice ? stem : '',
      codes: type.name === 'code' ? codes : null,
      codesName: codesName === undefined ? '' : codesName.slice(1),
    };
  });
}

function readType(text: string): ElementType {
  if (text.startsWith('@')) return { name: text.slice(1), kind: 'complex', targets: [] };
  const reference = /^Reference\((.*)\)$/.exec(text);
  if (reference) {
    return { name: 'Reference', kind: 'complex', targets: (reference[1] ?? '').split(',') };
  }
  if (text === 'Resource') return { name: text, kind: 'resource', targets: [] };
  return { name: text, kind: PRIMITIVES.has(text) ? 'primitive' : 'complex', targets: [] };
}
