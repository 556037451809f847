// The mark that an unfinished move leaves in its target folder: a table of one row, there only as
// long as the move is not finished.
import { type Progress, unfinishedError } from '../transfer.ts';
import type { Connection } from './connection.ts';

export function readMark(db: Connection): Progress | undefined {
  const table = "SELECT 1 AS found FROM sqlite_master WHERE name = 'unfinished_copy'";
  if (!db.one(table)) return undefined;
  const row = db.one<{ progress: string }>('SELECT progress FROM unfinished_copy');
  return row && (JSON.parse(row.progress) as Progress);
}

/** Throws STORE_UNFINISHED. */
export function refuseUnfinished(db: Connection): void {
  const mark = readMark(db);
  if (mark !== undefined) throw unfinishedError(mark);
}

/** Within a transaction of the caller. */
export function setMark(db: Connection, progress: Progress): void {
  db.exec('CREATE TABLE IF NOT EXISTS unfinished_copy (progress TEXT NOT NULL)');
  db.exec('DELETE FROM unfinished_copy');
  db.run('INSERT INTO unfinished_copy VALUES (?)', JSON.stringify(progress));
}

export function moveMark(db: Connection, progress: Progress): void {
  db.run('UPDATE unfinished_copy SET progress = ?', JSON.stringify(progress));
}

export function dropMark(db: Connection): void {
  db.exec('DROP TABLE IF EXISTS unfinished_copy');
}
