// The next version of a document: update operators and pipelines by mingo, replacements by hand,
// and the document of an upsert. Never changes its arguments.

import { update as mingoUpdate } from 'mingo';
import { ObjectId } from 'mongodb';
import { ServerError } from './errors.ts';
import { guard, refuseOperators } from './match.ts';
import { runStages } from './reads.ts';
import { clone, type Doc, encode, isDoc } from './values.ts';

export interface UpdateSpec {
  update: Doc | Doc[];
  filter: Doc;
  arrayFilters?: Doc[] | undefined;
  /** Variables of a pipeline update. */
  variables?: Doc | undefined;
}

const PIPELINE = new Set([
  '$set',
  '$addFields',
  '$unset',
  '$project',
  '$replaceRoot',
  '$replaceWith',
]);

/** Undefined when nothing changes (`nModified` does not count it then). */
export function updated(doc: Doc, spec: UpdateSpec): Doc | undefined {
  const next = apply(clone(doc), spec, false);
  if (encode(next._id) !== encode(doc._id)) {
    throw new ServerError(66, 'ImmutableField', "the (immutable) field '_id' was found altered");
  }
  return encode(next) === encode(doc) ? undefined : next;
}

/** The document that an upsert inserts: the filter's equalities, then the update. */
export function upserted(spec: UpdateSpec): Doc {
  const seed = isReplacement(spec.update) ? idOf(spec.filter) : equalities(spec.filter);
  const doc = apply(seed, spec, true);
  return '_id' in doc ? { _id: doc._id, ...doc } : { _id: new ObjectId(), ...doc };
}

function isReplacement(update: Doc | Doc[]): boolean {
  return !Array.isArray(update) && !Object.keys(update).some((name) => name.startsWith('$'));
}

function apply(doc: Doc, spec: UpdateSpec, inserting: boolean): Doc {
  const { update, filter, arrayFilters, variables } = spec;
  if (Array.isArray(update)) return applyPipeline(doc, update, variables);
  if (isReplacement(update)) return '_id' in doc ? { _id: doc._id, ...update } : { ...update };
  const { $setOnInsert: onInsert, ...modifier } = update;
  const sets = { ...(isDoc(modifier.$set) ? modifier.$set : {}) };
  if (inserting && isDoc(onInsert)) Object.assign(sets, onInsert);
  const id = '_id' in sets ? sets._id : undefined;
  delete sets._id;
  if (Object.keys(sets).length > 0) modifier.$set = clone(sets);
  else delete modifier.$set;
  if (id !== undefined) doc._id = id;
  if (Object.keys(modifier).length === 0) return doc;
  guard(() => {
    // An inserted document need not match the filter: its positional operators have no element.
    const condition = inserting ? {} : filter;
    mingoUpdate(doc, modifier, arrayFilters ?? [], condition, { cloneMode: 'deep' });
  });
  return doc;
}

function applyPipeline(doc: Doc, stages: Doc[], variables: Doc | undefined): Doc {
  for (const stage of stages) {
    const name = Object.keys(stage)[0] ?? '';
    if (PIPELINE.has(name)) continue;
    throw new ServerError(40324, 'Location40324', `stand-in refuses ${name} in an update`);
  }
  refuseOperators(stages);
  const [next] = runStages([doc], stages, variables ?? {});
  return next ?? doc;
}

function idOf(filter: Doc): Doc {
  const { _id } = equalities(filter);
  return _id === undefined ? {} : { _id };
}

function equalities(filter: Doc): Doc {
  const found: Doc = {};
  for (const [path, test] of Object.entries(filter)) {
    if (path === '$and' && Array.isArray(test)) {
      for (const part of test) Object.assign(found, equalities(part as Doc));
    }
    if (path.startsWith('$')) continue;
    const plain = !isDoc(test) || !Object.keys(test).some((name) => name.startsWith('$'));
    const value = plain ? test : test.$eq;
    if (value !== undefined && !(value instanceof RegExp)) setPath(found, path, clone(value));
  }
  return found;
}

function setPath(doc: Doc, path: string, value: unknown): void {
  const parts = path.split('.');
  const last = parts.pop() ?? path;
  let at = doc;
  for (const part of parts) {
    const inner = at[part];
    const next: Doc = isDoc(inner) ? inner : {};
    at[part] = next;
    at = next;
  }
  at[last] = value;
}
