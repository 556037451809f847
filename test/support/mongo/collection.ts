// One collection: records by _id, indexes, and the one way in which a document is written
// (conflict, uniqueness, versions). Reads go through planner.ts and reads.ts.
import { duplicateKey, writeConflict } from './errors.ts';
import { Index, type IndexSpec } from './indexes.ts';
import { type DocRecord, newestAt, visible } from './record.ts';
import { Busy, type Transactions, type Txn } from './transaction.ts';
import { type Doc, encode, valueAt } from './values.ts';

export class Collection {
  readonly ns: string;
  readonly name: string;
  /** Its plans are those of DocumentDB. */
  readonly compatible: boolean;
  readonly records = new Map<string, DocRecord>();
  readonly indexes = new Map<string, Index>([
    ['_id_', new Index({ name: '_id_', key: { _id: 1 } })],
  ]);
  readonly #txns: Transactions;
  #seq = 0;

  constructor(database: string, name: string, txns: Transactions, compatible = false) {
    this.compatible = compatible;
    this.ns = `${database}.${name}`;
    this.name = name;
    this.#txns = txns;
  }

  /** Throws DuplicateKey when the stored documents break a unique index (nothing is kept then). */
  addIndex(spec: IndexSpec): void {
    const index = new Index(spec);
    for (const record of this.records.values()) {
      for (const doc of docsOf(record)) {
        index.add(doc, record);
        if (spec.unique !== true) continue;
        const newest = visible(record, undefined);
        if (newest === doc) this.#checkUnique(index, record, doc, undefined);
      }
    }
    this.indexes.set(spec.name, index);
  }

  /** The record of an _id for a new document: DuplicateKey when one is there. */
  recordForInsert(doc: Doc, txn: Txn | undefined): DocRecord {
    const id = encode(doc._id);
    const there = this.records.get(id);
    if (there === undefined) {
      const record: DocRecord = { id, seq: ++this.#seq, versions: [], pending: undefined };
      return record;
    }
    this.checkFree(there, txn);
    if (visible(there, txn) !== null) {
      throw duplicateKey(this.ns, '_id_', { _id: 1 }, { _id: doc._id });
    }
    return there;
  }

  /**
   * Writes a new version (null = deletes it). Inside a transaction it stays pending; outside it is
   * committed at once. Throws WriteConflict, DuplicateKey, or Busy when the caller has to wait.
   */
  write(record: DocRecord, doc: Doc | null, txn: Txn | undefined): void {
    this.checkFree(record, txn);
    if (doc !== null) this.#checkUniques(record, doc, txn);
    this.records.set(record.id, record);
    if (doc !== null) for (const index of this.indexes.values()) index.add(doc, record);
    if (txn === undefined) {
      record.versions.push({ at: ++this.#txns.clock, doc });
      this.settle(record);
      return;
    }
    const before = record.pending?.doc ?? null;
    record.pending = { txn, doc };
    txn.touched.set(record, this);
    if (before !== null) this.#unindex(before, record);
  }

  commitPending(record: DocRecord, at: number): void {
    if (record.pending === undefined) return;
    record.versions.push({ at, doc: record.pending.doc });
    record.pending = undefined;
  }

  abortPending(record: DocRecord): void {
    const doc = record.pending?.doc ?? null;
    record.pending = undefined;
    if (doc !== null) this.#unindex(doc, record);
  }

  /** Drops the versions that no snapshot can see any more. */
  settle(record: DocRecord): void {
    const oldest = this.#txns.oldest();
    let first = record.versions.length - 1;
    while (first > 0 && (record.versions[first]?.at ?? 0) > oldest) first--;
    const dropped = record.versions.splice(0, Math.max(first, 0));
    for (const { doc } of dropped) if (doc !== null) this.#unindex(doc, record);
    const [only] = record.versions;
    const gone = only === undefined || (only.doc === null && only.at <= oldest);
    if (record.versions.length > 1 || (only !== undefined && only.at > oldest)) {
      this.#txns.keepForLater(record, this);
    } else if (gone && record.pending === undefined) {
      this.records.delete(record.id);
    }
  }

  #unindex(doc: Doc, record: DocRecord): void {
    const kept = docsOf(record);
    if (kept.includes(doc)) return;
    for (const index of this.indexes.values()) index.drop(doc, kept, record);
  }

  /** First writer wins: throws when held by another, or changed after the snapshot. */
  checkFree(record: DocRecord, txn: Txn | undefined): void {
    const holder = record.pending?.txn;
    if (holder !== undefined && holder !== txn) {
      if (txn === undefined) throw new Busy(holder);
      throw writeConflict(true);
    }
    if (txn !== undefined && newestAt(record) > txn.snapshot) throw writeConflict(false);
  }

  #checkUniques(record: DocRecord, doc: Doc, txn: Txn | undefined): void {
    for (const index of this.indexes.values()) {
      const keys = index.keysOf(doc); // throws on parallel arrays, before anything is written
      if (index.spec.unique === true && keys.length > 0) {
        this.#checkUnique(index, record, doc, txn);
      }
    }
  }

  #checkUnique(index: Index, record: DocRecord, doc: Doc, txn: Txn | undefined): void {
    for (const key of index.keysOf(doc)) {
      for (const other of index.entries.equal(key)) {
        if (other !== record) this.#checkOther(index, key, other, doc, txn);
      }
    }
  }

  #checkOther(index: Index, key: string, other: DocRecord, doc: Doc, txn: Txn | undefined): void {
    const has = (seen: Doc | null): boolean => seen !== null && index.keysOf(seen).includes(key);
    const newest = other.versions.at(-1)?.doc ?? null;
    const holder = other.pending?.txn;
    if (
      holder !== undefined &&
      holder !== txn &&
      (has(other.pending?.doc ?? null) || has(newest))
    ) {
      if (txn === undefined) throw new Busy(holder);
      throw writeConflict(true);
    }
    const mine = holder !== undefined && holder === txn;
    if (mine) {
      if (!has(other.pending?.doc ?? null)) return;
    } else {
      const late = txn !== undefined && newestAt(other) > txn.snapshot;
      if (late && (has(newest) || has(visible(other, txn)))) throw writeConflict(false);
      if (!has(newest)) return;
    }
    const value = Object.fromEntries(index.fields.map(({ path }) => [path, valueAt(doc, path)]));
    throw duplicateKey(this.ns, index.spec.name, index.spec.key, value);
  }
}

/** Every version of a record that is still kept, the uncommitted one included. */
function docsOf(record: DocRecord): Doc[] {
  const docs = record.versions.map(({ doc }) => doc);
  docs.push(record.pending?.doc ?? null);
  return docs.filter((doc) => doc !== null);
}
