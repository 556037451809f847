// An inbox that several processes share, in place of the store: rows per key in order, applied
// once, with a log of it and of when drains began and ended. SQLite settles who was first.
import { DatabaseSync } from 'node:sqlite';

export interface Applied {
  seq: number;
  key: string;
  worker: string;
}

export class SharedInbox {
  readonly #db: DatabaseSync;

  constructor(file: string) {
    this.#db = new DatabaseSync(file, { timeout: 10_000 });
    this.#db.exec(`PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;
      CREATE TABLE IF NOT EXISTS inbox(seq INTEGER PRIMARY KEY, key TEXT, state INTEGER DEFAULT 0);
      CREATE INDEX IF NOT EXISTS inbox_key ON inbox(state, key, seq);
      CREATE TABLE IF NOT EXISTS applied(n INTEGER PRIMARY KEY, seq INTEGER, key TEXT, worker TEXT);
      CREATE TABLE IF NOT EXISTS drains(n INTEGER PRIMARY KEY, key TEXT, worker TEXT, step INT)`);
  }

  add(key: string): void {
    this.#db.prepare('INSERT INTO inbox(key) VALUES (?)').run(key);
  }

  waiting(key: string, limit: number): number[] {
    const rows = this.#db
      .prepare('SELECT seq FROM inbox WHERE state = 0 AND key = ? ORDER BY seq LIMIT ?')
      .all(key, limit);
    return rows.map((row) => Number(row.seq));
  }

  keysWaiting(): string[] {
    const rows = this.#db.prepare('SELECT DISTINCT key FROM inbox WHERE state = 0').all();
    return rows.map((row) => String(row.key));
  }

  /** As the store's transition received -> processed: only the first one has an effect. */
  apply(seq: number, key: string, worker: string): void {
    this.#db.exec('BEGIN IMMEDIATE');
    const changed = this.#db
      .prepare('UPDATE inbox SET state = 1 WHERE seq = ? AND state = 0')
      .run(seq);
    if (changed.changes === 1) {
      this.#db
        .prepare('INSERT INTO applied(seq, key, worker) VALUES (?, ?, ?)')
        .run(seq, key, worker);
    }
    this.#db.exec('COMMIT');
  }

  /** `step` 1 = a drain of the key began, -1 = it ended. */
  log(key: string, worker: string, step: 1 | -1): void {
    this.#db
      .prepare('INSERT INTO drains(key, worker, step) VALUES (?, ?, ?)')
      .run(key, worker, step);
  }

  applied(): Applied[] {
    const rows = this.#db.prepare('SELECT seq, key, worker FROM applied ORDER BY n').all();
    return rows.map(({ seq, key, worker }) => {
      return { seq: Number(seq), key: String(key), worker: String(worker) };
    });
  }

  /** Drains that began while another one of the same key ran. */
  overlaps(): number {
    const running = new Map<string, number>();
    let overlaps = 0;
    for (const { key, step } of this.#db.prepare('SELECT key, step FROM drains ORDER BY n').all()) {
      const count = (running.get(String(key)) ?? 0) + Number(step);
      running.set(String(key), count);
      if (step === 1 && count > 1) overlaps += 1;
    }
    return overlaps;
  }

  close(): void {
    this.#db.close();
  }
}
