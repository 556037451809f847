// Writes docs/reference/ from the tables and schemas of the source: `npm run docs`. Nothing in that
// folder is written by hand, except what is not named here. test/config/reference.test.ts compares.
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Argument, Command, Option } from 'commander';
import type { CommandContext } from '../src/commands/context.ts';
import { EXIT, EXIT_MEANINGS } from '../src/commands/outcome.ts';
import { buildProgram } from '../src/commands/program.ts';
import { channelSchema } from '../src/config/channel-schema.ts';
import { projectDir } from '../src/config/config.ts';
import { defaultLimits, LIMITS, limitVariable } from '../src/config/limits.ts';
import { SETTINGS } from '../src/config/settings.ts';
import { publishedSchema } from '../src/mapping/schema.ts';
import { ERRORS } from '../src/model/errors.ts';
import { EVENTS } from '../src/telemetry/events.ts';

const NOTE = '<!-- Made by `npm run docs` from the source. Do not edit. -->';

/** Every generated page: path below the project, and text. */
export function referencePages(): Map<string, string> {
  const schema = `${JSON.stringify(channelSchema(defaultLimits()), null, 2)}\n`;
  return new Map([
    ['docs/reference/errors.md', errorsPage()],
    ['docs/reference/limits.md', limitsPage()],
    ['docs/reference/config.md', configPage()],
    ['docs/reference/events.md', eventsPage()],
    ['docs/reference/cli.md', commandsPage()],
    ['docs/reference/channel.schema.json', schema],
    ['docs/reference/mapping.schema.json', `${JSON.stringify(publishedSchema(), null, 2)}\n`],
  ]);
}

export function writeReference(): void {
  for (const [path, text] of referencePages()) {
    const file = join(projectDir(), path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  }
}

function errorsPage(): string {
  const rows = Object.entries(ERRORS).map(([code, row]) => {
    const again = row.retry === 'later' ? 'yes' : 'no';
    return [`\`${code}\``, row.sentence, row.http, row.ack, row.hl7, `\`${row.fhir}\``, again];
  });
  const head = ['Code', 'What happened', 'HTTP', 'MSA-1', 'ERR-3', 'OperationOutcome', 'Try again'];
  const intro =
    'Operating faults, from `src/model/errors.ts`. `/api` and `/admin` answer them as ' +
    'problem+json (`code`), `/fhir` as an OperationOutcome, MLLP as MSA and ERR. Faults of a ' +
    'message are issues, listed by `artery message show`.';
  return page('Error codes', intro, table(head, rows));
}

function limitsPage(): string {
  const rows = Object.entries(LIMITS).map(([name, row]) => [
    `\`${name}\``,
    row.default.toLocaleString('en'),
    row.unit,
    `${row.min.toLocaleString('en')} to ${row.max.toLocaleString('en')}`,
    `\`${limitVariable(name)}\``,
    row.about,
  ]);
  const intro =
    'Every limit, from `src/config/limits.ts`. A variable changes the default of all channels; ' +
    'the fields of one channel are in `channel.schema.json`.';
  return page(
    'Limits',
    intro,
    table(['Name', 'Default', 'Unit', 'Bounds', 'Variable', 'What'], rows),
  );
}

function configPage(): string {
  const own = SETTINGS.filter((setting) => setting.limit === undefined);
  const rows = own.map((setting) => [
    `\`${setting.name}\``,
    setting.default === undefined ? '' : `\`${setting.default}\``,
    setting.secret ? `yes, also \`${setting.name}_FILE\`` : '',
    setting.about,
  ]);
  const intro =
    'Environment variables, checked whole at the start; all faults are shown together. An empty ' +
    'variable counts as absent. Each limit has a variable too: `limits.md`. `${NAME}` and ' +
    '`${NAME:-default}` work in the values of channel files, `$${` stands for `${`.';
  return page('Settings', intro, table(['Variable', 'Default', 'Secret', 'What'], rows));
}

function eventsPage(): string {
  const rows = Object.entries(EVENTS).map(([name, event]) => {
    const fields = Object.entries(event.fields).map(([field, kind]) => `${field} (${kind})`);
    return [`\`${name}\``, event.level, event.sentence, fields.join(', ')];
  });
  const intro =
    'Named events, from `src/telemetry/events.ts`: one JSON line each, and one step of the ' +
    'counter `artery_events_total{event,channel,code}`. Fields take ids, codes and numbers; ' +
    'anything else is withheld and counted in `artery_withheld_fields_total`.';
  return page('Events', intro, table(['Event', 'Level', 'Meaning', 'Fields'], rows));
}

function commandsPage(): string {
  const program = buildProgram(INERT);
  const sections = leaves(program).map(({ name, command }) => {
    const usage = `artery ${name} ${command.usage()}`.trim();
    const rows = [
      ...command.registeredArguments.map(argumentRow),
      ...command.options.map(optionRow),
    ];
    const options = rows.length === 0 ? [] : ['', table(['Argument', 'What'], rows)];
    const parts = [
      `## ${name}`,
      '',
      sentence(command.description()),
      '',
      `    ${usage}`,
      ...options,
    ];
    return [...parts, '', ...examplesOf(command)].join('\n');
  });
  const exits = Object.entries(EXIT).map(([name, code]) => {
    return [code, EXIT_MEANINGS[name as keyof typeof EXIT]];
  });
  const intro =
    '`artery <noun> <verb>`; `--json` prints the result of any command as JSON. A command finds ' +
    'the running server of its data folder by itself, and works without one too. Results go to ' +
    'stdout, progress and errors to stderr.';
  const body = [table(['Exit code', 'Meaning'], exits), ...sections].join('\n\n');
  return page('Commands', intro, body);
}

/** Nothing of it is called: only the descriptions are read. */
const INERT: CommandContext = {
  out: () => undefined,
  note: () => undefined,
  outBytes: () => undefined,
  environment: {},
  openApp: () => Promise.reject(new Error('not opened for documentation')),
  now: () => 0,
  onReload: () => undefined,
  untilStopped: () => Promise.resolve(),
};

function leaves(command: Command, above = ''): { name: string; command: Command }[] {
  return command.commands.flatMap((one) => {
    const name = `${above} ${one.name()}`.trim();
    return one.commands.length === 0 ? [{ name, command: one }] : leaves(one, name);
  });
}

function argumentRow(argument: Argument): string[] {
  return [`\`${argument.name()}\``, argument.description];
}

function optionRow(option: Option): string[] {
  const value: unknown = option.defaultValue;
  const shown = value === undefined || value === '' ? '' : ` Default: ${String(value)}.`;
  return [`\`${option.flags}\``, `${sentence(option.description)}${shown}`];
}

/** What example() has put behind the help text. */
function examplesOf(command: Command): string[] {
  const lines: string[] = [];
  const write = (text: string): void => void lines.push(text);
  command.configureOutput({ writeOut: write, writeErr: write });
  command.outputHelp();
  const found = lines.join('').split('\n');
  const start = found.indexOf('Example:');
  return start < 0
    ? []
    : found.slice(start + 1).flatMap((line) => (line.trim() ? [`  ${line}`] : []));
}

function sentence(text: string): string {
  if (text === '') return '';
  return `${text[0]?.toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? '' : '.'}`;
}

function page(title: string, intro: string, body: string): string {
  return `${NOTE}\n\n# ${title}\n\n${intro}\n\n${body}\n`;
}

function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const line = (cells: readonly (string | number)[]): string =>
    `| ${cells.map((cell) => String(cell).replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

if (import.meta.main) writeReference();
