// artery doctor: looks at everything that a start needs, and says what is wrong and what to do.
// It changes nothing.
import { accessSync, constants, existsSync, statfsSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import type { Command } from 'commander';
import { type AnchorDestination, anchorDestinations } from '../assembly/anchor-destinations.ts';
import { loadRootKeys } from '../assembly/root-keys.ts';
import { type LoadedChannels, loadChannels } from '../config/channels.ts';
import type { Config } from '../config/config.ts';
import { formatProblem } from '../config/faults.ts';
import { readRunFile, runFilePath } from '../config/run-file.ts';
import { knownRootKeys } from '../crypto/keys.ts';
import { toEngineError } from '../model/errors.ts';
import { act, type Call, columns, example } from './call.ts';
import { type Check, failed, ok, warning } from './check.ts';
import { bodiesText, checkAllBodies } from './check-bodies.ts';
import { withServer } from './connection.ts';
import type { CommandContext } from './context.ts';
import { checkMaps } from './map.ts';
import { CommandError, EXIT, type ExitCode } from './outcome.ts';

export function addDoctor(program: Command, context: CommandContext): void {
  const doctor = program
    .command('doctor')
    .description('check the machine, settings, files, MongoDB and Redis; changes nothing')
    .option('--no-bodies', 'do not open every stored record')
    .action(act(context, examine));
  example(doctor, 'doctor', 'doctor --json', 'doctor --no-bodies');
}

async function examine(call: Call<{ bodies?: boolean }>): Promise<ExitCode | undefined> {
  const config = call.config();
  const loaded = loadChannels(config.channelsDir, config);
  const checks: Check[] = [
    checkNode(),
    await checkSqlite(),
    checkFolder(config),
    checkSpace(config),
    checkClock(call.context.now()),
    await checkRootKey(call, config),
    checkChannels(loaded),
    await checkMappings(config),
    ...(await checkServers(config)),
    ...(await checkAnchors(config)),
    ...(await checkPorts(config, loaded)),
  ];
  // What a start needs is missing: nothing can be opened.
  const startable = checks.every(({ state }) => state !== 'failed');
  if (call.options.bodies && startable) checks.push(...(await checkStored(call, config)));
  const marks = { ok: 'ok', warning: 'warn', failed: 'FAIL' };
  const rows = checks.map((check) => [marks[check.state], check.name, check.text]);
  call.print({ checks }, columns(rows));
  return checks.some((check) => check.state === 'failed') ? EXIT.failed : undefined;
}

function checkNode(): Check {
  const { node } = process.versions;
  if (Number(node.split('.')[0]) >= 24) return ok('node', node);
  return failed('node', `${node}: Node 24 is needed; run npm ci with scripts allowed`);
}

async function checkSqlite(): Promise<Check> {
  try {
    const { DatabaseSync } = await import('node:sqlite');
    const database = new DatabaseSync(':memory:');
    const row = database.prepare('SELECT sqlite_version() AS version').get();
    database.exec("CREATE VIRTUAL TABLE t USING fts5(c, content='', contentless_delete=1)");
    database.close();
    return ok('sqlite', `${String(row?.version)} with FTS5`);
  } catch {
    return failed('sqlite', 'node:sqlite with FTS5 is missing: install Node 24');
  }
}

function checkFolder(config: Config): Check {
  const folder = config.dataDir;
  const there = existsSync(folder);
  const place = there ? folder : nearestFolder(folder);
  try {
    accessSync(place, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch {
    return failed('data folder', `${place} cannot be written: chown it to this user`);
  }
  if (!there) return ok('data folder', `${folder} will be made`);
  const others = statSync(folder).mode & 0o077;
  if (others === 0 || process.platform === 'win32') return ok('data folder', folder);
  return warning('data folder', `${folder} is open to others: chmod 700 ${folder}`);
}

const SPACE_MIN = 1024 ** 3;

function checkSpace(config: Config): Check {
  const place = nearestFolder(config.dataDir);
  const { bavail, bsize } = statfsSync(place);
  const free = bavail * bsize;
  const text = `${(free / 1024 ** 3).toFixed(1)} GiB free`;
  return free >= SPACE_MIN ? ok('disk', text) : warning('disk', `${text}: make room`);
}

/** A clock before this version was written, or far beyond it, is wrong. */
function checkClock(now: number): Check {
  const year = new Date(now).getUTCFullYear();
  const text = new Date(now).toISOString();
  if (year >= 2026 && year < 2100) return ok('clock', text);
  return failed('clock', `${text} cannot be right: set the clock; tokens and audit depend on it`);
}

async function checkRootKey(call: Call<unknown>, config: Config): Promise<Check> {
  if (config.rootKey !== null) return checkKeyOpens(call, config);
  const file = config.rootKeyFile;
  if (existsSync(file)) {
    const open = (statSync(file).mode & 0o077) !== 0 && process.platform !== 'win32';
    if (open) return failed('root key', `others can read it: chmod 600 ${file}`);
    return checkKeyOpens(call, config);
  }
  if (config.cluster !== null) {
    return failed('root key', `${file} is missing: artery key make it once for the whole cluster`);
  }
  if (existsSync(`${config.dataDir}/store`)) {
    return failed('root key', `${file} is missing, the data cannot be read: restore the key`);
  }
  return ok('root key', `${file} will be made`);
}

/** The file must hold the keys that the store was made with, and they must open it. */
async function checkKeyOpens(call: Call<unknown>, config: Config): Promise<Check> {
  const place = config.rootKey === null ? config.rootKeyFile : 'ARTERY_ROOT_KEY';
  try {
    const known = knownRootKeys(loadRootKeys(config)).map(({ id }) => id);
    if (config.cluster === null && !existsSync(`${config.dataDir}/store`)) {
      return ok('root key', `${place}, nothing is stored yet`);
    }
    // Where no server runs, this opens the store itself, with the key of every tenant.
    const needed = await withServer(call.context, config, (server) =>
      server.ask<{ rootKeys: string[] }>('GET', '/admin/keys'),
    );
    const missing = needed.rootKeys.filter((id) => !known.includes(id));
    if (missing.length === 0) return ok('root key', `${place} opens the store`);
    return failed('root key', `${place} does not hold ${missing.join(', ')}: restore that key`);
  } catch (thrown) {
    if (toEngineError(thrown).code === 'KEY_UNAVAILABLE' || thrown instanceof CommandError) {
      return failed('root key', `${place}: ${(thrown as Error).message}`);
    }
    return warning('root key', `${place}, not tried: ${(thrown as Error).message}`);
  }
}

/** Every stored record is opened, by the server that runs or here; nothing is made for it. */
async function checkStored(call: Call<unknown>, config: Config): Promise<Check[]> {
  const running = readRunFile(config.dataDir) !== undefined;
  const stored = config.cluster === null && existsSync(`${config.dataDir}/store`);
  if (!running && !stored) return [];
  const report = await withServer(call.context, config, (server) =>
    checkAllBodies(server, () => undefined),
  );
  if (report.damaged === 0) return [ok('stored records', bodiesText(report))];
  return [
    failed('stored records', `${bodiesText(report)} Restore them from a backup`),
    ...report.names.map((name) => failed('damaged', name)),
  ];
}

/** Each destination of ARTERY_ANCHORS_TO is reached, and gets nothing. */
async function checkAnchors({ anchorsTo }: Config): Promise<Check[]> {
  let destinations: AnchorDestination[];
  try {
    destinations = anchorDestinations(anchorsTo);
  } catch (thrown) {
    return [failed('anchors', thrown instanceof Error ? thrown.message : 'wrong')];
  }
  return Promise.all(
    destinations.map(async ({ name, check }) => {
      try {
        await check();
        return ok('anchors', name);
      } catch {
        return failed('anchors', `${name} cannot be reached or written: mend it, or the setting`);
      }
    }),
  );
}

/** The cluster engine's, where it is set. */
async function checkServers({ cluster }: Config): Promise<Check[]> {
  if (cluster === null) return [];
  const { checkMongo, checkRedis } = await import('./doctor-servers.ts');
  return Promise.all([checkMongo(cluster.mongodbUrl), checkRedis(cluster.redisUrl)]);
}

function checkChannels(loaded: LoadedChannels): Check {
  const first = loaded.problems[0];
  if (first === undefined) return ok('channels', `${loaded.channels.length} valid`);
  const more = loaded.problems.length > 1 ? ` and ${loaded.problems.length - 1} more` : '';
  return failed('channels', `${formatProblem(first)}${more}; see artery channel check`);
}

async function checkMappings(config: Config): Promise<Check> {
  const checked = await checkMaps(config);
  const first = checked.problems[0];
  if (first === undefined) return ok('mappings', `${checked.maps} valid`);
  return failed('mappings', `${first}; see artery map lint`);
}

async function checkPorts(config: Config, loaded: LoadedChannels): Promise<Check[]> {
  const wanted = [{ name: 'HTTP', host: config.host, port: config.httpPort }];
  for (const channel of loaded.channels) {
    if (!channel.enabled || channel.source.kind !== 'mllp') continue;
    wanted.push({ name: channel.name, host: channel.source.host, port: channel.source.port });
  }
  const running = readRunFile(config.dataDir);
  return Promise.all(
    wanted.map(async ({ name, host, port }) => {
      const label = `port ${port} (${name})`;
      if (port === 0 || !(await isTaken(host, port))) return ok(label, 'free');
      if (running !== undefined) return ok(label, `in use; Artery runs (process ${running.pid})`);
      const text = `in use by another program; free it or set another port`;
      return failed(
        label,
        existsSync(runFilePath(config.dataDir)) ? `${text} (Artery died)` : text,
      );
    }),
  );
}

function isTaken(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const near = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host;
    const socket = connect({ host: near, port });
    const end = (taken: boolean): void => {
      socket.destroy();
      resolve(taken);
    };
    socket.setTimeout(2_000, () => end(false));
    socket.once('connect', () => end(true));
    socket.once('error', () => end(false));
  });
}

function nearestFolder(folder: string): string {
  return existsSync(folder) || dirname(folder) === folder ? folder : nearestFolder(dirname(folder));
}
