// The process: arguments, streams and signals. What the commands do is commands/.
import type { CommandContext } from './commands/context.ts';
import { runProgram } from './commands/program.ts';
import { processEnvironment } from './config/config.ts';

/** Runs the command of `process.argv` and sets the exit code. */
export async function runMain(): Promise<void> {
  const context: CommandContext = {
    out: (text) => void process.stdout.write(`${text}\n`),
    note: (text) => void process.stderr.write(`${text}\n`),
    outBytes: (bytes) => void process.stdout.write(bytes),
    environment: processEnvironment(),
    openApp: async (config, options) => (await import('./app.ts')).openApp(config, options),
    now: Date.now,
    untilStopped,
    onReload: (reload) => void (isInTerminal() || process.on('SIGHUP', reload)),
  };
  process.stdout.on('error', leaveWhenReaderIsGone);
  process.exitCode = await runProgram(process.argv.slice(2), context);
  if (process.channel !== undefined) process.disconnect();
}

/** Running work has so long to finish after a signal; what it leaves is done by the next start. */
const STOP_MS_MAX = 30_000;

/**
 * Resolves at the first SIGTERM or SIGINT, or when the launcher's pipe closes. A signal more than a
 * second later ends the process at once; earlier ones are the terminal's and npm's echoes.
 */
function untilStopped(): Promise<void> {
  return new Promise((resolve) => {
    let stoppedAt = 0;
    const stop = (): void => {
      if (stoppedAt !== 0 && Date.now() - stoppedAt > 1_000) process.exit(1);
      if (stoppedAt === 0) {
        stoppedAt = Date.now();
        setTimeout(leaveUnfinished, STOP_MS_MAX).unref();
      }
      resolve();
    };
    process.on('SIGTERM', stop);
    process.on('SIGINT', stop);
    if (isInTerminal()) process.on('SIGHUP', stop);
    process.once('disconnect', stop);
  });
}

/** There SIGHUP tells that the terminal was closed; a service gets it to read its files again. */
function isInTerminal(): boolean {
  return process.stdin.isTTY === true || process.stdout.isTTY === true;
}

function leaveUnfinished(): void {
  process.stderr.write(`artery: not finished after ${STOP_MS_MAX / 1_000} s: stopped anyway\n`);
  process.exit(1);
}

/** `artery message ls | head`: the reader has seen enough. */
function leaveWhenReaderIsGone(error: NodeJS.ErrnoException): void {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
}

if (import.meta.main) await runMain();
