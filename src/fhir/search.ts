// Owns the reading of a FHIR search: query string -> SearchQuery, and the exact verdict on a
// resource in clear. It does not run searches. What a kind of parameter means is search-*.ts.
import type { Issue } from '../model/issue.ts';
import type { Resource } from '../model/resource.ts';
import { type Parameter, parametersOf } from './parameters.ts';
import { valuesAt } from './places.ts';
import { rangesOf } from './ranges.ts';
import { planId, planLastUpdated } from './search-columns.ts';
import { type Controls, isControl, isSortable, readControl } from './search-controls.ts';
import {
  type ClauseFault,
  type ClausePlan,
  invalidValue,
  isFault,
  notSupported,
  type SearchRange,
  type SearchTerm,
  unindexed,
} from './search-plan.ts';
import { planRange } from './search-ranges.ts';
import { planString } from './search-strings.ts';
import { planReference, planToken, planUri } from './search-tokens.ts';
import { splitEscaped } from './search-values.ts';

export type { SearchRange, SearchTerm } from './search-plan.ts';

export interface SearchSort {
  by: 'lastUpdated' | 'id' | { param: string };
  descending: boolean;
}

/** One parameter of the request, kept for `matches`; opaque to others. */
export interface SearchClause {
  /** Name with modifier as requested: `family:exact`. */
  name: string;
  test(resource: Resource): boolean;
}

/**
 * A parsed search. `tokens`, `ranges`, `ids` and `lastUpdated` together never exclude a resource
 * that matches (the index answer is a superset); `matches` decides in clear.
 */
export interface SearchQuery {
  type: string;
  /** All groups must match; a group matches when any of its terms is an entry of the resource. */
  tokens: SearchTerm[][];
  ranges: SearchRange[];
  /** From `_id`; undefined = no restriction, empty = nothing can match. */
  ids?: string[];
  /** From `_lastUpdated`, already intersected to at most one span (ms, inclusive). */
  lastUpdated?: { low: number; high: number }[];
  /** true: the index answer IS the answer, so a count by the index alone is accurate. */
  exact: boolean;
  sort: SearchSort;
  /** Page size; 0 = only the total is wanted. */
  count: number;
  total: 'none' | 'accurate';
  /** Opaque cursor of the store, from `_cursor`. */
  cursor?: string;
  clauses: SearchClause[];
  /** The parameters that were applied, as given, for the self link; `_cursor` left out. */
  applied: [string, string][];
}

export interface SearchOptions {
  /** Page size when `_count` is absent, and its cap. */
  countDefault: number;
  countMax: number;
  /** true (Prefer: handling=lenient): an unknown parameter is a warning and is left out. */
  lenient?: boolean;
  /** Parameters and alternatives (`a,b`) together; more are refused. Default 64. */
  termsMax?: number;
  /** `https://host/fhir/R4`: references given with it are local ones. */
  baseUrl?: string;
}

export const VALUE_CHARACTERS_MAX = 2_000;

/**
 * Reads a search of one type. Faults are issues of severity `error`: answer 400 with them. With
 * errors the query is not to be run. Limits: `termsMax`, VALUE_CHARACTERS_MAX.
 */
export function parseSearch(
  type: string,
  parameters: Iterable<[string, string]>,
  options: SearchOptions,
): { query: SearchQuery; issues: Issue[] } {
  const query = newQuery(type, options);
  const issues: Issue[] = [];
  const controls: Controls = { query, options, parameters: parametersOf(type) };
  const { termsMax = 64 } = options;
  let terms = 0;
  for (const [name, value] of parameters) {
    terms += splitEscaped(value, ',').length;
    if (terms > termsMax) {
      issues.push(issue(invalidValue(`At most ${termsMax} parameters and values are taken.`), ''));
      break;
    }
    const fault = readParameter(controls, name, value);
    if (fault === null) {
      if (name !== '_cursor') query.applied.push([name, value]);
      continue;
    }
    const isIgnorable = fault.code === 'not-supported' || fault === EMPTY_VALUE;
    const isLenient = options.lenient === true && isIgnorable;
    issues.push(issue(fault, name, isLenient ? 'warning' : 'error'));
  }
  const costly = costFault(query);
  if (costly !== null) issues.push(issue(costly, ''));
  return { query, issues };
}

/** The exact verdict on a resource in clear, with meta.lastUpdated and id set. */
export function matches(resource: Resource, query: SearchQuery): boolean {
  for (const clause of query.clauses) if (!clause.test(resource)) return false;
  return resource.resourceType === query.type;
}

