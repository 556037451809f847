// Keeps a second process (or a second store of this process) off a data folder. The lock is held by
// the operating system on a small database of its own, so it is gone the moment its holder dies.
import { DatabaseSync } from 'node:sqlite';
import { EngineError } from '../../model/errors.ts';
import { createPrivateFile, isBusy, translateError } from './connection.ts';

const LOCK_FILE = 'lock.db';

/** Takes the folder's lock and answers how to release it. Throws STORE_LOCKED when it is held. */
export function lockFolder(folder: string): () => void {
  const db = new DatabaseSync(createPrivateFile(folder, LOCK_FILE), { timeout: 0 });
  try {
    db.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
  } catch (cause) {
    db.close();
    if (!isBusy(cause)) throw translateError(cause);
    throw new EngineError(
      'STORE_LOCKED',
      'Another process has this data folder open; stop it, or name another folder.',
      { cause },
    );
  }
  return () => db.close();
}
