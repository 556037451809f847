// One folder for everything that a test run puts into the system's temp folder. It goes with the
// run, whatever way the run ends; what a test has left in it is named.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const PREFIX = 'artery-run-';

const shared = tmpdir();
const folder = join(shared, `${PREFIX}${process.pid}`);

/** Called by Vitest before the first test. */
export function setup(): void {
  for (const pid of endedRuns()) removeRun(join(shared, `${PREFIX}${pid}`));
  mkdirSync(folder, { mode: 0o700 });
  // The processes of the tests inherit it.
  process.env.TMPDIR = folder;
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    process.once(signal, () => {
      removeRun(folder);
      process.exit(1);
    });
  }
}

/** Called by Vitest after the last test. */
export function teardown(): void {
  process.env.TMPDIR = shared;
  const left = readdirSync(folder).filter((name) => !TOOLS.test(name));
  removeRun(folder);
  if (left.length > 0) process.stderr.write(`tests left in the temp folder: ${left.join(', ')}\n`);
}

/** What Node and the tools of a test run keep there by themselves. */
const TOOLS = /^(node-compile-cache|vitest-|v8-compile-cache)/;

/** Numbers of processes whose folder is still here and that are not. */
function endedRuns(): number[] {
  const numbers = readdirSync(shared)
    .filter((name) => name.startsWith(PREFIX))
    .map((name) => Number(name.slice(PREFIX.length)));
  return numbers.filter((pid) => Number.isInteger(pid) && !isAlive(pid));
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Also what is mounted below: a test's small disk. */
function removeRun(run: string): void {
  for (const mounted of mountsBelow(run)) spawnSync('umount', ['-l', mounted]);
  rmSync(run, { recursive: true, force: true, maxRetries: 5 });
}

function mountsBelow(run: string): string[] {
  try {
    const lines = readFileSync('/proc/mounts', 'utf8').split('\n');
    return lines
      .map((line) => line.split(' ')[1] ?? '')
      .filter((mounted) => mounted.startsWith(`${run}/`));
  } catch {
    return []; // Only Linux has this file, and only there do tests mount anything.
  }
}
