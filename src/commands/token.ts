// artery token create | ls | revoke: bearer tokens for FHIR clients, senders and operators.
import type { Command } from 'commander';
import { act, type Call, columns, example, wholeNumber } from './call.ts';
import { withServer } from './connection.ts';
import type { CommandContext } from './context.ts';
import { CommandError, EXIT } from './outcome.ts';

interface TokenRow {
  id: string;
  label: string;
  scopes: string[];
  createdAt: string;
  expiresAt: string | null;
  revokedAt: string | null;
}

export function addToken(program: Command, context: CommandContext): void {
  const token = program.command('token').description('bearer tokens');
  const create = token
    .command('create')
    .description('make a token and print it; it is shown only once')
    .requiredOption('--scope <scopes>', 'what it allows, separated by blanks')
    .option('--label <text>', 'who it is for', '')
    .option('--days <n>', 'days until it expires; default: 90', wholeNumber(1, 3_660))
    .option('--never-expires', 'it is good until it is revoked')
    .action(act(context, createToken));
  example(
    create,
    'token create --scope "system/*.rs"',
    'token create --scope "channel/rest-inbound.write" --label desk --days 90',
  );
  const list = token
    .command('ls')
    .description('list tokens, never their text')
    .action(act(context, listTokens));
  example(list, 'token ls --json');
  const revoke = token
    .command('revoke')
    .description('make a token worthless')
    .argument('<id>', 'id as `token ls` shows it')
    .action(act(context, revokeToken));
  example(revoke, 'token revoke 0198c2c4-0000-7000-8000-000000000000');
}

async function createToken(
  call: Call<{ scope: string; label: string; days?: number; neverExpires?: boolean }>,
): Promise<undefined> {
  const { scope, label, days, neverExpires } = call.options;
  if (neverExpires && days !== undefined) {
    throw new CommandError(EXIT.usage, '--days and --never-expires exclude each other.');
  }
  const lasting = neverExpires ? { expiresIn: null } : {};
  const expiresIn = days === undefined ? lasting : { expiresIn: days * 86_400 };
  await withServer(call.context, call.config(), async (server) => {
    const json = { scopes: scope.split(/\s+/).filter((one) => one !== ''), label, ...expiresIn };
    const made = await server.ask<{ token: string }>('POST', '/admin/tokens', { json });
    call.print(made, made.token);
  });
}

async function listTokens(call: Call<unknown>): Promise<undefined> {
  await withServer(call.context, call.config(), async (server) => {
    const { tokens } = await server.ask<{ tokens: TokenRow[] }>('GET', '/admin/tokens');
    const rows = tokens.map((row) => [
      row.id,
      stateOf(row, call.context.now()),
      row.label || '-',
      row.scopes.join(' '),
    ]);
    call.print(tokens, columns([['ID', 'STATE', 'LABEL', 'SCOPES'], ...rows]));
  });
}

function stateOf(row: TokenRow, now: number): string {
  if (row.revokedAt !== null) return 'revoked';
  if (row.expiresAt === null) return 'never expires';
  return Date.parse(row.expiresAt) <= now ? 'expired' : `until ${row.expiresAt.slice(0, 10)}`;
}

async function revokeToken(call: Call<unknown>): Promise<undefined> {
  const id = call.args[0] ?? '';
  await withServer(call.context, call.config(), async (server) => {
    await server.call('DELETE', `/admin/tokens/${encodeURIComponent(id)}`);
    call.print({ id, revoked: true }, `Token ${id} is revoked.`);
  });
}
