// artery message ls | show | replay: what came in, what became of it, and another try.
import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import type { Issue } from '../model/issue.ts';
import type { MessageOutcome, WrittenResource } from '../model/message.ts';
import type { FieldAccount } from '../model/resource.ts';
import { act, type Call, columns, example, wholeNumber } from './call.ts';
import { withServer } from './connection.ts';
import type { CommandContext } from './context.ts';
import { CommandError, EXIT, type ExitCode } from './outcome.ts';

interface Head {
  id: string;
  seq: number;
  channel: string;
  state: string;
  attempts: number;
  receivedAt: string;
}

interface Shown extends Head {
  type: string;
  sender: string;
  controlId: string;
  changedAt: string;
  bytes: number;
  patient: string | null;
  issues: Issue[];
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
    .option('--raw', 'print the bytes as they were received, nothing else')
    .action(act(context, showMessage));
  example(
    show,
    'message show 0198c2c4-0000-7000-8000-000000000000',
    'message show ID --raw > message.hl7',
  );
  const replay = message
    .command('replay')
    .description('put a message, or all of a state, back in line')
    .argument('[id]')
    .option('--file <path>', 'take these corrected bytes instead')
    .option('--state <state>', 'all messages of this state')
    .option('--channel <name>', 'only of this channel')
    .option('--limit <n>', 'at most so many', wholeNumber(1, 1_000_000))
    .action(act(context, replayMessages));
  example(
    replay,
    'message replay 0198c2c4-0000-7000-8000-000000000000 --file corrected.hl7',
    'message replay --state set-aside --channel adt-inbound',
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

async function showMessage(call: Call<{ raw?: boolean }>): Promise<undefined> {
  const path = `/admin/messages/${encodeURIComponent(call.args[0] ?? '')}`;
  await withServer(call.context, call.config(), async (server) => {
    if (call.options.raw) {
      call.context.outBytes(await server.call('GET', `${path}/raw`));
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
  if (shown.explained !== null) parts.push(...describeFields(shown, shown.explained));
  return parts.join('\n\n');
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
  state?: string;
  channel?: string;
  limit?: number;
}

async function replayMessages(call: Call<ReplayOptions>): Promise<ExitCode | undefined> {
  const id = call.args[0];
  const { file, state } = call.options;
  if ((id === undefined) === (state === undefined)) {
    throw new CommandError(EXIT.usage, 'Name one message, or all of a state with --state.');
  }
  if (id === undefined && file !== undefined) {
    throw new CommandError(EXIT.usage, '--file corrects one message: name it.');
  }
  return id === undefined ? replayAll(call) : replayOne(call, id, file);
}

async function replayOne(
  call: Call<ReplayOptions>,
  id: string,
  file: string | undefined,
): Promise<undefined> {
  const correction = file === undefined ? {} : { bytes: readFileSync(file) };
  await withServer(call.context, call.config(), async (server) => {
    const path = `/admin/messages/${encodeURIComponent(id)}/replay`;
    const answer = await server.ask<{ id: string; state: string }>('POST', path, correction);
    call.print(answer, `Message ${id} is in line again.`);
  });
}

async function replayAll(call: Call<ReplayOptions>): Promise<ExitCode | undefined> {
  const { state, channel, limit } = call.options;
  return withServer(call.context, call.config(), async (server) => {
    const answer = await server.ask<{ replayed: number; refused: { id: string; code: string }[] }>(
      'POST',
      '/admin/messages/replay',
      { query: { state, channel, limit } },
    );
    const refused = answer.refused.map((one) => `\n  ${one.id} ${one.code}`).join('');
    const text = `${answer.replayed} in line again, ${answer.refused.length} refused${refused}`;
    call.print(answer, text);
    return answer.refused.length > 0 ? EXIT.failed : undefined;
  });
}
