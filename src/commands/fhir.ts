// artery fhir get: reads over the FHIR surface as the operator.
import type { Command } from 'commander';
import { act, type Call, example } from './call.ts';
import { withServer } from './connection.ts';
import type { CommandContext } from './context.ts';

export function addFhir(program: Command, context: CommandContext): void {
  const fhir = program.command('fhir').description('the FHIR endpoint');
  const get = fhir
    .command('get')
    .description('read or search, as the operator; audited like any read')
    .argument('<path>', 'below /fhir/R4')
    .action(act(context, readPath));
  example(
    get,
    'fhir get Patient/0f3b8c2e-5d0a-5a7e-9a43-3c8f2b1d6e70',
    'fhir get "Observation?_count=5"',
  );
}

async function readPath(call: Call<unknown>): Promise<undefined> {
  const path = (call.args[0] ?? '').replace(/^\/?(fhir\/R4\/)?/, '');
  await withServer(call.context, call.config(), async (server) => {
    const headers = { accept: 'application/fhir+json' };
    const resource = await server.ask<unknown>('GET', `/fhir/R4/${path}`, { headers });
    call.print(resource, JSON.stringify(resource, null, 2));
  });
}
