// artery fhir get: reads over the FHIR surface as the operator.
import type { Command } from 'commander';
import { act, type Call, example } from './call.ts';
import { withServer } from './connection.ts';
import type { CommandContext } from './context.ts';
import { CommandError } from './outcome.ts';

export function addFhir(program: Command, context: CommandContext): void {
  const fhir = program.command('fhir').description('the FHIR endpoint');
  const get = fhir
    .command('get')
    .description('read or search, as the operator, audited; an error prints its OperationOutcome')
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
    const show = (resource: unknown) => call.print(resource, JSON.stringify(resource, null, 2));
    try {
      show(await server.ask<unknown>('GET', `/fhir/R4/${path}`, { headers }));
    } catch (thrown) {
      if (!isOutcome(thrown)) throw thrown;
      show(thrown.answer);
      throw new CommandError(thrown.exitCode, call.options.json ? '' : thrown.message);
    }
  });
}

/** The server refused with a reason of its own: it is the result. */
function isOutcome(thrown: unknown): thrown is CommandError {
  if (!(thrown instanceof CommandError)) return false;
  const answer = thrown.answer as { resourceType?: unknown } | undefined;
  return answer?.resourceType === 'OperationOutcome';
}
