// src/launch.mjs under this Node and under an older one, with and without the pinned binary.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, describe, expect, it } from 'vitest';
import { projectDir } from '../../src/config/config.ts';
import { newFolder, removeFolders } from '../support/folder.ts';

const LAUNCH = join(projectDir(), 'src', 'launch.mjs');
const OLD_NODE = findOldNode();

afterAll(removeFolders);

describe('launch.mjs', () => {
  it('runs a command under this Node', () => {
    const run = spawnSync(process.execPath, [LAUNCH, '--version'], { encoding: 'utf8' });
    expect(run).toMatchObject({ status: 0, stderr: '' });
    expect(run.stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  it.skipIf(OLD_NODE === undefined)(
    'finds the pinned Node, passes arguments, output, exit code (skipped without an older node)',
    () => {
      const run = spawnSync(OLD_NODE ?? '', [LAUNCH, 'channel', 'check', 'no such file.yaml'], {
        encoding: 'utf8',
      });
      expect(run.status).toBe(1);
      expect(run.stdout).toContain('no such file.yaml: the file: expected a readable file');
    },
  );

  it.skipIf(OLD_NODE === undefined)(
    'says in one sentence what to do without a pinned Node (skipped without an older node)',
    () => {
      const folder = newFolder();
      mkdirSync(join(folder, 'src'));
      cpSync(LAUNCH, join(folder, 'src', 'launch.mjs'));
      const run = spawnSync(OLD_NODE ?? '', [join(folder, 'src', 'launch.mjs'), 'start'], {
        encoding: 'utf8',
      });
      expect(run.status).toBe(1);
      expect(run.stdout).toBe('');
      expect(run.stderr.trim().split('\n')).toHaveLength(1);
      expect(run.stderr).toContain('npm rebuild node');
    },
  );

  it.skipIf(OLD_NODE === undefined)(
    'finds the binary of --ignore-scripts, and passes signals on (skipped without an older node)',
    async () => {
      const folder = newFolder();
      mkdirSync(join(folder, 'src'));
      cpSync(LAUNCH, join(folder, 'src', 'launch.mjs'));
      const platform = `node-${process.platform}-${process.arch}`;
      const home = join(folder, 'node_modules', 'node');
      mkdirSync(join(home, 'node_modules', platform, 'bin'), { recursive: true });
      writeFileSync(join(home, 'package.json'), '{"name":"node"}');
      symlinkSync(process.execPath, join(home, 'node_modules', platform, 'bin', 'node'));
      const main =
        "process.on('SIGTERM', () => process.exit(7)); setInterval(() => 0, 1e6);" +
        'console.log(process.argv[2]);';
      writeFileSync(join(folder, 'src', 'main.ts'), main);
      const child = spawn(OLD_NODE ?? '', [join(folder, 'src', 'launch.mjs'), 'a b']);
      const [line] = await once(createInterface(child.stdout), 'line');
      expect(line).toBe('a b');
      child.kill('SIGTERM');
      const [code] = await once(child, 'exit');
      expect(code).toBe(7);
    },
  );
});

/** The first node on the system's path that is older than 24. */
function findOldNode(): string | undefined {
  const folders = (process.env.PATH ?? '').split(':');
  const places = folders
    .filter((one) => !one.includes('node_modules'))
    .map((one) => join(one, 'node'));
  return places
    .filter((place) => existsSync(place))
    .find((place) => {
      const version = execFileSync(place, ['--version'], { encoding: 'utf8' });
      return Number(/^v(\d+)/.exec(version)?.[1]) < 24;
    });
}
