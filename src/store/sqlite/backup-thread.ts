// The thread that copies a running store's database into a new file, as of one moment.
import { isMainThread, parentPort, workerData } from 'node:worker_threads';
import type { BackupData } from './backup.ts';
import { openReader, translateError } from './connection.ts';
import { toFault } from './protocol.ts';

if (!isMainThread && parentPort) copy(workerData as BackupData);

/** VACUUM INTO reads in one transaction and leaves free pages behind: no erased value is copied. */
function copy({ from, to }: BackupData): void {
  try {
    const db = openReader(from);
    db.run('VACUUM INTO ?', to);
    db.close();
  } catch (cause) {
    parentPort?.postMessage(toFault(translateError(cause)));
  }
}
