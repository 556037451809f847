// The file of the root key: read, made once, replaced whole. Its text is opaque here; what it
// means is crypto/keys.ts.
import {
  chmodSync,
  closeSync,
  existsSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { EngineError } from '../model/errors.ts';
import { isAlive } from './run-file.ts';

interface RootKeyPlace {
  readonly rootKey: string | null;
  readonly rootKeyFile: string;
}

/**
 * Text of the root key; `make` gives it at the first start. `mayMake` must be false when the store
 * holds data already: a fresh key could not open it. Throws KEY_UNAVAILABLE.
 */
export function openRootKey(
  place: RootKeyPlace,
  make: () => string,
  mayMake: boolean,
): { text: string; made: boolean } {
  if (place.rootKey !== null) return { text: place.rootKey, made: false };
  const file = place.rootKeyFile;
  if (existsSync(dirname(file))) removeDrafts(file);
  if (existsSync(file)) return { text: readOwn(file), made: false };
  if (!mayMake) {
    const text = `The root key ${file} is missing, but the data folder is in use: restore the key.`;
    throw new EngineError('KEY_UNAVAILABLE', text);
  }
  writeNew(file, make());
  return { text: readOwn(file), made: true };
}

/** Text of the root key as it is now, after a start that found it. Throws KEY_UNAVAILABLE. */
export function readRootKey(place: RootKeyPlace): string {
  if (place.rootKey !== null) return place.rootKey;
  if (existsSync(place.rootKeyFile)) return readOwn(place.rootKeyFile);
  throw new EngineError('KEY_UNAVAILABLE', `The root key ${place.rootKeyFile} is missing.`);
}

/** Replaces the key file in one step. Throws KEY_UNAVAILABLE when the key is not in a file. */
export function replaceRootKey(place: RootKeyPlace, text: string): void {
  if (place.rootKey !== null) {
    const reason = 'The root key comes from ARTERY_ROOT_KEY: it can be rotated in a file only.';
    throw new EngineError('KEY_UNAVAILABLE', reason);
  }
  const draft = writeDraft(place.rootKeyFile, text);
  renameSync(draft, place.rootKeyFile);
  syncFolder(dirname(place.rootKeyFile));
}

/** A text for each retired root key that is still kept; none where the key is not in a file. */
export function readRetiredRootKeys(place: RootKeyPlace): string[] {
  if (place.rootKey !== null) return [];
  const folder = retiredFolder(place);
  if (!existsSync(folder)) return [];
  const names = readdirSync(folder).filter((name) => name.endsWith('.key'));
  return names.sort().map((name) => readOwn(join(folder, name)));
}

/** Keeps a root key apart, durably, before the key file drops it: backups of before need it. */
export function retireRootKey(place: RootKeyPlace, id: string, text: string): void {
  const file = join(retiredFolder(place), `${id}.key`);
  if (!existsSync(file)) writeNew(file, text);
}

function retiredFolder({ rootKeyFile }: RootKeyPlace): string {
  return join(dirname(rootKeyFile), 'retired');
}

/** A key that others can read is no secret any more. */
function readOwn(file: string): string {
  const mode = statSync(file).mode & 0o777;
  if ((mode & 0o077) !== 0 && process.platform !== 'win32') {
    const found = mode.toString(8).padStart(4, '0');
    const text = `The root key ${file} has mode ${found}, others can read it: chmod 600 ${file}`;
    throw new EngineError('KEY_UNAVAILABLE', text);
  }
  return readFileSync(file, 'utf8');
}

/** A link does not replace: of two processes that start at once, both get the first one's key. */
function writeNew(file: string, text: string): void {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const draft = writeDraft(file, text);
  try {
    linkSync(draft, file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  } finally {
    unlinkSync(draft);
  }
  syncFolder(dirname(file));
}

/** Drafts that a kill has left: each holds a root key, and is not the file. */
function removeDrafts(file: string): void {
  const [folder, name] = [dirname(file), basename(file)];
  for (const entry of readdirSync(folder)) {
    const [, pid] = /^(.*)\.(\d+)\.new$/.exec(entry)?.slice(1) ?? [];
    if (pid === undefined || !entry.startsWith(`${name}.`)) continue;
    if (Number(pid) !== process.pid && isAlive(Number(pid))) continue;
    unlinkSync(join(folder, entry));
  }
}

function writeDraft(file: string, text: string): string {
  const draft = `${file}.${process.pid}.new`;
  const handle = openSync(draft, 'w', 0o600);
  try {
    chmodSync(draft, 0o600);
    writeSync(handle, text);
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
  return draft;
}

function syncFolder(folder: string): void {
  const handle = openSync(folder, 'r');
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}
