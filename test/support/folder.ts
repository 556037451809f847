// Folders of one test file in the system's temp folder: made with newFolder, removed at its end.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const made = new Set<string>();

export function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'artery-test-'));
  made.add(folder);
  return folder;
}

/** For afterAll: removes every folder that newFolder made. */
export function removeFolders(): void {
  for (const folder of made) rmSync(folder, { recursive: true, force: true });
  made.clear();
}
