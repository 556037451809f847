// A data folder as source or target of a move. It is locked as a running store locks it, and read
// and written in the calling thread: nothing else goes on in a process that moves a store.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { EngineError } from '../../model/errors.ts';
import type { Transfer, TransferUse } from '../transfer.ts';
import { type Connection, DATABASE_FILE, openWriter, translateError } from './connection.ts';
import { lockFolder } from './lock.ts';
import { migrate } from './schema.ts';
import { dropMark, moveMark, readMark, refuseUnfinished, setMark } from './transfer-mark.ts';
import { countRows, type Placed, readRows, readState } from './transfer-read.ts';
import { writeRows } from './transfer-write.ts';
import { WriterState } from './writer-state.ts';

const TUNING = { checkpointPages: 10_000, pagesMax: 0 };

/**
 * Throws NOT_FOUND when the source holds no store, STORE_UNFINISHED when it is an unfinished copy
 * itself, STORE_LOCKED when another process has the folder open.
 */
export async function openSqliteTransfer(folder: string, use: TransferUse): Promise<Transfer> {
  if (use === 'source' && !existsSync(join(folder, DATABASE_FILE))) {
    throw new EngineError('NOT_FOUND', `${folder} holds no store.`);
  }
  const unlock = lockFolder(folder);
  let db: Connection | undefined;
  try {
    db = openWriter(folder, TUNING);
    if (use === 'source') refuseUnfinished(db);
    migrate(db);
    return new FolderTransfer(folder, db, unlock);
  } catch (cause) {
    db?.close();
    unlock();
    throw translateError(cause);
  }
}

class FolderTransfer implements Transfer {
  readonly label: string;
  readonly #state: WriterState;
  readonly #unlock: () => void;

  constructor(folder: string, db: Connection, unlock: () => void) {
    this.label = `SQLite store in ${folder}`;
    this.#state = new WriterState(db);
    this.#unlock = unlock;
  }

  get #db(): Connection {
    return this.#state.db;
  }

  async *rows<K extends Parameters<Transfer['rows']>[0]>(
    kind: K,
    after: Parameters<Transfer['rows']>[1],
  ): AsyncGenerator<Placed<K>> {
    try {
      yield* readRows(this.#db, kind, after);
    } catch (cause) {
      throw translateError(cause);
    }
  }

  count: Transfer['count'] = async (kind) => countRows(this.#db, kind);
  state: Transfer['state'] = async () => readState(this.#db);
  progress: Transfer['progress'] = async () => readMark(this.#db);

  isEmpty: Transfer['isEmpty'] = async () => {
    const tables = ['keys', 'credentials', 'resources', 'intake', 'audit', 'checkpoints'];
    return tables.every((table) => !this.#db.one(`SELECT 1 AS found FROM ${table} LIMIT 1`));
  };

  begin: Transfer['begin'] = async (progress) => {
    this.#transact(() => setMark(this.#db, progress));
  };

  write: Transfer['write'] = async (kind, rows, progress) => {
    this.#transact(() => {
      writeRows(this.#state, kind, rows);
      moveMark(this.#db, progress);
    });
  };

  /** Everything beside the rows is kept with each page. */
  finish: Transfer['finish'] = async () => undefined;

  admit: Transfer['admit'] = async () => {
    this.#transact(() => dropMark(this.#db));
  };

  close: Transfer['close'] = async () => {
    this.#db.exec('PRAGMA wal_checkpoint(TRUNCATE)');
    this.#db.close();
    this.#unlock();
  };

  #transact(work: () => void): void {
    const { db } = this.#db;
    db.exec('BEGIN IMMEDIATE');
    try {
      work();
      db.exec('COMMIT');
    } catch (cause) {
      if (db.isTransaction) db.exec('ROLLBACK');
      this.#state.forgetAll();
      throw translateError(cause);
    }
  }
}
