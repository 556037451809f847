// artery start --role: which parts a process runs, and which it may not run alone.
import { expect, it } from 'vitest';
import type { OpenOptions } from '../../src/commands/context.ts';
import { EngineError } from '../../src/model/errors.ts';
import { runArtery } from './program.ts';

const CLUSTER = { MONGODB_URL: 'mongodb://db/?replicaSet=rs0', REDIS_URL: 'redis://queue' };

it.each([
  [[], ['receive', 'work', 'api']],
  [
    ['--role', 'all'],
    ['receive', 'work', 'api'],
  ],
  [['--role', 'work'], ['work']],
  [
    ['--role', 'api,receive'],
    ['receive', 'api'],
  ],
  [
    ['--role', 'api', '--role', 'work', '--role', 'api'],
    ['work', 'api'],
  ],
])('start %j runs %j', async (argv, expected) => {
  expect(await openedRoles(argv, CLUSTER)).toEqual(expected);
});

it('refuses a role that there is not', async () => {
  const ran = await runArtery(['start', '--role', 'work,apy'], { environment: CLUSTER });
  expect(ran.code).toBe(2);
  expect(ran.notes).toContain('"apy" is not receive, work, api or all');
});

it('runs the embedded engine whole only: its store belongs to one process', async () => {
  const ran = await runArtery(['start', '--role', 'receive,api']);
  expect(ran.code).toBe(2);
  expect(ran.notes).toContain('set MONGODB_URL and REDIS_URL');
  expect(await openedRoles(['--role', 'receive,work', '--role', 'api'], {})).toHaveLength(3);
});

it('refuses a demo without a way in', async () => {
  const ran = await runArtery(['start', '--demo', '--role', 'api'], { environment: CLUSTER });
  expect(ran).toMatchObject({ code: 2 });
});

/** What would have been opened. */
async function openedRoles(argv: string[], environment: Record<string, string>) {
  const opened: OpenOptions[] = [];
  const ran = await runArtery(['start', ...argv], {
    environment,
    openApp: async (_config, options) => {
      opened.push(options);
      throw new EngineError('CLOSING', 'it goes no further than this');
    },
  });
  expect(ran.notes).toContain('it goes no further than this');
  return opened[0]?.roles;
}
