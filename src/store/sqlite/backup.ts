// A consistent copy of a folder while its store runs, and the check of such a copy. A copy is a
// data folder like any other: opening it, or putting it in a lost one's place, is restoring it.
import { existsSync } from 'node:fs';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { EngineError } from '../../model/errors.ts';
import {
  type Connection,
  createPrivateFile,
  DATABASE_FILE,
  openReader,
  translateError,
} from './connection.ts';
import { type Fault, fromFault } from './protocol.ts';
import { SCHEMA_VERSION, schemaVersion } from './schema.ts';

export interface BackupData {
  /** Folder of the running store. */
  from: string;
  /** File to be written: it exists and is empty. */
  to: string;
}

/**
 * Copies the state of one moment into a new folder, in a thread of its own. The folder appears
 * under its name when it is complete and on disk. Throws CONFIG_INVALID if it exists already.
 */
export async function backupFolder(from: string, folder: string): Promise<void> {
  if (existsSync(folder)) {
    throw new EngineError('CONFIG_INVALID', 'The folder of the backup exists; name a new one.');
  }
  const partial = `${folder}.partial`;
  await rm(partial, { recursive: true, force: true });
  try {
    await mkdir(dirname(folder), { recursive: true });
    const to = createPrivateFile(partial, DATABASE_FILE);
    await runThread({ from, to });
    await syncPath(to);
    await syncPath(partial);
    await rename(partial, folder);
    await syncPath(dirname(folder));
  } catch (cause) {
    await rm(partial, { recursive: true, force: true });
    throw isFileFault(cause) ? unavailable(cause) : translateError(cause);
  }
}

function runThread(data: BackupData): Promise<void> {
  return new Promise((resolve, reject) => {
    const thread = new Worker(new URL('./backup-thread.ts', import.meta.url), { workerData: data });
    thread.on('message', (fault: Fault) => reject(fromFault(fault)));
    thread.on('error', reject);
    thread.on('exit', () => resolve());
  });
}

async function syncPath(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function isFileFault(thrown: unknown): boolean {
  return thrown instanceof Error && 'syscall' in thrown;
}

function unavailable(cause: unknown): EngineError {
  return new EngineError('STORE_UNAVAILABLE', 'The backup could not be written.', { cause });
}

/**
 * Reads the whole of a backup that no store has open. Throws STORE_CORRUPT when it is not sound,
 * STORE_NEWER when it is of a later version.
 */
export async function checkBackup(folder: string): Promise<void> {
  if (!existsSync(join(folder, DATABASE_FILE))) {
    throw new EngineError('NOT_FOUND', 'The folder holds no store.');
  }
  let db: Connection | undefined;
  try {
    db = openReader(folder);
    const faults = db.all<{ integrity_check: string }>('PRAGMA integrity_check(1)');
    if (faults[0]?.integrity_check !== 'ok') {
      throw new EngineError('STORE_CORRUPT', 'The backup is damaged; take another.');
    }
    const version = schemaVersion(db);
    if (version === 0) throw new EngineError('STORE_CORRUPT', 'The file is not a store.');
    if (version > SCHEMA_VERSION) throw new EngineError('STORE_NEWER');
  } catch (cause) {
    throw translateError(cause);
  } finally {
    db?.close();
  }
}
