// artery start: runs the engine until it is told to stop, and says where everything is.
import type { Command } from 'commander';
import type { Config } from '../config/config.ts';
import { removeRunFile, writeRunFile } from '../config/run-file.ts';
import { act, type Call, example } from './call.ts';
import { describeChannels } from './channel.ts';
import { connectionTo, makeSecret } from './connection.ts';
import type { App, CommandContext, Role } from './context.ts';
import { runDemo } from './demo.ts';
import { CommandError, EXIT } from './outcome.ts';

interface Options {
  demo?: boolean;
  role: readonly Role[];
}

const ROLES: readonly Role[] = ['receive', 'work', 'api'];

type ChannelList = Parameters<typeof describeChannels>[0];

export function addStart(program: Command, context: CommandContext): void {
  const start = program
    .command('start')
    .description(
      'run Artery until SIGTERM or Ctrl-C, finishing running work first; SIGHUP reloads its files',
    )
    .option(
      '--role <roles>',
      'what this process does: receive, work, api or all; a list with commas, or repeated',
      addRoles,
      [],
    )
    .option('--demo', 'send a simulated feed of made-up patients to its own channels')
    .action(act(context, startServer));
  example(start, 'start', 'start --demo', 'start --json', 'start --role receive,api');
}

/** Adds what one `--role` names to what the earlier ones named. */
function addRoles(text: string, earlier: readonly Role[]): readonly Role[] {
  const named = text.split(',').flatMap((name) => {
    const found = ROLES.filter((role) => name === role || name === 'all');
    if (found.length > 0) return found;
    throw new CommandError(EXIT.usage, `--role: "${name}" is not receive, work, api or all.`);
  });
  return ROLES.filter((role) => earlier.includes(role) || named.includes(role));
}

/** Without `--role`, all. The embedded store belongs to one process, which must do everything. */
function rolesOf(call: Call<Options>, config: Config): readonly Role[] {
  const given = call.options.role;
  const roles = given.length === 0 ? ROLES : given;
  if (roles.length < ROLES.length && config.cluster === null) {
    const reason = 'Roles apart need the cluster engine: set MONGODB_URL and REDIS_URL.';
    throw new CommandError(EXIT.usage, reason);
  }
  if (call.options.demo && !roles.includes('receive')) {
    throw new CommandError(EXIT.usage, '--demo needs the role receive.');
  }
  return roles;
}

async function startServer(call: Call<Options>): Promise<undefined> {
  const { context } = call;
  const config = call.config();
  const roles = rolesOf(call, config);
  const operatorSecret = makeSecret();
  const app = await context.openApp(config, { roles, listen: true, operatorSecret });
  const stopped = context.untilStopped();
  context.onReload(() => {
    context.note('artery: SIGHUP: reading channels, mappings and certificates again');
    app.reload();
  });
  const abort = new AbortController();
  let demo: Promise<void> | undefined;
  try {
    writeRunFile(config.dataDir, { pid: process.pid, url: app.address, secret: operatorSecret });
    const list = await connectionTo(app, operatorSecret).ask<ChannelList>('GET', '/admin/channels');
    call.print({ url: app.address, roles, ...list }, describeStart(config, app, roles, list));
    if (call.options.demo) demo = feed(call, list, abort.signal);
    await stopped;
    context.note('artery: stopping; running work is finished first');
  } finally {
    abort.abort();
    await demo;
    removeRunFile(config.dataDir);
    await app.close();
  }
}

function describeStart(
  config: Config,
  app: App,
  roles: readonly Role[],
  list: ChannelList,
): string {
  const key = config.rootKey === null ? config.rootKeyFile : 'from ARTERY_ROOT_KEY';
  const port = mllpPort(list);
  const indented = describeChannels(list).replace(/^/gm, '  ');
  return [
    'Artery is ready.',
    ...(roles.length < ROLES.length ? [`  Roles     ${roles.join(', ')}`] : []),
    ...(roles.includes('api') ? [`  FHIR R4   ${app.address}/fhir/R4`] : []),
    `  Health    ${app.address}/health`,
    ...(config.cluster === null ? [] : ['  Store     MongoDB, with the queue in Redis']),
    `  Data      ${config.dataDir}`,
    `  Root key  ${key} (without it the data cannot be read: keep a copy elsewhere)`,
    '',
    indented,
    '',
    'Make a token:   npx artery token create --scope "system/*.rs"',
    ...(port === undefined ? [] : [`Send a message: npx artery mllp send --port ${port} FILE`]),
    'Stop:           Ctrl-C',
  ].join('\n');
}

/** Of the first channel that listens for MLLP here. */
function mllpPort(list: ChannelList): string | undefined {
  const found = list.channels.find((one) => one.listening && one.source.startsWith('mllp'));
  return found?.address.split(':').at(-1);
}

const DEMO_PAUSE_MS = 200;

/** The demo's own failure stops the demo, not the server. */
async function feed(call: Call<Options>, list: ChannelList, signal: AbortSignal): Promise<void> {
  const { context } = call;
  try {
    const adt = addressOf(list, 'adt-inbound');
    const lab = addressOf(list, 'lab-inbound');
    context.note('artery: the demo feed runs');
    const tally = await runDemo({ adt, lab, pauseMs: DEMO_PAUSE_MS, now: context.now, signal });
    const refused = tally.sent - tally.codes.AA - tally.codes.CA;
    context.note(`artery: the demo feed sent ${tally.sent} messages, ${refused} not accepted`);
  } catch (thrown) {
    const reason = thrown instanceof Error ? thrown.message : 'unknown failure';
    context.note(`artery: the demo feed ended: ${reason}`);
  }
}

function addressOf(list: ChannelList, name: string): { host: string; port: number } {
  const channel = list.channels.find((one) => one.name === name);
  const found = /^\[?([^\]]+)\]?:(\d+)$/.exec(channel?.address ?? '');
  if (found === null) throw new CommandError(EXIT.failed, `channel ${name} does not listen`);
  return { host: found[1] ?? '', port: Number(found[2]) };
}
