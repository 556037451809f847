// artery patient forget: destroys the key of one patient.
import type { Command } from 'commander';
import { act, type Call, example } from './call.ts';
import { withServer } from './connection.ts';
import type { CommandContext } from './context.ts';
import { CommandError, EXIT } from './outcome.ts';

export function addPatient(program: Command, context: CommandContext): void {
  const patient = program.command('patient').description('acts on one patient');
  const forget = patient
    .command('forget')
    .description("destroy the patient's data key: nothing of the patient can be read any more")
    .argument('<id>', 'id of the Patient resource')
    .option('--yes', 'it cannot be taken back, and that is known')
    .action(act(context, forgetPatient));
  example(forget, 'patient forget 0f3b8c2e-5d0a-5a7e-9a43-3c8f2b1d6e70 --yes');
}

async function forgetPatient(call: Call<{ yes?: boolean }>): Promise<undefined> {
  const id = call.args[0] ?? '';
  if (!call.options.yes) {
    const advice = 'say it with --yes. Backups keep their copy.';
    const text = `Forgetting ${id} cannot be taken back; ${advice}`;
    throw new CommandError(EXIT.usage, text);
  }
  await withServer(call.context, call.config(), async (server) => {
    const path = `/admin/patients/${encodeURIComponent(id)}/forget`;
    const answer = await server.ask<{ keysDestroyed: number; messages: number }>('POST', path);
    const text = `Patient ${id} is forgotten: ${answer.keysDestroyed} keys destroyed.`;
    call.print(answer, text);
  });
}
