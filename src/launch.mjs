#!/usr/bin/env node
// Runs src/main.ts under Node 24 whatever node started this file: plain ESM that Node 18 can read.
// It parses no arguments; everything else is main.ts.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const MAJOR_NEEDED = 24;
const main = join(dirname(fileURLToPath(import.meta.url)), 'main.ts');

if (Number(process.versions.node.split('.')[0]) >= MAJOR_NEEDED) {
  const { runMain } = await import('./main.ts');
  await runMain();
} else {
  const binary = findBinary();
  if (binary === undefined) refuse();
  else runUnder(binary);
}

/** The package `node`, pinned in package.json; with --ignore-scripts its binary stays nested. */
function findBinary() {
  const require = createRequire(import.meta.url);
  const platform = process.platform === 'win32' ? 'win' : process.platform;
  const name = `node-${platform}-${process.arch}`;
  const file = process.platform === 'win32' ? 'node.exe' : 'node';
  const folders = [];
  try {
    const home = dirname(require.resolve('node/package.json'));
    folders.push(home, join(home, 'node_modules', name), join(home, '..', name));
  } catch {
    // Not installed: the refusal says what to do.
  }
  return folders.map((folder) => join(folder, 'bin', file)).find((path) => existsSync(path));
}

function refuse() {
  process.stderr.write(
    `artery: Node ${MAJOR_NEEDED} is needed, this is ${process.versions.node} and the pinned ` +
      'copy is not in place: run `npm rebuild node` (with scripts allowed) or install Node 24.\n',
  );
  process.exitCode = 1;
}

/** The `ipc` pipe tells the child when this process is gone: no orphan keeps the ports. */
function runUnder(binary) {
  const child = spawn(binary, [main, ...process.argv.slice(2)], {
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
  });
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) {
    process.on(signal, () => child.kill(signal));
  }
  child.on('error', (error) => {
    process.stderr.write(`artery: ${binary} cannot be run (${error.code}).\n`);
    process.exitCode = 1;
  });
  child.on('exit', (code, signal) => {
    process.exit(code ?? 128 + (constants.signals[signal] ?? 0));
  });
}
