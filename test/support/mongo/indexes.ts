// One index: its keys for a document (multikey, partial; sparse is refused), kept sorted.
// Uniqueness is checked by collection.ts, because it depends on who looks.
import { ServerError } from './errors.ts';
import { compile, type Matcher } from './match.ts';
import type { DocRecord } from './record.ts';
import { SortedEntries } from './sorted-entries.ts';
import { type Doc, EMPTY_ARRAY_KEY, encode, invert, isDoc } from './values.ts';

export interface IndexSpec {
  name: string;
  key: Record<string, 1 | -1>;
  unique?: boolean;
  partialFilterExpression?: Doc;
  expireAfterSeconds?: number;
}

export interface IndexField {
  path: string;
  parts: string[];
  descending: boolean;
}

const OPTIONS = new Set([
  'v',
  'name',
  'key',
  'unique',
  'background',
  'partialFilterExpression',
  'expireAfterSeconds',
]);

export class Index {
  readonly spec: IndexSpec;
  readonly fields: IndexField[];
  readonly entries = new SortedEntries();
  /** Paths of arrays that were met: they decide which bounds may be combined. */
  readonly arrays = new Set<string>();
  readonly #keys = new WeakMap<Doc, string[]>();
  readonly #partial: Matcher | undefined;

  constructor(spec: IndexSpec) {
    for (const option of Object.keys(spec)) {
      if (OPTIONS.has(option)) continue;
      throw new ServerError(197, 'InvalidIndexSpecificationOption', `stand-in refuses ${option}`);
    }
    this.spec = spec;
    this.fields = Object.entries(spec.key).map(([path, way]) => {
      if (way === 1 || way === -1) return { path, parts: path.split('.'), descending: way === -1 };
      throw new ServerError(67, 'CannotCreateIndex', `stand-in refuses the index type ${way}`);
    });
    const filter = spec.partialFilterExpression;
    this.#partial = filter === undefined ? undefined : compile(filter);
  }

  /** Encoded keys of a document; empty when a partial index leaves it out. */
  keysOf(doc: Doc): string[] {
    const known = this.#keys.get(doc);
    if (known !== undefined) return known;
    const keys = this.#leavesOut(doc) ? [] : [...new Set(this.#expand(doc, new Map()))];
    this.#keys.set(doc, keys);
    return keys;
  }

  add(doc: Doc, record: DocRecord): void {
    for (const key of this.keysOf(doc)) this.entries.insert(key, record);
  }

  /** Forgets a version's keys, except those that a kept version still has. */
  drop(doc: Doc, kept: Doc[], record: DocRecord): void {
    const needed = new Set(kept.flatMap((other) => this.keysOf(other)));
    for (const key of this.keysOf(doc)) if (!needed.has(key)) this.entries.remove(key, record);
  }

  /** True when values below the path come from an array somewhere. */
  isMultikey(path: string): boolean {
    for (const array of this.arrays) {
      if (path === array || path.startsWith(`${array}.`)) return true;
    }
    return false;
  }

  #leavesOut(doc: Doc): boolean {
    return this.#partial !== undefined && !this.#partial(doc);
  }

  /** One array is opened at a time; `chosen` holds the element taken for each opened array. */
  #expand(doc: Doc, chosen: Map<string, unknown>): string[] {
    let key = '';
    for (const { parts, descending } of this.fields) {
      const found = walk(doc, parts, chosen);
      if (found.array !== undefined) return this.#open(doc, chosen, found.at, found.array);
      const piece = found.value === EMPTY ? EMPTY_ARRAY_KEY : encode(found.value);
      key += descending ? invert(piece) : piece;
    }
    return [key];
  }

  #open(doc: Doc, chosen: Map<string, unknown>, at: string, array: unknown[]): string[] {
    for (const other of chosen.keys()) {
      if (at.startsWith(`${other}.`)) continue;
      throw new ServerError(171, 'CannotIndexParallelArrays', 'cannot index parallel arrays');
    }
    this.arrays.add(at);
    const elements = array.length === 0 ? [EMPTY] : array;
    return elements.flatMap((element) => this.#expand(doc, new Map([...chosen, [at, element]])));
  }
}

const EMPTY = Symbol('empty array');

interface Walked {
  value?: unknown;
  array?: unknown[];
  at: string;
}

function walk(doc: Doc, parts: string[], chosen: Map<string, unknown>): Walked {
  let value: unknown = doc;
  let at = '';
  for (const part of parts) {
    if (!isDoc(value)) return { value: undefined, at };
    value = value[part];
    at = at === '' ? part : `${at}.${part}`;
    if (chosen.has(at)) value = chosen.get(at);
    else if (Array.isArray(value)) return { array: value, at };
  }
  return { value, at };
}
