// The mark `<data>/run/working`: it stands as long as this data folder's messages are worked on.
// Who finds it at a start knows that the last run did not stop, but ended.
import { closeSync, fsyncSync, mkdirSync, openSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';

export interface WorkMark {
  /** The mark of an earlier run stood there. */
  readonly crashed: boolean;
  /** The work has stopped, nothing is in hand. */
  remove(): void;
}

export function markFile(dataDir: string): string {
  return join(dataDir, 'run', 'working');
}

/**
 * Makes the mark, durably. The folder belongs to this process alone by the store's lock. Throws the
 * system's error: without the mark a message that ends the process would be tried for ever.
 */
export function setWorkMark(dataDir: string): WorkMark {
  const file = markFile(dataDir);
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const crashed = !makeFile(file);
  syncPath(dirname(file));
  return { crashed, remove: () => rmSync(file, { force: true }) };
}

/** False: it exists. */
function makeFile(file: string): boolean {
  try {
    closeSync(openSync(file, 'wx', 0o600));
    return true;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw cause;
  }
}

function syncPath(path: string): void {
  const handle = openSync(path, 'r');
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}
