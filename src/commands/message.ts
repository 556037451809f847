// artery message ls | show | replay: what came in, what became of it, and another try.
import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import type { Issue } from '../model/issue.ts';
import type { MessageOutcome, WrittenResource } from '../model/message.ts';
import type { FieldAccount } from '../model/resource.ts';
import { act, type Call, columns, example, wholeNumber } from './call.ts';
import { withServer } from './connection.ts';
import type { CommandContext } from './context.ts';
import { addDiff } from './message-diff.ts';
import { CommandError, EXIT, type ExitCode } from './outcome.ts';

interface Head {
  id: string;
  seq: number;
  channel: string;
  state: string;
  attempts: number;
  receivedAt: string;
}

interface EarlierLife {
  revision: number;
  at: string;
  who: string;
  reason: string;
  corrected: boolean;
  state?: string;
  issues?: Issue[];
}

interface Shown extends Head {
  type: string;
  sender: string;
  controlId: string;
  changedAt: string;
  bytes: number;
  patient: string | null;
  issues: Issue[];
  history?: EarlierLife[];
  resources: WrittenResource[];
  mapHash: string;
  repeats?: MessageOutcome['repeats'];
  /** The body or the outcome is stored but does not open. */
  fault?: { code: string; detail: string };
  explained: { mapHash: string; issues: Issue[]; accounts: FieldAccount[] } | null;
}

export function addMessage(program: Command, context: CommandContext): void {
  const message = program.command('message').description('received messages');
  const list = message
    .command('ls')
    .description('list messages, newest first')
    .option('--channel <name>')
    .option('--state <state>', 'received, processed or set-aside')
    .option('--patient <id>', 'id of the Patient resource')
    .option('--from <time>', 'received at or after, ISO 8601')
    .option('--to <time>', 'received before, ISO 8601')
    .option('--before <seq>', 'page backwards', wholeNumber(1, Number.MAX_SAFE_INTEGER))
    .option('--limit <n>', 'how many', wholeNumber(1, 1_000), 50)
    .action(act(context, listMessages));
  example(list, 'message ls --state set-aside --channel adt-inbound');
  const show = message
    .command('show')
    .description('state, issues, resources, and how each valued field fared')
    .argument('<id>')
    .option('--raw', 'print the bytes, nothing else: the last correction, or as received')
    .option('--revision <n>', 'with --raw: 1 = as received', wholeNumber(1, 100))
    .action(act(context, showMessage));
  example(
    show,
    'message show 0198c2c4-0000-7000-8000-000000000000',
    'message show ID --raw > message.hl7',
  );
  addDiff(message, context);
  const replay = message
    .command('replay')
    .description('put a message, or all of a state, back in line')
    .argument('[id]')
    .option('--file <path>', 'take these corrected bytes; the received ones are kept')
    .option('--reason <text>', 'why; needed for a correction, kept with the message')
    .option('--state <state>', 'all messages of this state: set-aside (default) or processed')
    .option('--channel <name>', 'only of this channel')
    .option('--patient <id>', 'only of this Patient resource')
    .option('--from <time>', 'only received at or after, ISO 8601')
    .option('--to <time>', 'only received before, ISO 8601')
    .option('--limit <n>', 'at most so many, the newest', wholeNumber(1, 1_000_000))
    .option('--dry-run', 'only say what would be replayed')
    .option('--force', 'also what is older than a processed message of the same patient')
    .action(act(context, replayMessages));
  example(
    replay,
    'message replay ID --file corrected.hl7 --reason "wrong ward"',
    'message replay --dry-run --state set-aside --channel adt-inbound',
  );
}

type ListOptions = Record<'channel' | 'state' | 'patient' | 'from' | 'to', string | undefined> & {
  before?: number;
  limit: number;
};

async function listMessages(call: Call<ListOptions>): Promise<undefined> {
  const { channel, state, patient, from, to, before, limit } = call.options;
  const query = { channel, state, patient, from, to, before, limit };
  await withServer(call.context, call.config(), async (server) => {
    const page = await server.ask<{ messages: Head[]; next?: number }>('GET', '/admin/messages', {
      query,
    });
    const rows = page.messages.map((one) => [
      ...[one.id, one.receivedAt, one.channel, one.state],
      String(one.attempts),
    ]);
    const more = page.next === undefined ? '' : `\nMore: --before ${page.next}`;
    call.print(page, columns([['ID', 'RECEIVED', 'CHANNEL', 'STATE', 'ATTEMPTS'], ...rows]) + more);
  });
}

async function showMessage(call: Call<{ raw?: boolean; revision?: number }>): Promise<undefined> {
  const path = `/admin/messages/${encodeURIComponent(call.args[0] ?? '')}`;
  await withServer(call.context, call.config(), async (server) => {
    const { raw, revision } = call.options;
    if (raw) {
      call.context.outBytes(await server.call('GET', `${path}/raw`, { query: { revision } }));
      return;
    }
    const shown = await server.ask<Shown>('GET', path);
    call.print(shown, describe(shown));
  });
}

