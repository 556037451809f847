// The note `<data>/run/server.json` by which the command line finds a running server on this
// machine. Mode 0600: who can read it, is the operator.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

export interface RunFile {
  pid: number;
  /** `http://127.0.0.1:8080`. */
  url: string;
  /** The bearer token of the operator on this machine; changes at each start. */
  secret: string;
}

export function runFilePath(dataDir: string): string {
  return join(dataDir, 'run', 'server.json');
}

export function writeRunFile(dataDir: string, note: RunFile): void {
  const file = runFilePath(dataDir);
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  rmSync(file, { force: true });
  writeFileSync(file, `${JSON.stringify(note)}\n`, { mode: 0o600 });
}

/** Undefined when there is none, or its process is gone. */
export function readRunFile(dataDir: string): RunFile | undefined {
  let note: RunFile;
  try {
    note = JSON.parse(readFileSync(runFilePath(dataDir), 'utf8')) as RunFile;
  } catch {
    return undefined;
  }
  return isAlive(note.pid) ? note : undefined;
}

/** Removes the note if it is still this process's own. */
export function removeRunFile(dataDir: string): void {
  if (readRunFile(dataDir)?.pid === process.pid) rmSync(runFilePath(dataDir), { force: true });
}

/** EPERM: it lives, but belongs to somebody else. */
export function isAlive(pid: number): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