function newQuery(type: string, options: SearchOptions): SearchQuery {
  return {
    type,
    tokens: [],
    ranges: [],
    exact: true,
    sort: { by: 'lastUpdated', descending: true },
    count: options.countDefault,
    total: 'none',
    clauses: [],
    applied: [],
  };
}

function issue(fault: ClauseFault, name: string, severity: Issue['severity'] = 'error'): Issue {
  const shown = /^[\w:.-]{1,64}$/.test(name) ? name : '';
  return { severity, code: fault.code, at: shown, text: fault.fault };
}

const EMPTY_VALUE = invalidValue('The parameter has no value; it was not applied.');

function readParameter(controls: Controls, name: string, value: string): ClauseFault | null {
  if (value.length > VALUE_CHARACTERS_MAX) {
    return invalidValue(`A value has at most ${VALUE_CHARACTERS_MAX} characters.`);
  }
  if (isControl(name)) return readControl(controls, name, value);
  // As if the parameter were not there it would match all; only who asks for that gets it.
  if (value === '') return EMPTY_VALUE;
  const planned = planParameter(controls, name, value);
  if (isFault(planned)) return planned;
  add(controls.query, name, planned);
  return null;
}

function add(query: SearchQuery, name: string, plan: ClausePlan): void {
  query.tokens.push(...plan.groups);
  query.ranges.push(...plan.ranges);
  query.exact &&= plan.exact;
  query.clauses.push({ name, test: plan.test });
}

function planParameter(controls: Controls, name: string, value: string): ClausePlan | ClauseFault {
  if (name.startsWith('_has') || /^[\w-]+(:\w+)?\./.test(name)) {
    return notSupported('Chained and reverse chained parameters are not served.');
  }
  const colon = name.indexOf(':');
  const base = colon === -1 ? name : name.slice(0, colon);
  const modifier = colon === -1 ? '' : name.slice(colon + 1);
  const values = splitEscaped(value, ',');
  if (base === '_id') return planId(controls.query, modifier, values);
  if (base === '_lastUpdated') return planLastUpdated(controls.query, modifier, values);
  const parameter = controls.parameters.get(base);
  if (parameter === undefined) {
    return notSupported(`${controls.query.type} is not searched by that parameter here.`);
  }
  if (modifier === 'missing') return planMissing(parameter, value);
  return planKind(parameter, modifier, values, controls.options.baseUrl ?? '');
}

function planKind(
  parameter: Parameter,
  modifier: string,
  values: string[],
  baseUrl: string,
): ClausePlan | ClauseFault {
  switch (parameter.kind) {
    case 'token':
      return planToken(parameter, modifier, values);
    case 'reference':
      return planReference(parameter, modifier, values, baseUrl);
    case 'string':
      return planString(parameter, modifier, values);
    case 'uri':
      return planUri(parameter, modifier, values);
    default:
      return planRange(parameter, modifier, values);
  }
}

/** `:missing=true`: none of the parameter's places holds a value. Ranges know it in the index. */
function planMissing(parameter: Parameter, value: string): ClausePlan | ClauseFault {
  if (value !== 'true' && value !== 'false') return invalidValue(':missing is true or false.');
  const isWanted = value === 'true';
  const isRange = isSortable(parameter);
  const test: ClausePlan['test'] = (resource) =>
    isMissing(resource, parameter, isRange) === isWanted;
  if (!isRange) return unindexed(test);
  const low = Number.NEGATIVE_INFINITY;
  const range: SearchRange = {
    param: parameter.rangeName,
    low,
    high: -low,
    test: isWanted ? 'missing' : 'present',
  };
  return { groups: [], ranges: [range], exact: true, test };
}

function isMissing(resource: Resource, parameter: Parameter, isRange: boolean): boolean {
  return parameter.places.every((place) => {
    const values = valuesAt(resource, place);
    return isRange
      ? values.every((one) => rangesOf(place.type, one).length === 0)
      : values.length === 0;
  });
}

/** `:contains` has no index: beside something that has, it costs little; alone it reads all. */
function costFault(query: SearchQuery): ClauseFault | null {
  const isContains = query.clauses.some((clause) => clause.name.endsWith(':contains'));
  const isNarrow =
    query.tokens.length > 0 ||
    query.ids !== undefined ||
    query.lastUpdated !== undefined ||
    query.ranges.some((range) => range.test === 'overlaps' || range.test === 'within');
  if (!isContains || isNarrow) return null;
  return notSupported(':contains needs another parameter beside it that narrows the search.');
}
