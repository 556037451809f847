// Owns the reading of the search parameter table: which parameters a type has and where in a
// resource their values stand. The table is generated (`npm run generate`).

import { tableOf } from '../model/table.ts';
import compartmentJson from './r4/compartment.generated.json' with { type: 'json' };
import searchJson from './r4/search.generated.json' with { type: 'json' };

/**
 * type -> parameter -> `kind path:Type[|path:Type] [>Target,Target] [@system]`. A path's step may
 * hold a filter: `telecom[system=phone]`. Parameters of every type stand under `Resource`.
 */
export type SearchTable = Record<string, Record<string, string>>;

/** type -> paths of References that put a resource into a patient's compartment, best first. */
export type CompartmentTable = Record<string, string[]>;

export type ParameterKind =
  | 'token'
  | 'date'
  | 'quantity'
  | 'number'
  | 'reference'
  | 'string'
  | 'uri';

/** One place of a parameter's values. */
export interface Place {
  /** As in the table; it also names the index entries that are made of it. */
  path: string;
  steps: Step[];
  /** Data type: `CodeableConcept`, `dateTime`. `anyTrue`: the choice is there, not false. */
  type: string;
}

export interface Step {
  key: string;
  filter: { key: string; value: string } | null;
}

export interface Parameter {
  name: string;
  kind: ParameterKind;
  places: Place[];
  /** References: the types that may be meant, empty = any. */
  targets: readonly string[];
  /** Code system of a `code` element with a required binding, '' = unknown. */
  system: string;
  /** Name of its ranges in the index: the type's first parameter with the same places. */
  rangeName: string;
}

const SEARCH = tableOf(searchJson as SearchTable);
const COMPARTMENT = tableOf(compartmentJson as CompartmentTable);

/** The parameters of a type by name, those of all resources included. Built at first use. */
export function parametersOf(type: string): ReadonlyMap<string, Parameter> {
  const known = BUILT.get(type);
  if (known) return known;
  const rows = { ...SEARCH.Resource, ...SEARCH[type] };
  const parameters = new Map<string, Parameter>();
  const names = new Map<string, string>();
  for (const [name, row] of Object.entries(rows)) {
    const parameter = readRow(name, row);
    const places = row.split(' ')[1] ?? '';
    const first = names.get(places) ?? name;
    names.set(places, first);
    parameters.set(name, { ...parameter, rangeName: first });
  }
  BUILT.set(type, parameters);
  return parameters;
}

const BUILT = new Map<string, ReadonlyMap<string, Parameter>>();

/** Paths of the references that place a resource of that type in a compartment, best first. */
export function compartmentPlaces(type: string): Place[] {
  return (COMPARTMENT[type] ?? []).map((path) => readPlace(`${path}:Reference`));
}

function readRow(name: string, row: string): Parameter {
  const [kind = '', places = '', ...rest] = row.split(' ');
  const targets = rest.find((word) => word.startsWith('>'));
  const system = rest.find((word) => word.startsWith('@'));
  return {
    name,
    kind: kind as ParameterKind,
    places: places.split('|').map(readPlace),
    targets: targets === undefined ? [] : targets.slice(1).split(','),
    system: system === undefined ? '' : system.slice(1),
    rangeName: name,
  };
}

function readPlace(text: string): Place {
  const colon = text.lastIndexOf(':');
  const path = text.slice(0, colon);
  const steps = path.split('.').map((step) => {
    const filter = /^(\w+)\[(\w+)=([\w-]+)\]$/.exec(step);
    if (!filter) return { key: step, filter: null };
    return { key: filter[1] ?? '', filter: { key: filter[2] ?? '', value: filter[3] ?? '' } };
  });
  return { path, steps, type: text.slice(colon + 1) };
}
