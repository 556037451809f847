// artery backup | restore: a consistent copy of the store while it runs, and the way back.
// The root key is deliberately in neither: a copy of data and key together protects nothing.
import { cpSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { Command } from 'commander';
import { readRunFile } from '../config/run-file.ts';
import { checkBackup } from '../store/sqlite/backup.ts';
import { act, type Call, example } from './call.ts';
import { withServer } from './connection.ts';
import type { CommandContext } from './context.ts';
import { CommandError, EXIT } from './outcome.ts';

export function addBackup(program: Command, context: CommandContext): void {
  const backup = program
    .command('backup')
    .description('copy the store into a new folder, while the server runs or not')
    .requiredOption('--to <folder>', 'must not exist; on the machine of the server')
    .action(act(context, makeBackup));
  example(backup, 'backup --to /backup/artery-2026-01-31');
  const restore = program
    .command('restore')
    .description('put a backup in place of an empty data folder; the server must be stopped')
    .requiredOption('--from <folder>', 'what `artery backup` wrote')
    .action(act(context, restoreBackup));
  example(restore, 'restore --from /backup/artery-2026-01-31');
}

async function makeBackup(call: Call<{ to: string }>): Promise<undefined> {
  const to = resolve(call.options.to);
  if (existsSync(to)) throw new CommandError(EXIT.refused, `${to} exists; name a new folder.`);
  const config = call.config();
  await withServer(call.context, config, async (server) => {
    const answer = await server.ask<{ to: string; ms: number }>('POST', '/admin/backup', {
      json: { to },
    });
    const key = config.rootKey === null ? config.rootKeyFile : 'the value of ARTERY_ROOT_KEY';
    const advice = `It is worthless without the root key: keep ${key} elsewhere.`;
    call.print(answer, `Backup in ${answer.to}. ${advice}`);
  });
}

async function restoreBackup(call: Call<{ from: string }>): Promise<undefined> {
  const from = resolve(call.options.from);
  const config = call.config();
  const running = readRunFile(config.dataDir);
  if (running !== undefined) {
    throw new CommandError(
      EXIT.refused,
      `The server runs (process ${running.pid}): stop it first.`,
    );
  }
  const target = join(config.dataDir, 'store');
  if (existsSync(target) && readdirSync(target).length > 0) {
    throw new CommandError(EXIT.refused, `${target} holds data; move it away first.`);
  }
  if (!existsSync(from) || readdirSync(from).length === 0) {
    throw new CommandError(EXIT.notFound, `${from} holds no backup.`);
  }
  await checkBackup(from);
  copyWhole(from, target);
  const missing = config.rootKey === null && !existsSync(config.rootKeyFile);
  const key = missing ? ` Put the root key to ${config.rootKeyFile} before you start.` : '';
  call.print({ from, to: target, rootKeyMissing: missing }, `Restored to ${target}.${key}`);
}

/** Under another name first: a copy that broke off is never taken for the store. */
function copyWhole(from: string, target: string): void {
  const draft = `${target}.restoring`;
  mkdirSync(dirname(target), { recursive: true, mode: 0o700 });
  rmSync(draft, { recursive: true, force: true });
  cpSync(from, draft, { recursive: true });
  rmSync(target, { recursive: true, force: true });
  renameSync(draft, target);
}
