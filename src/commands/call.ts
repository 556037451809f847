// One call of a command: its options, its configuration, and how it prints. Each noun's file turns
// calls into work with it.
import { type Command, InvalidArgumentError } from 'commander';
import { type Config, loadConfig } from '../config/config.ts';
import type { CommandContext } from './context.ts';
import { CommandError, EXIT, type ExitCode } from './outcome.ts';

export interface Call<O> {
  context: CommandContext;
  options: O & { json?: boolean };
  args: string[];
  /** Loaded when it is first asked for: `help` needs no valid settings. */
  config(): Config;
  /** `--json`: the value; else the text. */
  print(value: unknown, text: string): void;
}

/** Makes a commander action. What `run` answers is the exit code, undefined = 0. */
export function act<O>(
  context: CommandContext,
  run: (call: Call<O>) => Promise<ExitCode | undefined>,
): (...given: unknown[]) => Promise<void> {
  return async (...given) => {
    const command = given.at(-1) as Command;
    const options = command.optsWithGlobals() as O & { json?: boolean };
    refuseEmpty(command);
    const config = (): Config => loadConfig(context.environment);
    const print = (value: unknown, text: string): void =>
      context.out(options.json ? JSON.stringify(value) : text);
    const code = await run({ context, options, args: command.args, config, print });
    if (code !== undefined && code !== 0) throw new CommandError(code, '');
  };
}

/** An empty value is a script variable that is not set: no path, no name and no id is empty. */
function refuseEmpty(command: Command): void {
  const opts = command.opts();
  const empty = command.options.find(
    (option) =>
      command.getOptionValueSource(option.attributeName()) === 'cli' &&
      String(opts[option.attributeName()]).trim() === '',
  );
  if (empty !== undefined) throw new CommandError(EXIT.usage, `${empty.long} needs a value.`);
  if (command.args.some((argument) => argument.trim() === '')) {
    throw new CommandError(EXIT.usage, 'An argument is empty.');
  }
}

/** Adds an example to the help of a command. */
export function example(command: Command, ...lines: string[]): Command {
  const list = lines.map((line) => `  $ artery ${line}`).join('\n');
  return command.addHelpText('after', `\nExample:\n${list}`);
}

/** A commander parser for whole numbers within bounds. */
export function wholeNumber(low: number, high: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d{1,15}$/.test(text) && value >= low && value <= high) return value;
    throw new InvalidArgumentError(`Expected a whole number from ${low} to ${high}.`);
  };
}

/** Columns of text, padded; the last one is not. */
export function columns(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) {
    for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, cell.length);
  }
  const line = (row: readonly string[]): string =>
    row.map((cell, i) => (i === row.length - 1 ? cell : cell.padEnd(widths[i] ?? 0))).join('  ');
  return rows.map((row) => line(row).trimEnd()).join('\n');
}
