// The place where a page of a search ended: the sort value and the id of its last row.
import { EngineError } from '../model/errors.ts';
import type { SearchPlan } from './port.ts';

export interface Place {
  /** null = sorted by id, or the row has no value of the sort parameter. */
  key: number | null;
  id: string;
}

/** Opaque, base64url. */
export function writeCursor(plan: SearchPlan, place: Place): string {
  return Buffer.from(JSON.stringify([sortTag(plan), place.key, place.id])).toString('base64url');
}

/** undefined = the first page. Throws BAD_REQUEST for a cursor that another sort or no one made. */
export function readCursor(plan: SearchPlan): Place | undefined {
  if (plan.after === undefined) return undefined;
  const fault = new EngineError('BAD_REQUEST', 'The cursor is not one of this search.');
  let parts: unknown;
  try {
    parts = JSON.parse(Buffer.from(plan.after, 'base64url').toString('utf8'));
  } catch {
    throw fault;
  }
  if (!Array.isArray(parts) || parts[0] !== sortTag(plan)) throw fault;
  const [, key, id] = parts as unknown[];
  const keyed = key === null || (typeof key === 'number' && Number.isFinite(key));
  if (parts.length !== 3 || !keyed || typeof id !== 'string') throw fault;
  return { key, id };
}

function sortTag({ sort }: SearchPlan): string {
  const by = typeof sort.by === 'string' ? sort.by : `param ${sort.by.param}`;
  return `${by} ${sort.descending ? 'descending' : 'ascending'}`;
}
