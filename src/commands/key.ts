// artery key rotate: new root or tenant keys, without rewriting data.
import type { Command } from 'commander';
import { act, type Call, example } from './call.ts';
import { withServer } from './connection.ts';
import type { CommandContext } from './context.ts';
import { CommandError, EXIT } from './outcome.ts';

export function addKey(program: Command, context: CommandContext): void {
  const key = program.command('key').description('the key chain');
  const rotate = key
    .command('rotate')
    .description('make a new root or tenant key and wrap the keys below it anew')
    .argument('<key>', 'root or tenant')
    .action(act(context, rotateKey));
  example(rotate, 'key rotate root', 'key rotate tenant');
}

async function rotateKey(call: Call<unknown>): Promise<undefined> {
  const key = call.args[0];
  if (key !== 'root' && key !== 'tenant')
    throw new CommandError(EXIT.usage, 'Name root or tenant.');
  await withServer(call.context, call.config(), async (server) => {
    const request = { json: { key } };
    const answer = await server.ask<{ rewrapped: number }>('POST', '/admin/keys/rotate', request);
    const keep = key === 'root' ? ' Back up the key file.' : '';
    call.print(answer, `A new ${key} key is in use; ${answer.rewrapped} keys wrapped anew.${keep}`);
  });
}
