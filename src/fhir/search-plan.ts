// The nouns of a search: what the index is asked, and the exact check of a resource in clear.
import type { Resource } from '../model/resource.ts';

export interface SearchTerm {
  param: string;
  value: string;
}

/** Same meaning as RangeTest of store/port.ts. */
export interface SearchRange {
  param: string;
  low: number;
  high: number;
  test: 'overlaps' | 'within' | 'missing' | 'present';
}

/** One parameter of a request: its questions to the index, and its exact meaning. */
export interface ClausePlan {
  /** All groups must match; empty = the index cannot help. */
  groups: SearchTerm[][];
  ranges: SearchRange[];
  /** The index answer is the answer. */
  exact: boolean;
  test: (resource: Resource) => boolean;
}

/** A value or modifier that cannot be served, as a sentence without the value. */
export interface ClauseFault {
  fault: string;
  code: 'value' | 'not-supported';
}

export function isFault(planned: ClausePlan | ClauseFault): planned is ClauseFault {
  return 'fault' in planned;
}

/** A clause that only the check in clear can decide. */
export function unindexed(test: (resource: Resource) => boolean): ClausePlan {
  return { groups: [], ranges: [], exact: false, test };
}

export function invalidValue(fault: string): ClauseFault {
  return { fault, code: 'value' };
}

export function notSupported(fault: string): ClauseFault {
  return { fault, code: 'not-supported' };
}
