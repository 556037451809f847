// artery message diff: what a correction changed, field by field.
import type { Command } from 'commander';
import { diffMessages } from '../hl7/diff.ts';
import { act, type Call, columns, example, wholeNumber } from './call.ts';
import { withServer } from './connection.ts';
import type { CommandContext } from './context.ts';

export function addDiff(message: Command, context: CommandContext): void {
  const diff = message
    .command('diff')
    .description('what corrections changed: the received bytes against the last ones')
    .argument('<id>')
    .option('--from <n>', 'revision, 1 = as received', wholeNumber(1, 100), 1)
    .option('--to <n>', 'revision, default: the last one', wholeNumber(1, 100))
    .action(act(context, diffRevisions));
  example(diff, 'message diff 0198c2c4-0000-7000-8000-000000000000');
}

async function diffRevisions(call: Call<{ from: number; to?: number }>): Promise<undefined> {
  const path = `/admin/messages/${encodeURIComponent(call.args[0] ?? '')}/raw`;
  await withServer(call.context, call.config(), async (server) => {
    const read = async (revision?: number): Promise<string> =>
      Buffer.from(await server.call('GET', path, { query: { revision } })).toString('utf8');
    const differences = diffMessages(await read(call.options.from), await read(call.options.to));
    const rows = differences.map(({ at, before, after }) => [at, before || '-', after || '-']);
    const text =
      rows.length === 0 ? 'No difference.' : columns([['AT', 'BEFORE', 'AFTER'], ...rows]);
    call.print({ differences }, text);
  });
}
