// artery map test | run | lint: the examples of the maps run, one message tried without storing
// anything, and all mapping files checked.
import { readFileSync, writeFileSync } from 'node:fs';
import type { Command } from 'commander';
import { loadChannels } from '../config/channels.ts';
import type { Config } from '../config/config.ts';
import { createRecordCheck } from '../config/record-check.ts';
import { validateResource } from '../fhir/validate.ts';
import type { MappingSet } from '../mapping/compile.ts';
import { lintMaps } from '../mapping/lint.ts';
import { loadExamples, loadMappings } from '../mapping/load.ts';
import { formatFault } from '../mapping/source.ts';
import type { Channel } from '../model/channel.ts';
import { hasErrors } from '../model/issue.ts';
import type { PipelineOutput } from '../model/pipeline.ts';
import { type ExampleResult, runExamples } from '../pipeline/example.ts';
import { type IntakeItem, readIntake } from '../pipeline/intake.ts';
import { runPipeline } from '../pipeline/run.ts';
import { act, type Call, columns, example } from './call.ts';
import type { CommandContext } from './context.ts';
import { CommandError, EXIT, type ExitCode } from './outcome.ts';

export function addMap(program: Command, context: CommandContext): void {
  const map = program.command('map').description('mappings of messages to FHIR');
  const test = map
    .command('test')
    .description('run the examples of the maps and compare with what is expected')
    .option('--update', 'write what came out as the new expectation; read it before you commit')
    .action(act(context, testMaps));
  example(test, 'map test');
  const run = map
    .command('run')
    .description('map a file as a channel would, and print the resources; stores nothing')
    .argument('<file>')
    .requiredOption('--channel <name>', 'whose format, time zone and site are taken')
    .option('--fields', 'also how each valued field fared')
    .action(act(context, runFile));
  example(run, 'map run admit.hl7 --channel adt-inbound --fields');
  const lint = map
    .command('lint')
    .description('check all mapping files; all faults with file and line')
    .action(act(context, lintFiles));
  example(lint, 'map lint');
}

async function testMaps(call: Call<{ update?: boolean }>): Promise<ExitCode | undefined> {
  const { mappingsDir, limits } = call.config();
  const { set, faults } = await loadMappings(mappingsDir, limits);
  const broken = faults.filter((one) => one.severity === 'error').map(formatFault);
  const ran = runExamples(set, await loadExamples(mappingsDir), validateResource);
  if (call.options.update) for (const result of ran.results) updateExample(result);
  const rows = ran.results.map((result) => [stateOf(result), nameOf(result), reasonOf(result)]);
  const gaps = ran.without.map((name) => ['missing', name, 'the map has no example']);
  const results = ran.results.map((result) => {
    const { outcome, issues, line } = result;
    return { name: nameOf(result), outcome, line, issues };
  });
  const lines = [...broken, columns([...rows, ...gaps])];
  call.print({ results, without: ran.without, faults: broken }, lines.join('\n'));
  const fine = ran.results.every((one) => one.outcome === 'passed');
  return fine && gaps.length === 0 && broken.length === 0 ? undefined : EXIT.failed;
}

/** What failed is no expectation: it stays as it is. */
function updateExample(result: ExampleResult): void {
  if (result.outcome !== 'differs' && result.outcome !== 'no-expectation') return;
  writeFileSync(result.example.expectedFile, result.actual);
  result.outcome = 'passed';
}

function nameOf({ example: { message, name } }: ExampleResult): string {
  return `${message}/${name}`;
}

function stateOf(result: ExampleResult): string {
  return result.outcome === 'passed' ? 'ok' : 'FAIL';
}

function reasonOf(result: ExampleResult): string {
  const { message, name } = result.example;
  const file = `${message}/${name}.expected.json`;
  if (result.outcome === 'differs') return `differs from ${file}:${result.line}`;
  if (result.outcome === 'no-expectation') return `${file} is missing; --update writes it`;
  const first = result.issues.find((one) => one.severity === 'error');
  return result.outcome === 'failed' ? `${first?.at ?? ''}: ${first?.text ?? ''}` : '';
}

interface Run {
  type: string;
  verdict: IntakeItem['verdict'];
  output: PipelineOutput;
}

