// How a command ends: the exit codes, and the one line that an error becomes.
import { CommanderError } from 'commander';
import { EngineError, type ErrorCode } from '../model/errors.ts';

export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 2,
  notFound: 3,
  refused: 4,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** Meaning of each exit code; the reference page is made from it. */
export const EXIT_MEANINGS: Record<keyof typeof EXIT, string> = {
  ok: 'Done, and all was well.',
  failed: 'Done, but something was wrong: a message not accepted, a check that failed.',
  usage: 'The command line, a file or a setting is wrong; nothing was done.',
  notFound: 'What was named is not known; of `audit verify`: it cannot tell.',
  refused: 'Refused: not allowed, in use, or in another state than needed.',
};

/** Ends the command with this code; the message is for people, without patient data. */
export class CommandError extends Error {
  readonly exitCode: ExitCode;
  /** What a server answered: problem details, or an OperationOutcome. */
  readonly answer: unknown;
  constructor(
    exitCode: ExitCode,
    message: string,
    options?: { cause?: unknown; answer?: unknown },
  ) {
    super(message, options);
    this.name = 'CommandError';
    this.exitCode = exitCode;
    this.answer = options?.answer;
  }
}

/** Exit code and line of whatever was thrown; '' = it has been said already. */
export function describeFailure(thrown: unknown): { code: number; line: string } {
  if (thrown instanceof CommanderError) {
    return { code: thrown.exitCode === 0 ? EXIT.ok : EXIT.usage, line: '' };
  }
  if (thrown instanceof CommandError) return { code: thrown.exitCode, line: thrown.message };
  if (thrown instanceof EngineError) {
    return { code: exitCodeOf(thrown.code), line: thrown.message };
  }
  const system = thrown as NodeJS.ErrnoException;
  if (system.code !== undefined && system.path !== undefined) {
    return { code: EXIT.failed, line: `${system.path}: ${system.code}` };
  }
  const line = thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : 'unknown failure';
  return { code: EXIT.failed, line };
}

const REFUSED: readonly ErrorCode[] = [
  'UNAUTHENTICATED',
  'FORBIDDEN',
  'VERSION_CONFLICT',
  'DUPLICATE_MESSAGE',
  'ALREADY_EXISTS',
  'PRECONDITION_FAILED',
  'STORE_LOCKED',
  'STORE_UNFINISHED',
  'KEY_DESTROYED',
  'KEY_UNAVAILABLE',
];
const USAGE: readonly ErrorCode[] = [
  'BAD_REQUEST',
  'CONFIG_INVALID',
  'INVALID_CONTENT',
  'TOO_LARGE',
  'UNSUPPORTED_MEDIA',
];

export function exitCodeOf(code: ErrorCode): ExitCode {
  if (code === 'NOT_FOUND' || code === 'GONE') return EXIT.notFound;
  if (REFUSED.includes(code)) return EXIT.refused;
  return USAGE.includes(code) ? EXIT.usage : EXIT.failed;
}
