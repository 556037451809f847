// Owns the parameters that say how to answer, not what to find: _count, _sort, _total, _summary,
// _cursor, _format, and the refusal of those that Artery does not serve.

import { tableOf } from '../model/table.ts';
import { isBirthDate } from './index-entries.ts';
import type { Parameter } from './parameters.ts';
import type { SearchOptions, SearchQuery } from './search.ts';
import { type ClauseFault, invalidValue, notSupported } from './search-plan.ts';

/** What a parameter may read and change. */
export interface Controls {
  query: SearchQuery;
  options: SearchOptions;
  parameters: ReadonlyMap<string, Parameter>;
}

type Reader = (controls: Controls, value: string) => ClauseFault | null;

const READERS: Record<string, Reader> = tableOf({
  _count: readCount,
  _sort: readSort,
  _total: readTotal,
  _summary: readSummary,
  _cursor: readCursor,
  _format: () => null,
  _pretty: () => null,
  _include: () => notSupported('_include is not served.'),
  _revinclude: () => notSupported('_revinclude is not served.'),
  _elements: () => notSupported('_elements is not served.'),
  _contained: (_, value) => (value === 'false' ? null : notSupported('_contained is not served.')),
});

export function isControl(name: string): boolean {
  return Object.hasOwn(READERS, name.split(':')[0] ?? '');
}

/** Applies a control to the query; a fault changes nothing. */
export function readControl(controls: Controls, name: string, value: string): ClauseFault | null {
  const [base = '', modifier] = name.split(':');
  const read = READERS[base];
  if (read === undefined) return notSupported('That parameter is not served.');
  const isInclude = base === '_include' || base === '_revinclude';
  if (modifier !== undefined && !isInclude) return notSupported(`${base} takes no modifier.`);
  return value === '' ? null : read(controls, value);
}

function readCount({ query, options }: Controls, value: string): ClauseFault | null {
  if (!/^\d{1,9}$/.test(value)) return invalidValue('_count is a whole number, 0 or more.');
  query.count = Math.min(Number(value), options.countMax);
  if (query.count === 0) query.total = 'accurate';
  return null;
}

function readTotal({ query }: Controls, value: string): ClauseFault | null {
  if (value !== 'none' && value !== 'estimate' && value !== 'accurate') {
    return invalidValue('_total is none, estimate or accurate.');
  }
  if (value !== 'none') query.total = 'accurate';
  return null;
}

function readSummary({ query }: Controls, value: string): ClauseFault | null {
  if (value === 'false') return null;
  if (value !== 'count') return notSupported('_summary serves count and false only.');
  query.count = 0;
  query.total = 'accurate';
  return null;
}

function readCursor({ query }: Controls, value: string): ClauseFault | null {
  if (!/^[\w.~=+/-]{1,1000}$/.test(value)) return invalidValue('That is no cursor of this search.');
  query.cursor = value;
  return null;
}

/** One key. Names, identifiers and birth dates are blind in the index and cannot be sorted by. */
function readSort({ query, parameters }: Controls, value: string): ClauseFault | null {
  const descending = value.startsWith('-');
  const name = descending ? value.slice(1) : value;
  if (name.includes(',')) return notSupported('_sort serves one key.');
  if (name === '_lastUpdated') query.sort = { by: 'lastUpdated', descending };
  else if (name === '_id') query.sort = { by: 'id', descending };
  else {
    const parameter = parameters.get(name);
    if (parameter === undefined || !isSortable(parameter)) {
      return notSupported('_sort serves _lastUpdated, _id, dates and numbers, not birthdate.');
    }
    query.sort = { by: { param: parameter.rangeName }, descending };
  }
  return null;
}

/** Whether the index holds the parameter as a range. */
export function isSortable(parameter: Parameter): boolean {
  const isRange = ['date', 'number', 'quantity'].includes(parameter.kind);
  return isRange && !isBirthDate(parameter);
}
