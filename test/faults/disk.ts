// A small disk for the embedded engine: a tmpfs of its own, where one may be mounted.
import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const CHUNK = Buffer.alloc(64 * 1024, 1);

export interface SmallDisk {
  folder: string;
  remove(): void;
}

/** Undefined where this process may not mount one. */
export function mountSmallDisk(sizeMiB: number): SmallDisk | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'artery-disk-'));
  const argv = ['-t', 'tmpfs', '-o', `size=${sizeMiB}m,mode=0700`, 'tmpfs', folder];
  if (spawnSync('mount', argv).status !== 0) {
    rmSync(folder, { recursive: true });
    return undefined;
  }
  return {
    folder,
    remove() {
      spawnSync('umount', ['-l', folder]);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Takes what room is left; the file's removal gives it back. */
export function fillDisk(folder: string): { free(): void } {
  const file = join(folder, 'filler');
  const fd = openSync(file, 'w');
  try {
    for (let size = CHUNK.length; size >= 1; ) {
      try {
        writeSync(fd, CHUNK, 0, size);
      } catch {
        size = Math.floor(size / 2);
      }
    }
  } finally {
    closeSync(fd);
  }
  return { free: () => rmSync(file) };
}
