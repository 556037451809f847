// Whether the folder takes a write: a file as large as many commits, and a commit of the writer.
// The WAL may have room for a small commit on a full disk, so that the commit alone tells little.
import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { EngineError } from '../../model/errors.ts';
import type { StoreCondition, Unit } from '../port.ts';
import type { Connection } from './connection.ts';

/** A unit that writes nothing that stays. */
export interface ProbeUnit extends Unit {
  probe: true;
}

export const PROBE: ProbeUnit = { tenant: '', probe: true };

export function isProbe(unit: Unit): boolean {
  return 'probe' in unit;
}

const FILE = 'probe.tmp';
const FILE_BYTES = 256 * 1024;
const ROW_BYTES = 64 * 1024;
/** No message has it. */
const ROW = -1;

/** Inside the writer's transaction: needs as many free pages as a large message. */
export function writeProbe(db: Connection): void {
  db.run("INSERT INTO intake_bodies VALUES (?, 'probe', zeroblob(?))", ROW, ROW_BYTES);
  db.run('DELETE FROM intake_bodies WHERE seq = ?', ROW);
}

/** A file in the folder, on disk and gone again. */
export async function probeFolder(folder: string): Promise<void> {
  const path = join(folder, FILE);
  try {
    const file = await open(path, 'w', 0o600);
    try {
      await file.writeFile(new Uint8Array(FILE_BYTES));
      await file.datasync();
    } finally {
      await file.close();
    }
  } finally {
    await rm(path, { force: true });
  }
}

/** What a fault of a write says of the store. */
export function conditionOf(thrown: unknown): StoreCondition {
  const { code } = thrown as NodeJS.ErrnoException;
  if (code === 'ENOSPC' || code === 'EDQUOT') return 'disk full';
  if (code === 'EROFS' || code === 'EACCES' || code === 'EPERM') return 'read only';
  if (!(thrown instanceof EngineError)) return 'no answer';
  // The texts of SQLITE_FULL and SQLITE_READONLY (sqlite3_errstr), as the writer thread sends them.
  if (thrown.message.includes('database or disk is full')) return 'disk full';
  return thrown.message.includes('readonly database') ? 'read only' : 'no answer';
}
