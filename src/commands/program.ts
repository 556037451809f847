// The command line as a whole: every noun, the options that all share, and how a failure ends.
import { Command, CommanderError } from 'commander';
import { addAudit } from './audit.ts';
import { addBackup } from './backup.ts';
import { addCert } from './cert.ts';
import { addChannel } from './channel.ts';
import type { CommandContext } from './context.ts';
import { addDoctor } from './doctor.ts';
import { addFhir } from './fhir.ts';
import { addKey } from './key.ts';
import { addMap } from './map.ts';
import { addMessage } from './message.ts';
import { addMllp } from './mllp.ts';
import { CommandError, describeFailure, EXIT } from './outcome.ts';
import { addPatient } from './patient.ts';
import { addStart } from './start.ts';
import { addStore } from './store.ts';
import { addToken } from './token.ts';
import { readVersion } from './version.ts';

/**
 * Runs one command line (without node and file) and answers its exit code. Never throws. A failure
 * is one line for people; with `--json` also `{"error":{"exitCode","message"}}` as the result.
 */
export async function runProgram(
  argv: readonly string[],
  context: CommandContext,
): Promise<number> {
  const program = buildProgram(context);
  try {
    if (argv.some((argument) => argument.includes('\0'))) {
      throw new CommandError(EXIT.usage, 'An argument holds a NUL character.');
    }
    await program.parseAsync(argv, { from: 'user' });
    return 0;
  } catch (thrown) {
    const { code, line } = describeFailure(thrown);
    const message = line.replaceAll('\n', ' ');
    if (message !== '') context.note(`artery: ${message}`);
    // A usage error has been written by commander itself.
    const reason = message || (thrown instanceof CommanderError ? thrown.message : '');
    if (code !== 0 && reason !== '' && argv.includes('--json')) {
      context.out(JSON.stringify({ error: { exitCode: code, message: reason } }));
    }
    return code;
  }
}

/** All commands; docs/generate.ts reads them from it. */
export function buildProgram(context: CommandContext): Command {
  const program = new Command('artery')
    .description('HL7v2 and FHIR integration engine with an encrypted, audited clinical store.')
    .version(readVersion())
    .option('--json', 'print results as JSON')
    .exitOverride()
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      writeOut: (text) => context.out(text.replace(/\n$/, '')),
      writeErr: (text) => context.note(text.replace(/\n$/, '')),
    });
  const adders = [addStart, addMllp, addMessage, addChannel, addMap, addToken, addFhir, addPatient];
  for (const add of [...adders, addAudit, addKey, addCert, addBackup, addStore, addDoctor])
    add(program, context);
  return program;
}
