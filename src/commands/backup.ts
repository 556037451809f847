// artery backup | restore: a consistent copy of the store while it runs, and the way back.
// The root key is deliberately in neither: a copy of data and key together protects nothing.
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import type { Command } from 'commander';
import { BACKUP_INFO_FILE, type BackupInfo } from '../assembly/backups.ts';
import { loadRootKeys } from '../assembly/root-keys.ts';
import type { Config } from '../config/config.ts';
import { readRunFile } from '../config/run-file.ts';
import { knownRootKeys } from '../crypto/keys.ts';
import { checkBackup } from '../store/sqlite/backup.ts';
import { act, type Call, example } from './call.ts';
import { withServer } from './connection.ts';
import type { CommandContext } from './context.ts';
import { CommandError, EXIT } from './outcome.ts';

export function addBackup(program: Command, context: CommandContext): void {
  const backup = program
    .command('backup')
    .description('copy the store, while the server runs or not, into the folder of the backups')
    .argument('[name]', 'of the new backup; default: the time')
    .action(act(context, makeBackup));
  example(backup, 'backup', 'backup before-the-upgrade');
  const restore = program
    .command('restore')
    .description('put a backup in place of an empty data folder; the server must be stopped')
    .requiredOption('--from <backup>', 'a folder that `artery backup` wrote, or its name')
    .action(act(context, restoreBackup));
  example(restore, 'restore --from /backup/artery-2026-01-31', 'restore --from before-the-upgrade');
}

interface Made {
  to: string;
  rootKeys: string[];
  ms: number;
}

async function makeBackup(call: Call<unknown>): Promise<undefined> {
  const config = call.config();
  const time = new Date(call.context.now()).toISOString().replace(/[:.]/g, '-');
  const name = call.args[0] ?? time;
  await withServer(call.context, config, async (server) => {
    const answer = await server.ask<Made>('POST', '/admin/backup', { json: { name } });
    const key = config.rootKey === null ? config.rootKeyFile : 'the value of ARTERY_ROOT_KEY';
    const needs = `It is opened by the root key ${answer.rootKeys.join(', ')} and nothing else`;
    call.print(answer, `Backup in ${answer.to}. ${needs}: keep ${key} elsewhere.`);
  });
}

async function restoreBackup(call: Call<{ from: string }>): Promise<undefined> {
  const config = call.config();
  const named = resolve(call.options.from);
  const from = existsSync(named) ? named : join(config.backupDir, basename(call.options.from));
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
  const missing = missingRootKeys(config, from);
  const text = missing.length === 0 ? 'Its root key is in place.' : adviceFor(config, missing);
  call.print({ from, to: target, missingRootKeys: missing }, `Restored to ${target}. ${text}`);
}

/** Of the root keys that the backup names, those that neither the key file nor `retired` holds. */
function missingRootKeys(config: Config, from: string): string[] {
  const needed = readNeeded(join(from, BACKUP_INFO_FILE));
  if (config.rootKey === null && !existsSync(config.rootKeyFile)) return needed;
  const known = knownRootKeys(loadRootKeys(config)).map(({ id }) => id);
  return needed.filter((id) => !known.includes(id));
}

/** A backup of an older version does not say: some key is needed all the same. */
function readNeeded(file: string): string[] {
  if (!existsSync(file)) return [];
  const { rootKeys } = JSON.parse(readFileSync(file, 'utf8')) as Partial<BackupInfo>;
  return Array.isArray(rootKeys) ? rootKeys.map(String) : [];
}

function adviceFor(config: Config, missing: string[]): string {
  const place = config.rootKey === null ? config.rootKeyFile : 'ARTERY_ROOT_KEY';
  const keys = missing.join(', ');
  return `It needs the root key ${keys}: put the root key to ${place} before you start.`;
}

/** Under another name first: a copy that broke off is never taken for the store. */
function copyWhole(from: string, target: string): void {
  const draft = `${target}.restoring`;
  mkdirSync(dirname(target), { recursive: true, mode: 0o700 });
  rmSync(draft, { recursive: true, force: true });
  cpSync(from, draft, {
    recursive: true,
    filter: (file) => basename(file) !== BACKUP_INFO_FILE,
  });
  rmSync(target, { recursive: true, force: true });
  renameSync(draft, target);
}
