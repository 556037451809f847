// Distils R4 SearchParameters and the Patient CompartmentDefinition into path lists. The few
// FHIRPath forms that R4 uses are read here, so that the engine needs no FHIRPath at run time.
import type { ElementInfo } from '../elements.ts';
import type { CompartmentTable, SearchTable } from '../parameters.ts';

export interface SearchParameter {
  name: string;
  code: string;
  type: string;
  base: string[];
  expression?: string;
  target?: string[];
}

export interface CompartmentDefinition {
  resource: { code: string; param?: string[] }[];
}

/** Not served: the standard's meaning cannot be had from the index, or it would cost too much. */
const NOT_SERVED: Record<string, string> = {
  _id: 'a column of the store',
  _lastUpdated: 'a column of the store',
  phonetic: 'no phonetic index',
  near: 'no geographic index',
  'value-string': 'free text',
  'combo-value-quantity': 'twice the range rows of value-quantity',
  'context-quantity': 'of no use without its composite',
};

const TERMINALS: Record<string, RegExp> = {
  token: /^(code|CodeableConcept|Coding|Identifier|ContactPoint|boolean|string|id|uri|canonical)$/,
  date: /^(date|dateTime|instant|Period)$/,
  quantity: /^(Quantity|Age|Duration|Count|Distance|Range|Money)$/,
  number: /^(decimal|integer|positiveInt|unsignedInt)$/,
  reference: /^(Reference|canonical|uri)$/,
  string: /^(HumanName|Address|string|markdown)$/,
  uri: /^(uri|url|canonical|oid|uuid)$/,
};

/** What the generator knows of types and code lists. */
export interface Dictionary {
  resources: readonly string[];
  elementsOf(type: string): ElementInfo[];
  /** Code list name -> its code system, where there is just one. */
  systems: Record<string, string>;
}

interface Place {
  path: string;
  type: string;
  targets: string[];
  /** From a `resolve() is X`; empty = the definition's own targets. */
  only: string;
  codesName: string;
}

/** Parameters per resource type; those of all types stand under `Resource`. Keys sorted. */
export function distilSearch(parameters: SearchParameter[], dictionary: Dictionary): SearchTable {
  const table: SearchTable = {};
  for (const parameter of parameters) {
    if (NOT_SERVED[parameter.code] !== undefined || !TERMINALS[parameter.type]) continue;
    for (const type of parameter.base) {
      if (type !== 'Resource' && !dictionary.resources.includes(type)) continue;
      const row = rowOf(parameter, type, dictionary);
      if (row === null) continue;
      table[type] ??= {};
      table[type][parameter.code] = row;
    }
  }
  for (const type of Object.keys(table)) table[type] = sortKeys(table[type] ?? {});
  return sortKeys(table);
}

/** Paths of References to Patient per type, the most telling first. */
export function distilCompartment(
  definition: CompartmentDefinition,
  search: SearchTable,
): CompartmentTable {
  const table: CompartmentTable = {};
  for (const { code, param } of definition.resource) {
    if (!param || code === 'Patient') continue;
    const ordered = [...param].sort((a, b) => rank(a) - rank(b));
    const rows = ordered.map((name) => search[code]?.[name] ?? '');
    const paths = rows.flatMap((row) => (row.split(' ')[1] ?? '').split('|'));
    const references = paths.filter((path) => path.endsWith(':Reference'));
    table[code] = [...new Set(references.map((path) => path.replace(':Reference', '')))];
  }
  return sortKeys(table);
}

function rank(param: string): number {
  const order = ['subject', 'patient', 'beneficiary', 'individual', 'actor'];
  const place = order.indexOf(param);
  return place === -1 ? order.length : place;
}

function rowOf(parameter: SearchParameter, type: string, dictionary: Dictionary): string | null {
  if (parameter.code === 'deceased') return 'token deceased:anyTrue';
  const wanted = TERMINALS[parameter.type];
  const parts = (parameter.expression ?? '').split('|').map((part) => part.trim());
  const places = parts.flatMap((part) => placesOf(part, type, dictionary));
  const served = places.filter((place) => wanted?.test(place.type));
  if (served.length === 0) return null;
  const paths = [...new Set(served.map((place) => `${place.path}:${place.type}`))].join('|');
  const words = [parameter.type, paths];
  const targets = targetsOf(parameter, served);
  if (parameter.type === 'reference' && targets.length > 0) words.push(`>${targets.join(',')}`);
  const system = served.length === 1 ? dictionary.systems[served[0]?.codesName ?? ''] : undefined;
  if (system !== undefined) words.push(`@${system}`);
  return words.join(' ');
}

function targetsOf(parameter: SearchParameter, places: Place[]): string[] {
  const only = places.map((place) => place.only).filter((target) => target !== '');
  if (only.length > 0) return [...new Set(only)];
  const own = [...new Set(places.flatMap((place) => place.targets))];
  if (places.some((place) => place.type === 'Reference' && place.targets.length === 0)) return [];
  return own.length > 0 ? own.sort() : [...(parameter.target ?? [])].sort();
}

/** `(Observation.value as Quantity)`, `Patient.telecom.where(system='phone')` and their like. */
function placesOf(expression: string, type: string, dictionary: Dictionary): Place[] {
  let text = expression;
  while (text.startsWith('(') && text.endsWith(')')) text = text.slice(1, -1);
  const as = /^(.*) as ([A-Za-z0-9]+)$/.exec(text);
  if (as) text = `${as[1]}.ofType(${as[2]})`;
  const steps = text.split(/\.(?![^(]*\))/);
  if (steps.shift() !== type) return [];
  let places: Place[] = [{ path: '', type, targets: [], only: '', codesName: '' }];
  for (const step of steps) places = places.flatMap((place) => walk(place, step, dictionary));
  return places;
}

function walk(place: Place, step: string, dictionary: Dictionary): Place[] {
  const ofType = /^(?:ofType|as)\((\w+)\)$/.exec(step);
  if (ofType) return place.type === ofType[1] ? [place] : [];
  const resolve = /^where\(resolve\(\) is (\w+)\)$/.exec(step);
  if (resolve) return place.type === 'Reference' ? [{ ...place, only: resolve[1] ?? '' }] : [];
  const where = /^where\((\w+)='([\w-]+)'\)$/.exec(step);
  if (where) return [{ ...place, path: `${place.path}[${where[1]}=${where[2]}]` }];
  if (!/^\w+$/.test(step)) return [];
  const found = dictionary
    .elementsOf(place.type)
    .filter((element) => element.key === step || element.choice === step);
  return found.map((element) => below(place, element));
}

function below(place: Place, element: ElementInfo): Place {
  return {
    path: place.path === '' ? element.key : `${place.path}.${element.key}`,
    type: element.type.name,
    targets: element.type.targets,
    only: '',
    codesName: element.codesName,
  };
}

function sortKeys<T>(record: Record<string, T>): Record<string, T> {
  return Object.fromEntries(Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1)));
}
