// Channel files: read, expanded, checked against the schema and frozen. A bad file is refused with
// file, line and reason, and the others are still answered. Watching them is watch.ts.
import { readdirSync } from 'node:fs';
import { join, parse } from 'node:path';
import type { Channel } from '../model/channel.ts';
import { type ChannelContext, readChannelFile } from './channel-file.ts';
import { type ConfigProblem, problem } from './faults.ts';
import { defaultLimits } from './limits.ts';

export interface LoadedChannels {
  /** By file name; also those with `enabled: false`. */
  channels: Channel[];
  problems: ConfigProblem[];
}

/** Reads every `.yaml` of the folder. Never throws: an unreadable folder is a problem too. */
export function loadChannels(
  folder: string,
  context: ChannelContext = { environment: process.env, limits: defaultLimits() },
): LoadedChannels {
  const names = listFiles(folder);
  if (typeof names === 'string') {
    return { channels: [], problems: [problem(folder, 0, '', 'a readable folder', names)] };
  }
  const taken = new TakenNames(context.httpPort ?? 0);
  const loaded: LoadedChannels = { channels: [], problems: [] };
  const owners = new Set(context.portOwners?.().values());
  const reads: { name: string; read: FileRead }[] = [];
  for (const [index, name] of names.entries()) {
    reads.push({ name, read: readOne(folder, name, index, context) });
  }
  // Who listens already claims first: of two files with one port the newcomer is refused.
  const owns = ({ name }: { name: string }) => (owners.has(parse(name).name) ? 0 : 1);
  for (const { name, read } of reads.toSorted((one, other) => owns(one) - owns(other))) {
    const problems = 'problems' in read ? read.problems : taken.claim(name, read);
    loaded.problems.push(...problems);
    if (problems.length === 0 && 'channel' in read) loaded.channels.push(read.channel);
  }
  loaded.channels.sort((one, other) => (one.name < other.name ? -1 : 1));
  return loaded;
}

type FileRead = ReturnType<typeof readChannelFile>;

function readOne(folder: string, name: string, index: number, context: ChannelContext): FileRead {
  if (index >= context.limits.channelsMax) {
    const expected = `at most ${context.limits.channelsMax} channel files`;
    return { problems: [problem(name, 0, '', expected, 'one more')] };
  }
  return readChannelFile(join(folder, name), name, context);
}

function listFiles(folder: string): string[] | string {
  try {
    return readdirSync(folder, { withFileTypes: true })
      .filter((entry) => !entry.isDirectory() && /^[^.].*\.ya?ml$/.test(entry.name))
      .map((entry) => entry.name)
      .sort();
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'an error';
  }
}

/** Names and addresses that earlier files hold; the later file is the one that is refused. */
class TakenNames {
  readonly #names = new Map<string, string>();
  readonly #ports = new Map<number, { host: string; owner: string }[]>();

  constructor(httpPort: number) {
    if (httpPort > 0) this.#ports.set(httpPort, [{ host: '0.0.0.0', owner: 'HTTP' }]);
  }

  claim(
    file: string,
    read: { channel: Channel; lineOf: (path: string) => number },
  ): ConfigProblem[] {
    const { channel, lineOf } = read;
    const problems: ConfigProblem[] = [];
    const first = this.#names.get(channel.name);
    if (first !== undefined) {
      const found = `the same name as ${first}`;
      problems.push(problem(file, 0, '', `a name of its own (${parse(file).name})`, found));
    }
    this.#names.set(channel.name, first ?? file);
    const owner = this.#claimPort(channel, file);
    if (owner !== undefined) {
      const found = `the port of ${owner}`;
      problems.push(problem(file, lineOf('/source/port'), '/source/port', 'a free port', found));
    }
    return problems;
  }

  /** Answers who has the port already. */
  #claimPort(channel: Channel, file: string): string | undefined {
    const source = channel.source;
    if (!channel.enabled || source.kind !== 'mllp' || source.port === 0) return undefined;
    const holders = this.#ports.get(source.port) ?? [];
    const clash = holders.find((holder) => hostsOverlap(holder.host, source.host));
    if (clash !== undefined) return clash.owner;
    this.#ports.set(source.port, [...holders, { host: source.host, owner: file }]);
    return undefined;
  }
}

function hostsOverlap(one: string, other: string): boolean {
  const wild = (host: string): boolean => host === '0.0.0.0' || host === '::';
  return wild(one) || wild(other) || one === other;
}