function describe(shown: Shown): string {
  const head = columns([
    ['Message', shown.id],
    ['Channel', shown.channel],
    ['Type', shown.type],
    ['Sender', shown.sender],
    ['Control id', shown.controlId],
    ['Received', `${shown.receivedAt} (${shown.bytes} bytes)`],
    ['State', `${shown.state} since ${shown.changedAt}, ${shown.attempts} attempts`],
    ...describeRepeats(shown),
    ['Patient', shown.patient ?? '-'],
    ['Map', shown.mapHash.slice(0, 16) || '-'],
  ]);
  const issues = shown.issues.map((one) => [one.severity, one.at, one.text]);
  const resources = shown.resources.map((one) => [
    one.outcome,
    `${one.type}/${one.id}`,
    `version ${one.version}`,
  ]);
  const { fault } = shown;
  const damage = fault === undefined ? [] : [`DAMAGED ${fault.code}: ${fault.detail}`];
  const parts = [head, ...damage, section('Issues', issues), section('Resources', resources)];
  const earlier = (shown.history ?? []).map(earlierRow);
  if (earlier.length > 0) parts.push(section('Earlier', earlier));
  if (shown.explained !== null) parts.push(...describeFields(shown, shown.explained));
  return parts.join('\n\n');
}

function earlierRow(life: EarlierLife): string[] {
  const act = life.corrected ? 'corrected' : 'replayed';
  const issues = (life.issues ?? []).map(({ at, text }) => `${at} ${text}`).join('; ');
  const what = `revision ${life.revision} ${life.state ?? 'forgotten'}`;
  return [what, `${act} ${life.at}`, `by ${life.who}`, life.reason || '-', issues || '-'];
}

/** The same bytes came again under a control id that another message had. */
function describeRepeats({ repeats, receivedAt }: Shown): string[][] {
  if (repeats === undefined) return [];
  const times = `${repeats.count + 1} times, first ${receivedAt}, last ${repeats.lastAt}`;
  return [['Received', times]];
}

function describeFields(shown: Shown, explained: NonNullable<Shown['explained']>): string[] {
  const accounts = explained.accounts;
  const fates = ['mapped', 'ignored', 'unmapped'].map((fate) => {
    return `${accounts.filter((one) => one.fate === fate).length} ${fate}`;
  });
  const rows = accounts.map((one) => [one.from, one.fate, one.to]);
  const newer = shown.mapHash !== '' && shown.mapHash !== explained.mapHash;
  const note = newer ? '\nThe maps have changed since: this is how they would treat it now.' : '';
  return [`${section(`Fields: ${fates.join(', ')}`, rows)}${note}`];
}

function section(title: string, rows: string[][]): string {
  if (rows.length === 0) return `${title}\n  none`;
  return `${title}\n${columns(rows).replace(/^/gm, '  ')}`;
}

interface ReplayOptions {
  file?: string;
  reason?: string;
  state?: string;
  channel?: string;
  patient?: string;
  from?: string;
  to?: string;
  limit?: number;
  dryRun?: boolean;
  force?: boolean;
}

async function replayMessages(call: Call<ReplayOptions>): Promise<ExitCode | undefined> {
  const id = call.args[0];
  const { file, reason, state, channel, patient, from, to, limit, dryRun } = call.options;
  const filters = [state, channel, patient, from, to].filter((one) => one !== undefined);
  if ((id === undefined) === (filters.length === 0)) {
    const text = 'Name one message, or say which: --state, --channel, --patient, --from, --to.';
    throw new CommandError(EXIT.usage, text);
  }
  if (id === undefined && file !== undefined) {
    throw new CommandError(EXIT.usage, '--file corrects one message: name it.');
  }
  if (id !== undefined && (dryRun !== undefined || limit !== undefined)) {
    throw new CommandError(EXIT.usage, '--dry-run and --limit are for many messages.');
  }
  if (id === undefined && reason !== undefined) {
    throw new CommandError(EXIT.usage, '--reason is for one message: name it.');
  }
  if (file !== undefined && (reason ?? '').trim() === '') {
    throw new CommandError(EXIT.usage, 'A correction needs a --reason.');
  }
  return id === undefined ? replayAll(call) : replayOne(call, id, file);
}

async function replayOne(
  call: Call<ReplayOptions>,
  id: string,
  file: string | undefined,
): Promise<undefined> {
  const { reason, force } = call.options;
  const correction = file === undefined ? undefined : readFileSync(file).toString('base64');
  const json = { correction, reason, force };
  await withServer(call.context, call.config(), async (server) => {
    const path = `/admin/messages/${encodeURIComponent(id)}/replay`;
    const answer = await server.ask<{ id: string; state: string }>('POST', path, { json });
    call.print(answer, `Message ${id} is in line again.`);
  });
}

interface ReplayAnswer {
  matched: number;
  more: boolean;
  replayed: number;
  refused: { id: string; code: string }[];
}

async function replayAll(call: Call<ReplayOptions>): Promise<ExitCode | undefined> {
  const { state, channel, patient, from, to, limit, dryRun, force } = call.options;
  const query = { state, channel, patient, from, to, limit, dryRun, force };
  return withServer(call.context, call.config(), async (server) => {
    const path = '/admin/messages/replay';
    const answer = await server.ask<ReplayAnswer>('POST', path, { query });
    call.print(answer, describeReplay(answer, dryRun === true));
    return answer.refused.length > 0 ? EXIT.failed : undefined;
  });
}

function describeReplay({ matched, more, replayed, refused }: ReplayAnswer, dry: boolean): string {
  const done = dry ? 'would be in line again' : 'in line again';
  const rows = refused.map(({ id, code }) => {
    const older = 'older than a processed message of the same patient; see --force';
    return `\n  ${id} ${code === 'PRECONDITION_FAILED' ? older : code}`;
  });
  const rest = more ? ' There are more: narrow the filter, or run it again.' : '';
  return `${matched} found, ${replayed} ${done}, ${refused.length} refused.${rest}${rows.join('')}`;
}
