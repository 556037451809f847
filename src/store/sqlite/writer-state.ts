// What the writer remembers between units so as not to read it again: interned ids, heads of audit
// chains, counts not yet written. All of it is thrown away when a transaction is rolled back.
import { ZERO_HASH } from '../../audit/chain.ts';
import type { Connection } from './connection.ts';

/** Entries per cache; beyond it the cache is emptied and filled anew. */
const CACHE_MAX = 20_000;
const HEADS_MAX = 100_000;

/** Head of a resource: row, newest version, and 0 live, 1 deleted, 2 forgotten. */
export interface StoredHead {
  rid: number;
  version: number;
  state: number;
}

export interface ChainHead {
  seq: number;
  hash: string;
}

/** The writer connection and its memory; one per writer thread. */
export class WriterState {
  readonly db: Connection;
  /** A destroyed or rewrapped key may still stand in the WAL: at start too, after a crash. */
  eraseDue = true;
  readonly #names = new Map<string, number>();
  readonly #collections = new Map<string, number>();
  readonly #fields = new Map<string, number>();
  readonly #chains = new Map<number, ChainHead>();
  readonly #heads = new Map<string, StoredHead>();
  readonly #live = new Map<number, number>();
  readonly #tallies = new Map<string, { key: [number, number, number]; delta: number }>();

  #lastVid = 0;

  constructor(db: Connection) {
    this.db = db;
  }

  /** Id of a tenant's or channel's name; undefined = nothing was ever stored under it. */
  findName(name: string): number | undefined {
    return recall(this.#names, name, () => this.#readName(name));
  }

  internName(name: string): number {
    return recall(
      this.#names,
      name,
      () => this.#readName(name) ?? this.db.run('INSERT INTO names (name) VALUES (?)', name),
    );
  }

  findCollection(tenant: number, type: string): number | undefined {
    return recall(this.#collections, `${tenant}|${type}`, () => this.#readCollection(tenant, type));
  }

  internCollection(tenant: number, type: string): number {
    const insert = 'INSERT INTO collections (tenant, type) VALUES (?, ?)';
    return recall(
      this.#collections,
      `${tenant}|${type}`,
      () => this.#readCollection(tenant, type) ?? this.db.run(insert, tenant, type),
    );
  }

  internField(cid: number, param: string): number {
    const select = 'SELECT fid AS n FROM fields WHERE cid = ? AND param = ?';
    const insert = 'INSERT INTO fields (cid, param) VALUES (?, ?)';
    return recall(
      this.#fields,
      `${cid}|${param}`,
      () => this.db.one<{ n: number }>(select, cid, param)?.n ?? this.db.run(insert, cid, param),
    );
  }

  /** This thread alone writes, so what it wrote or read last is what is stored. */
  findHead(cid: number, id: string): StoredHead | undefined {
    const sql = 'SELECT rid, version, state FROM resources WHERE cid = ? AND id = ?';
    const read = () => this.db.one<StoredHead>(sql, cid, id);
    return recall(this.#heads, `${cid}/${id}`, read, HEADS_MAX);
  }

  moveHead(cid: number, id: string, head: StoredHead): void {
    if (this.#heads.size >= HEADS_MAX) this.#heads.clear();
    this.#heads.set(`${cid}/${id}`, head);
  }

  /** After heads were changed by other means than moveHead. */
  forgetHeads(): void {
    this.#heads.clear();
  }

  chainHead(tenant: number): ChainHead {
    const sql = 'SELECT seq, hash FROM audit WHERE tenant = ? ORDER BY seq DESC LIMIT 1';
    return recall(
      this.#chains,
      tenant,
      () => this.db.one<ChainHead>(sql, tenant) ?? { seq: 0, hash: ZERO_HASH },
    );
  }

  moveChain(tenant: number, head: ChainHead): void {
    this.#chains.set(tenant, head);
  }

  /** Row ids of versions rise in the order of their commits. */
  nextVid(): number {
    const sql = 'SELECT ifnull(max(vid), 0) AS n FROM versions';
    if (this.#lastVid === 0) this.#lastVid = this.db.one<{ n: number }>(sql)?.n ?? 0;
    this.#lastVid += 1;
    return this.#lastVid;
  }

  countLive(cid: number, delta: number): void {
    if (delta !== 0) this.#live.set(cid, (this.#live.get(cid) ?? 0) + delta);
  }

  countIntake(tenant: number, channel: number, state: number, delta: number): void {
    const key = `${tenant}|${channel}|${state}`;
    const known = this.#tallies.get(key);
    if (known) known.delta += delta;
    else this.#tallies.set(key, { key: [tenant, channel, state], delta });
  }

  /** Writes the counts of this transaction, once per group. */
  flushCounts(): void {
    for (const [cid, delta] of this.#live) {
      this.db.run('UPDATE collections SET live = live + ? WHERE cid = ?', delta, cid);
    }
    for (const { key, delta } of this.#tallies.values()) {
      this.db.run(
        `INSERT INTO intake_tallies VALUES (?, ?, ?, ?)
          ON CONFLICT DO UPDATE SET count = count + excluded.count`,
        ...key,
        delta,
      );
    }
    this.#live.clear();
    this.#tallies.clear();
  }

  /** After a rollback: what was cached may never have been written. */
  forgetAll(): void {
    const caches = [this.#names, this.#collections, this.#fields, this.#chains, this.#live];
    for (const cache of caches) cache.clear();
    this.#heads.clear();
    this.#tallies.clear();
    this.#lastVid = 0;
  }

  #readName(name: string): number | undefined {
    return this.db.one<{ n: number }>('SELECT nid AS n FROM names WHERE name = ?', name)?.n;
  }

  #readCollection(tenant: number, type: string): number | undefined {
    const sql = 'SELECT cid AS n FROM collections WHERE tenant = ? AND type = ?';
    return this.db.one<{ n: number }>(sql, tenant, type)?.n;
  }
}

/** The cached value, or what `read` answers; `undefined` is not cached. */
function recall<K, V>(cache: Map<K, V>, key: K, read: () => V, max = CACHE_MAX): V {
  const known = cache.get(key);
  if (known !== undefined) return known;
  const value = read();
  if (cache.size >= max) cache.clear();
  if (value !== undefined) cache.set(key, value);
  return value;
}
