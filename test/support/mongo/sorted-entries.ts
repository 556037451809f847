// A sorted multiset of (key, record) in chunks: the B-tree of an index. Knows nothing of BSON.
import type { DocRecord } from './record.ts';

export interface Entry {
  key: string;
  record: DocRecord;
}

const CHUNK_MAX = 512;

export class SortedEntries {
  #chunks: Entry[][] = [];

  insert(key: string, record: DocRecord): void {
    if (this.#chunks.length === 0) this.#chunks.push([]);
    const at = Math.min(this.#chunkOf(key, record.seq), this.#chunks.length - 1);
    const chunk = this.#chunks[at] ?? [];
    const place = lowerBound(chunk, key, record.seq);
    const there = chunk[place];
    if (there?.key === key && there.record === record) return;
    chunk.splice(place, 0, { key, record });
    if (chunk.length > CHUNK_MAX) {
      this.#chunks.splice(at + 1, 0, chunk.splice(CHUNK_MAX / 2));
    }
  }

  remove(key: string, record: DocRecord): void {
    const at = this.#chunkOf(key, record.seq);
    const chunk = this.#chunks[at];
    if (chunk === undefined) return;
    const place = lowerBound(chunk, key, record.seq);
    const there = chunk[place];
    if (there?.key !== key || there.record !== record) return;
    chunk.splice(place, 1);
    if (chunk.length === 0) this.#chunks.splice(at, 1);
  }

  /** Entries with low <= key < high, in key order or against it. */
  *range(low: string, high: string, backward: boolean): Generator<Entry> {
    if (backward) yield* this.#backward(low, high);
    else yield* this.#forward(low, high);
  }

  /** Records with exactly this key. */
  equal(key: string): DocRecord[] {
    const found: DocRecord[] = [];
    for (const entry of this.#forward(key, `${key}\u0000`)) {
      if (entry.key === key) found.push(entry.record);
    }
    return found;
  }

  *#forward(low: string, high: string): Generator<Entry> {
    for (let at = this.#chunkOf(low, -1); at < this.#chunks.length; at++) {
      const chunk = this.#chunks[at] ?? [];
      for (let place = lowerBound(chunk, low, -1); place < chunk.length; place++) {
        const entry = chunk[place];
        if (entry === undefined || entry.key >= high) return;
        yield entry;
      }
    }
  }

  *#backward(low: string, high: string): Generator<Entry> {
    for (let at = Math.min(this.#chunkOf(high, -1), this.#chunks.length - 1); at >= 0; at--) {
      const chunk = this.#chunks[at] ?? [];
      for (let place = lowerBound(chunk, high, -1) - 1; place >= 0; place--) {
        const entry = chunk[place];
        if (entry === undefined || entry.key < low) return;
        yield entry;
      }
    }
  }

  /** The first chunk whose last entry is not below (key, seq); the number of chunks if none. */
  #chunkOf(key: string, seq: number): number {
    let [low, high] = [0, this.#chunks.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      const last = this.#chunks[middle]?.at(-1);
      if (last !== undefined && below(last, key, seq)) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function below(entry: Entry, key: string, seq: number): boolean {
  return entry.key < key || (entry.key === key && entry.record.seq < seq);
}

function lowerBound(chunk: Entry[], key: string, seq: number): number {
  let [low, high] = [0, chunk.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    const entry = chunk[middle];
    if (entry !== undefined && below(entry, key, seq)) low = middle + 1;
    else high = middle;
  }
  return low;
}
