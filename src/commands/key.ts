// artery key rotate|make: new root or tenant keys, without rewriting data.
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { openRootKey } from '../config/root-key.ts';
import { formatRootKeys, makeRootKeys } from '../crypto/keys.ts';
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
  const make = key
    .command('make')
    .description('make the root key file of a cluster, whose processes all need the same one')
    .argument('<file>', 'where it is written, mode 0600; an existing one is kept')
    .action(act(context, makeKey));
  example(make, 'key make ./root.key');
}

async function makeKey(call: Call<unknown>): Promise<undefined> {
  const file = resolve(call.args[0] ?? '');
  const place = { rootKey: null, rootKeyFile: file };
  const { made } = openRootKey(place, () => formatRootKeys(makeRootKeys()), true);
  const what = made ? 'A root key was made' : 'The root key is there already';
  call.print({ file, made }, `${what}: ${file}. Without it the data cannot be read: keep a copy.`);
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
