// What a DocumentDB server (PostgreSQL) does otherwise than the manual of MongoDB says, as it was
// seen on one: no error labels, errors of PostgreSQL where MongoDB has a code, no killSessions, no
// snapshot reads outside transactions. Its planner is imitated in planner.ts (`compatible`).
import { Conflict, ServerError } from './errors.ts';
import type { Doc } from './values.ts';

/** Throws 115 for a command that such a server does not know. */
export function checkKnown(name: string): void {
  if (name !== 'killSessions') return;
  throw new ServerError(115, 'CommandNotSupported', `Unknown request received: ${name}`);
}

/** The command without what such a server does not heed. */
export function heeded({ readConcern: _, ...command }: Doc): Doc {
  return command;
}

/** The answer to a failed command: without labels. */
export function compatibleReply(error: ServerError): Doc {
  const { code, codeName, message } = translated(error);
  return { ok: 0, code, codeName, errmsg: message };
}

function translated(error: ServerError): ServerError {
  if (!(error instanceof Conflict)) return error;
  if (error.held) {
    const text = 'canceling statement due to lock timeout';
    return new ServerError(112, 'SqlState(E55P03)', text);
  }
  // serialization_failure, 40001, packed six bits a character.
  const text = 'could not serialize access due to concurrent update';
  return new ServerError(16_777_220, 'DocumentDB error.', text);
}
