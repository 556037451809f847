// artery channel ls | check: the channels that run, and the files checked without running them.
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { readChannelFile } from '../config/channel-file.ts';
import { loadChannels } from '../config/channels.ts';
import { type ConfigProblem, formatProblem } from '../config/faults.ts';
import type { Channel } from '../model/channel.ts';
import { act, type Call, columns, example } from './call.ts';
import { withServer } from './connection.ts';
import type { CommandContext } from './context.ts';
import { EXIT, type ExitCode } from './outcome.ts';

interface Row {
  name: string;
  enabled: boolean;
  format: string;
  source: string;
  address: string;
  listening: boolean;
  connections: number;
  fault: string;
  messages: Record<string, number>;
}

interface ChannelList {
  channels: Row[];
  problems: { file: string; line: number; text: string }[];
}

export function addChannel(program: Command, context: CommandContext): void {
  const channel = program.command('channel').description('where messages come in');
  const list = channel
    .command('ls')
    .description('list channels, where they listen and what they hold')
    .action(act(context, listChannels));
  example(list, 'channel ls');
  const check = channel
    .command('check')
    .description('check channel files without running them; all faults with file and line')
    .argument('[file...]', 'default: every file of the channels folder')
    .action(act(context, checkFiles));
  example(check, 'channel check', 'channel check channels/adt-inbound.yaml');
}

async function listChannels(call: Call<unknown>): Promise<undefined> {
  await withServer(call.context, call.config(), async (server) => {
    const list = await server.ask<ChannelList>('GET', '/admin/channels');
    call.print(list, describeChannels(list));
  });
}

/** Also printed by `artery start`. */
export function describeChannels(list: ChannelList): string {
  const rows = list.channels.map((one) => [
    one.name,
    one.format,
    one.source,
    one.address || '-',
    stateOf(one),
    ...['received', 'processed', 'set-aside'].map((state) => String(one.messages[state] ?? 0)),
  ]);
  const head = [
    'NAME',
    'FORMAT',
    'SOURCE',
    'ADDRESS',
    'STATE',
    'WAITING',
    'PROCESSED',
    'SET ASIDE',
  ];
  const refused = list.problems.map(
    (one) => `\nRefused: ${one.file}${one.line > 0 ? `:${one.line}` : ''}: ${one.text}`,
  );
  return columns([head, ...rows]) + refused.join('');
}

function stateOf(row: Row): string {
  if (!row.enabled) return 'disabled';
  if (row.fault !== '') return row.fault;
  return row.listening ? `listening (${row.connections})` : 'stopped';
}

async function checkFiles(call: Call<unknown>): Promise<ExitCode | undefined> {
  const config = call.config();
  const checked =
    call.args.length === 0
      ? loadChannels(config.channelsDir, config)
      : checkNamed(call.args, (file) => readChannelFile(resolve(file), file, config));
  const lines = [
    ...checked.channels.map((channel) => `${channel.name}: ok`),
    ...checked.problems.map(formatProblem),
  ];
  const names = checked.channels.map((channel) => channel.name);
  call.print({ ok: names, problems: checked.problems }, lines.join('\n'));
  return checked.problems.length > 0 ? EXIT.failed : undefined;
}

function checkNamed(
  files: string[],
  read: (file: string) => ReturnType<typeof readChannelFile>,
): { channels: Channel[]; problems: ConfigProblem[] } {
  const results = files.map(read);
  return {
    channels: results.flatMap((result) => ('channel' in result ? [result.channel] : [])),
    problems: results.flatMap((result) => ('problems' in result ? result.problems : [])),
  };
}
