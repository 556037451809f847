// Filters: compiled by mingo, with long $in lists as a set of encoded values. Refuses operators
// that the adapter must not use (server-side JavaScript, $text, geo).
import { Query } from 'mingo';
import { badValue, ServerError } from './errors.ts';
import { type Doc, encode, isDoc, valuesAt } from './values.ts';

export type Matcher = (doc: Doc) => boolean;

const REFUSED = new Set(
  ['$where', '$text', '$function', '$accumulator', '$near', '$nearSphere', '$geoWithin'].concat([
    '$geoIntersects',
    '$jsonSchema',
    '$rand',
    '$sampleRate',
  ]),
);
const IN_SET_MIN = 8;

/** Throws BadValue on an operator that mingo or this stand-in does not know. */
export function compile(filter: Doc): Matcher {
  refuseOperators(filter);
  const rest: Doc = {};
  const sets: Matcher[] = [];
  for (const [path, test] of Object.entries(filter)) {
    const list = isDoc(test) && Object.keys(test).length === 1 ? test.$in : undefined;
    if (Array.isArray(list) && list.length >= IN_SET_MIN && !list.some(isPattern)) {
      sets.push(inSet(path, list));
    } else if (path !== '$comment') {
      rest[path] = test;
    }
  }
  if (Object.keys(rest).length === 0) return (doc) => sets.every((test) => test(doc));
  const query = guard(() => new Query(rest, { scriptEnabled: false }));
  return (doc) => sets.every((test) => test(doc)) && guard(() => query.test(doc));
}

/** Translates mingo's complaints into the server's answer. */
export function guard<T>(run: () => T): T {
  try {
    return run();
  } catch (error) {
    if (error instanceof ServerError) throw error;
    const text = error instanceof Error ? error.message : String(error);
    if (text.includes('conflict at')) throw new ServerError(40, 'ConflictingUpdateOperators', text);
    if (text.includes('immutable')) throw new ServerError(66, 'ImmutableField', text);
    throw badValue(text);
  }
}

/** Every operator name anywhere in a filter, pipeline or update is checked. */
export function refuseOperators(part: unknown): void {
  if (Array.isArray(part)) for (const inner of part) refuseOperators(inner);
  if (!isDoc(part)) return;
  for (const [name, inner] of Object.entries(part)) {
    if (REFUSED.has(name)) throw new ServerError(2, 'BadValue', `stand-in refuses ${name}`);
    if (inner !== null && typeof inner === 'object') refuseOperators(inner);
  }
}

function isPattern(value: unknown): boolean {
  return value instanceof RegExp;
}

function inSet(path: string, list: unknown[]): Matcher {
  const keys = new Set(list.map(encode));
  return (doc) => valuesAt(doc, path).some((value) => keys.has(encode(value)));
}