async function runFile(
  call: Call<{ channel: string; fields?: boolean }>,
): Promise<ExitCode | undefined> {
  const config = call.config();
  const channel = findChannel(config, call.options.channel);
  const { set } = await loadMappings(config.mappingsDir, config.limits);
  const bytes = readFileSync(call.args[0] ?? '');
  const runs = readItems(bytes, channel, config, call.context.now()).map((item) =>
    runItem(item, channel, set, config.limits),
  );
  const text = runs.map((run) => describe(run, call.options.fields === true)).join('\n\n');
  call.print(runs, text);
  const failed = runs.some((run) => run.verdict !== 'accepted' || hasErrors(run.output.issues));
  return failed ? EXIT.failed : undefined;
}

function findChannel(config: Config, name: string): Channel {
  const { channels } = loadChannels(config.channelsDir, config);
  const channel = channels.find((one) => one.name === name);
  if (channel !== undefined) return channel;
  const names = channels.map((one) => one.name).join(', ');
  throw new CommandError(EXIT.notFound, `No channel ${name}; there are ${names}.`);
}

/** Ids are counted, so that two runs print the same. */
function readItems(bytes: Uint8Array, channel: Channel, config: Config, now: number): IntakeItem[] {
  const check = createRecordCheck();
  let count = 0;
  return readIntake(bytes, {
    channel,
    receivedAt: new Date(now).toISOString(),
    newId: () => `00000000-0000-7000-8000-${String(++count).padStart(12, '0')}`,
    sender: 'operator',
    idempotencyKey: '',
    checkRecord: (record) => check(channel, record),
    limits: config.limits,
  });
}

function runItem(
  item: IntakeItem,
  channel: Channel,
  mappings: MappingSet,
  limits: Config['limits'],
): Run {
  const { raw, envelope, verdict } = item;
  const output = runPipeline(
    { raw, envelope, channel },
    { mappings, validateResource, account: true, limits },
  );
  const issues = [...item.issues, ...output.issues];
  return { type: envelope.type, verdict, output: { ...output, issues } };
}

function describe({ type, verdict, output }: Run, withFields: boolean): string {
  const parts = [`# ${type || 'no message'}: ${verdict}`];
  if (output.issues.length > 0) {
    parts.push(columns(output.issues.map((one) => [one.severity, one.at, one.text])));
  }
  if (withFields) parts.push(columns(output.accounts.map((one) => [one.from, one.fate, one.to])));
  parts.push(
    JSON.stringify(
      output.resources.map((one) => one.resource),
      null,
      2,
    ),
  );
  return parts.join('\n');
}

async function lintFiles(call: Call<unknown>): Promise<ExitCode | undefined> {
  const { maps, problems, warnings } = await checkMaps(call.config());
  const { mappingsDir, limits } = call.config();
  const { set } = await loadMappings(mappingsDir, limits);
  const doubts = [...warnings, ...lintMaps([...set.sites.values()]).map(formatFault)];
  const count = `${maps} message maps, ${problems.length} faults, ${doubts.length} warnings`;
  const lines = [...problems, ...doubts.map((one) => `warning: ${one}`), count];
  call.print({ maps, problems, warnings: doubts }, lines.join('\n'));
  return problems.length > 0 ? EXIT.failed : undefined;
}

export interface MapCheck {
  /** Message and record maps of the base, without the sites. */
  maps: number;
  /** Faults, one line each. */
  problems: string[];
  /** What may be meant: an accepted message without a map. */
  warnings: string[];
}

/** Compiles all maps and looks whether the channels find theirs. */
export async function checkMaps(config: Config): Promise<MapCheck> {
  const { set, faults } = await loadMappings(config.mappingsDir, config.limits);
  const lines = (severity: 'error' | 'warning'): string[] =>
    faults.filter((one) => one.severity === severity).map(formatFault);
  const { channels } = loadChannels(config.channelsDir, config);
  const unknown = channels.filter((channel) => !set.sites.has(channel.site));
  const missing = unknown.map(
    (one) => `channel ${one.name}: there is no mappings/sites/${one.site}`,
  );
  const unmapped = channels.flatMap((channel) => unmappedOf(channel, set));
  return {
    maps: set.sites.get('')?.messages.size ?? 0,
    problems: [...lines('error'), ...missing],
    warnings: [...lines('warning'), ...unmapped],
  };
}

function unmappedOf(channel: Channel, set: MappingSet): string[] {
  const maps = set.sites.get(channel.site);
  if (maps === undefined) return [];
  if (channel.record !== null) {
    const { name } = channel.record;
    return maps.records.has(name) ? [] : [`channel ${channel.name}: no map for the record ${name}`];
  }
  const types = channel.accepts.filter((type) => !type.endsWith('*') && !maps.events.has(type));
  return types.map((type) => `channel ${channel.name}: no map for ${type}`);
}
