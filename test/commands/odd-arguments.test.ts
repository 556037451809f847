// Every command of the program with arguments that nobody means: an exit code and one line of
// reason, never a stack; with --json, JSON alone on stdout.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Command, Option } from 'commander';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CommandContext } from '../../src/commands/context.ts';
import { buildProgram } from '../../src/commands/program.ts';
import { type Child, startChild } from '../support/child.ts';
import { newFolder, removeFolders } from '../support/folder.ts';
import { runArtery } from './program.ts';

const folder = newFolder();
const context: Partial<CommandContext> = {
  environment: {
    ARTERY_DATA_DIR: join(folder, 'data'),
    ARTERY_HTTP_PORT: '0',
    ARTERY_ADT_PORT: '0',
    ARTERY_LAB_PORT: '0',
    ARTERY_LOG_LEVEL: 'silent',
  },
  openApp: async (config, options) => (await import('../../src/app.ts')).openApp(config, options),
};

const ODD = [
  '',
  ' ',
  '-1',
  'NaN',
  '\u0000',
  '../../x',
  '%ff',
  '\ud800',
  'nosuch',
  '1e9',
  'x'.repeat(5_000),
];

interface Leaf {
  name: string[];
  options: readonly Option[];
  /** Required arguments. */
  args: number;
}

function leavesOf(command: Command, name: string[] = []): Leaf[] {
  if (command.commands.length > 0) {
    return command.commands.flatMap((child) => leavesOf(child, [...name, child.name()]));
  }
  const args = command.registeredArguments.filter(({ required }) => required).length;
  return [{ name, options: command.options, args }];
}

/** One that fits, where an option or argument must be there for others to be looked at. */
function needed({ options, args }: Leaf): string[] {
  const mandatory = options
    .filter(({ mandatory: is }) => is)
    .flatMap(({ long }) => [long ?? '', long === '--port' ? '1' : 'x']);
  return [...mandatory, ...Array(args).fill(join(folder, 'absent'))];
}

function tries(leaf: Leaf): string[][] {
  const start = [...leaf.name];
  const usual = needed(leaf);
  const byOption = leaf.options.flatMap(({ long, required }) =>
    required
      ? ODD.map((odd) => [...start, ...usual, long ?? '', odd])
      : [[...start, ...usual, long ?? '']],
  );
  const byArgument = ODD.map((odd) => [
    ...start,
    ...usual.slice(0, usual.length - leaf.args),
    odd,
    odd,
  ]);
  return [[...start, '--nosuch'], [...start, ...usual], ...byArgument, ...byOption];
}

const program = buildProgram({
  out: () => undefined,
  note: () => undefined,
  outBytes: () => undefined,
  environment: {},
  openApp: () => Promise.reject(new Error('not opened')),
  now: () => 0,
  onReload: () => undefined,
  untilStopped: () => Promise.resolve(),
});
const leaves = leavesOf(program).filter(({ name }) => name[0] !== 'start');

const home = process.cwd();
let server: Child;
beforeAll(async () => {
  server = startChild(folder);
  await server.ready;
  // Whatever path a command takes from these, it is below the test's own folder.
  const deep = join(folder, 'a', 'b', 'c');
  mkdirSync(deep, { recursive: true });
  process.chdir(deep);
});
afterAll(async () => {
  await server.stop();
  process.chdir(home);
  removeFolders();
});

describe('odd arguments', () => {
  it.each(leaves.map((leaf) => [leaf.name.join(' '), leaf] as const))(
    '%s',
    { timeout: 180_000 },
    async (_, leaf) => {
      for (const argv of tries(leaf)) {
        const ran = await runArtery([...argv, '--json'], context);
        const what = JSON.stringify(argv).slice(0, 300);
        expect([0, 1, 2, 3, 4], what).toContain(ran.code);
        expect(ran.notes, what).not.toMatch(/\n\s+at |TypeError|RangeError|undefined/);
        if (argv.at(-1)?.trim() === '') expect(ran.code, what).toBe(2);
        if (ran.code !== 0) expect(ran.notes + ran.out, what).not.toBe('');
        for (const line of ran.out === '' ? [] : [ran.out])
          expect(() => JSON.parse(line), what).not.toThrow();
      }
    },
  );
});
