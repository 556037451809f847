// Backups of the running store: each under a name, in the one folder that the operator configured.
// A backup says which root keys open it, and holds none of them.
import { existsSync } from 'node:fs';
import { mkdir, open, realpath, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Config } from '../config/config.ts';
import { EngineError } from '../model/errors.ts';
import type { ClinicalRecord } from '../record/context.ts';
import { neededRootKeys } from '../record/rotate.ts';

/** Beside the copy of the store. */
export const BACKUP_INFO_FILE = 'artery-backup-info.json';

export interface BackupInfo {
  format: 1;
  /** ISO 8601. */
  madeAt: string;
  engine: 'sqlite' | 'mongodb';
  /** Ids of the root keys that open it. */
  rootKeys: string[];
}

export interface BackupOptions {
  config: Pick<Config, 'backupDir' | 'cluster'>;
  record: ClinicalRecord;
  /** Copies the store into a folder that does not exist. */
  copy(folder: string): Promise<void>;
}

/** No separator, no dot in front, no name of a copy that is not finished. */
export const BACKUP_NAME = '^(?!.*\\.partial$)[A-Za-z0-9][A-Za-z0-9._-]{0,99}$';

/**
 * One backup at a time. Answers its folder. Throws BAD_REQUEST (the name), ALREADY_EXISTS,
 * VERSION_CONFLICT (another one runs), CONFIG_INVALID (the folder), STORE_UNAVAILABLE (disk full).
 */
export function createBackup(options: BackupOptions): (name: string) => Promise<BackupMade> {
  let running = false;
  return async (name) => {
    if (running) throw new EngineError('VERSION_CONFLICT', 'A backup runs already.');
    running = true;
    try {
      return await backUp(options, name);
    } finally {
      running = false;
    }
  };
}

export interface BackupMade {
  to: string;
  rootKeys: string[];
}

async function backUp({ config, record, copy }: BackupOptions, name: string): Promise<BackupMade> {
  const to = await placeOf(config.backupDir, name);
  if (existsSync(to)) throw new EngineError('ALREADY_EXISTS', `A backup ${name} exists.`);
  const rootKeys = await neededRootKeys(record);
  await copy(to);
  const madeAt = new Date(record.clock()).toISOString();
  const engine = config.cluster === null ? 'sqlite' : 'mongodb';
  try {
    await writeInfo(join(to, BACKUP_INFO_FILE), { format: 1, madeAt, engine, rootKeys });
  } catch (cause) {
    await rm(to, { recursive: true, force: true });
    throw new EngineError('STORE_UNAVAILABLE', 'The backup could not be written.', { cause });
  }
  return { to, rootKeys };
}

/** Where the name leads, links of the operator's own folder followed. */
async function placeOf(folder: string, name: string): Promise<string> {
  if (!new RegExp(BACKUP_NAME).test(name)) {
    const form = 'letters, digits, dots, dashes and underscores, at most 100';
    throw new EngineError('BAD_REQUEST', `The name of a backup is made of ${form}.`);
  }
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const to = join(await realpath(folder), name);
    if (dirname(to) === (await realpath(folder))) return to;
  } catch (cause) {
    const text = `The folder of the backups ${folder} cannot be used: see ARTERY_BACKUP_DIR.`;
    throw new EngineError('CONFIG_INVALID', text, { cause });
  }
  throw new EngineError('BAD_REQUEST', 'The name leads out of the folder of the backups.');
}

async function writeInfo(path: string, info: BackupInfo): Promise<void> {
  const file = await open(path, 'wx', 0o600);
  try {
    await file.writeFile(`${JSON.stringify(info, null, 2)}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
}
