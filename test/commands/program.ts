// Runs a command line in this process and collects what it says.
import type { CommandContext } from '../../src/commands/context.ts';
import { runProgram } from '../../src/commands/program.ts';

export interface Ran {
  code: number;
  out: string;
  notes: string;
}

/** `artery <argv>`; a command that needs the engine fails unless `openApp` is given. */
export async function runArtery(argv: string[], given: Partial<CommandContext> = {}): Promise<Ran> {
  const out: string[] = [];
  const notes: string[] = [];
  const code = await runProgram(argv, {
    out: (text) => void out.push(text),
    note: (text) => void notes.push(text),
    outBytes: (bytes) => void out.push(Buffer.from(bytes).toString('latin1')),
    environment: {},
    openApp: () => Promise.reject(new Error('this command needs no engine')),
    now: () => Date.parse('2026-01-31T08:00:00Z'),
    untilStopped: () => Promise.resolve(),
    onReload: () => undefined,
    ...given,
  });
  return { code, out: out.join('\n'), notes: notes.join('\n') };
}
