// One SQLite connection of a data folder: how it is opened and tuned, its prepared statements, and
// what its errors mean to callers. It knows no table.
import { chmodSync, closeSync, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite';
import { EngineError } from '../../model/errors.ts';

export const DATABASE_FILE = 'artery.db';
/** Prepared statements kept per connection; search texts vary with the shape of the plan. */
const STATEMENTS_MAX = 256;
/** Readers wait only for recovery; the writer waits for readers in a truncating checkpoint. */
const BUSY_TIMEOUT_MS = { writer: 1_000, reader: 10_000 };
const CACHE_KIB = { writer: 128 * 1024, reader: 16 * 1024 };

export interface WriterTuning {
  /** WAL pages after which a commit also moves the WAL into the database. */
  checkpointPages: number;
  /** Largest size of the database in pages of 4 KiB, 0 = as the disk allows. */
  pagesMax: number;
}

/** A database handle with its prepared statements. Errors of node:sqlite pass as they are. */
export class Connection {
  readonly db: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  constructor(db: DatabaseSync) {
    this.db = db;
  }

  one<T extends object>(sql: string, ...values: SQLInputValue[]): T | undefined {
    return this.#prepare(sql).get(...values) as T | undefined;
  }

  all<T extends object>(sql: string, ...values: SQLInputValue[]): T[] {
    return this.#prepare(sql).all(...values) as T[];
  }

  /** Rows one by one; breaking off ends the read. */
  iterate<T extends object>(sql: string, ...values: SQLInputValue[]): Iterable<T> {
    return this.#prepare(sql).iterate(...values) as Iterable<T>;
  }

  /** Answers the rowid of the last row inserted. */
  run(sql: string, ...values: SQLInputValue[]): number {
    return Number(this.#prepare(sql).run(...values).lastInsertRowid);
  }

  exec(sql: string): void {
    this.db.exec(sql);
  }

  /** Runs reads as of one moment; also saves a lock per statement. */
  snapshot<T>(read: () => T): T {
    this.exec('BEGIN');
    try {
      return read();
    } finally {
      this.exec('COMMIT');
    }
  }

  close(): void {
    this.#statements.clear();
    this.db.close();
  }

  #prepare(sql: string): StatementSync {
    const known = this.#statements.get(sql);
    if (known) return known;
    const oldest = this.#statements.keys().next().value;
    if (this.#statements.size >= STATEMENTS_MAX && oldest !== undefined) {
      this.#statements.delete(oldest);
    }
    const made = this.db.prepare(sql);
    this.#statements.set(sql, made);
    return made;
  }
}

/** Makes the folder (0700) and an empty file in it (0600) where they are absent. */
export function createPrivateFile(folder: string, name: string): string {
  if (mkdirSync(folder, { recursive: true, mode: 0o700 })) chmodSync(folder, 0o700);
  const path = join(folder, name);
  try {
    // `wx` never opens an existing file: closing a second handle would drop SQLite's POSIX locks.
    closeSync(openSync(path, 'wx', 0o600));
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') throw cause;
  }
  return path;
}

/** The one connection that writes. Commits are on disk when they return (synchronous=FULL). */
export function openWriter(folder: string, tuning: WriterTuning): Connection {
  const path = createPrivateFile(folder, DATABASE_FILE);
  const db = new DatabaseSync(path, {
    timeout: BUSY_TIMEOUT_MS.writer,
    enableForeignKeyConstraints: false,
  });
  db.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY;
    PRAGMA cache_size = -${CACHE_KIB.writer}; PRAGMA secure_delete = FAST;
    PRAGMA wal_autocheckpoint = ${tuning.checkpointPages};
    PRAGMA journal_size_limit = ${4096 * tuning.checkpointPages * 2}`);
  if (tuning.pagesMax > 0) db.exec(`PRAGMA max_page_count = ${tuning.pagesMax}`);
  return new Connection(db);
}

/** A connection that cannot write. It sees every commit that returned before a read began. */
export function openReader(folder: string): Connection {
  const db = new DatabaseSync(join(folder, DATABASE_FILE), {
    readOnly: true,
    timeout: BUSY_TIMEOUT_MS.reader,
  });
  db.exec(`PRAGMA cache_size = -${CACHE_KIB.reader}; PRAGMA temp_store = MEMORY`);
  return new Connection(db);
}

const SQLITE_BUSY = 5;
const SQLITE_CORRUPT = 11;
const SQLITE_NOTADB = 26;
/** LOCKED, NOMEM, READONLY, INTERRUPT, IOERR, FULL, CANTOPEN, PROTOCOL */
const UNAVAILABLE = new Set([SQLITE_BUSY, 6, 7, 8, 9, 10, 13, 14, 15]);

/** SQLite's primary result code of an error of node:sqlite, 0 = another kind of error. */
export function sqliteCode(thrown: unknown): number {
  if (!(thrown instanceof Error) || !('errcode' in thrown)) return 0;
  return Number(thrown.errcode) & 0xff;
}

export function isBusy(thrown: unknown): boolean {
  return sqliteCode(thrown) === SQLITE_BUSY;
}

/** Translates whatever a statement threw. SQLite's text names tables, never values. */
export function translateError(thrown: unknown): EngineError {
  if (thrown instanceof EngineError) return thrown;
  const code = sqliteCode(thrown);
  const text = thrown instanceof Error ? thrown.message : 'unknown fault';
  if (UNAVAILABLE.has(code)) {
    return new EngineError('STORE_UNAVAILABLE', `The store does not answer: ${text}.`, {
      cause: thrown,
    });
  }
  if (code === SQLITE_CORRUPT || code === SQLITE_NOTADB) {
    return new EngineError('STORE_CORRUPT', `The database file is damaged: ${text}.`, {
      cause: thrown,
    });
  }
  return new EngineError('INTERNAL', `A fault in the SQLite store: ${text}.`, { cause: thrown });
}
