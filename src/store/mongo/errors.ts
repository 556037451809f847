// What the driver and the server throw, in the terms of model/errors.ts; the only place that knows
// their codes. Server texts may quote keys of a document, so only names and codes are repeated.
// https://www.mongodb.com/docs/manual/reference/error-codes/
import {
  MongoClientClosedError,
  MongoError,
  MongoErrorLabel,
  MongoNetworkError,
  MongoNotConnectedError,
  MongoServerError,
  MongoServerSelectionError,
  MongoTopologyClosedError,
} from 'mongodb';
import { EngineError } from '../../model/errors.ts';
import { CommitConflict } from '../port.ts';

const NAMESPACE_EXISTS = 48;
const DUPLICATE_KEY = 11_000;
const NO_SUCH_COMMAND = 59;
/** CursorNotFound, CursorKilled */
const CURSOR_GONE = [43, 237];
const WRITE_CONFLICT = 112;
/** InternalError, UnknownError: DocumentDB's words for a connection of its own that broke. */
const VAGUE = new Set([1, 8]);
/** WriteConflict, ConflictingOperationInProgress */
const CONFLICTS = new Set([WRITE_CONFLICT, 117]);

/**
 * LockTimeout, TransactionTooOld, SnapshotTooOld, SnapshotUnavailable, NoSuchTransaction, and
 * Interrupted: what a transaction meets whose session was ended.
 */
const TRANSACTION_LOST = [24, 225, 239, 246, 251, 11_601];
/** The primary went away or is going: manual, "Retryable Writes" and the driver's SDAM rules. */
const NO_PRIMARY = [
  6, 7, 89, 91, 133, 189, 262, 9001, 10_107, 10_058, 11_600, 11_602, 13_435, 13_436,
];
const TRANSIENT = new Set([...CONFLICTS, ...TRANSACTION_LOST, ...NO_PRIMARY]);
/**
 * MaxTimeMSExpired, WriteConcernTimeout, UnsatisfiableWriteConcern, ExceededMemoryLimit,
 * TooManyLogicalSessions, OutOfDiskSpace
 */
const UNAVAILABLE = new Set([...TRANSIENT, 50, 64, 100, 146, 261, 14_031]);
/** Unauthorized, AuthenticationFailed, AtlasError */
const REFUSED_LOGIN = new Set([13, 18, 8000]);
/** BSONObjectTooLarge; a reply or a request over its limit */
const TOO_LARGE = new Set([10_334, 17_280, 17_419, 17_420]);

/**
 * DocumentDB answers SQLSTATEs of PostgreSQL, packed, where it has no code of MongoDB for them. The
 * least code with five characters of which the last is not '0'; MongoDB's are all below.
 */
const PACKED_STATE_MIN = 2 ** 24;
/** serialization_failure, deadlock_detected: class 40 is "transaction rollback". */
const SQL_CONFLICT = /^40/;
/** in_failed_sql_transaction and what follows it; operator_intervention; connection_exception */
const SQL_LOST = /^(25P0|57P0|08)/;

/** 0 = not an error of the server. A failed write in a batch carries its code inside. */
export function serverCode(thrown: unknown): number {
  if (!(thrown instanceof MongoServerError)) return 0;
  return Number(thrown.code ?? 0);
}

/** The server is there, but takes no writes. */
export function isNoPrimary(thrown: unknown): boolean {
  return NO_PRIMARY.includes(serverCode(thrown));
}

/** Nothing of the transaction stands; run it again from its start. */
export function isTransient(thrown: unknown): boolean {
  if (thrown instanceof MongoError && thrown.hasErrorLabel('TransientTransactionError'))
    return true;
  if (isWriteConflict(thrown) || SQL_LOST.test(sqlState(thrown))) return true;
  return TRANSIENT.has(serverCode(thrown)) || isDisconnect(thrown);
}

/** Another transaction has written the same document, or holds it. */
export function isWriteConflict(thrown: unknown): boolean {
  return CONFLICTS.has(serverCode(thrown)) || SQL_CONFLICT.test(sqlState(thrown));
}

/** The SQLSTATE in an error's code, six bits a character from '0' on; empty = there is none. */
function sqlState(thrown: unknown): string {
  const code = serverCode(thrown);
  if (code < PACKED_STATE_MIN || code >= 2 ** 30) return '';
  const characters = [0, 6, 12, 18, 24].map((shift) => ((code >> shift) & 0x3f) + 0x30);
  return String.fromCharCode(...characters);
}

/** Says nothing of the unit: worth another try, but not as long as a server that is away. */
export function isVague(thrown: unknown): boolean {
  return VAGUE.has(serverCode(thrown));
}

/** The commit may have been applied or not. */
export function isUnknownCommit(thrown: unknown): boolean {
  if (!(thrown instanceof MongoError)) return false;
  return thrown.hasErrorLabel(MongoErrorLabel.UnknownTransactionCommitResult);
}

export function isDuplicateKey(thrown: unknown): boolean {
  return serverCode(thrown) === DUPLICATE_KEY;
}

/** What a cursor meets whose server was changed or restarted. */
export function isCursorGone(thrown: unknown): boolean {
  return CURSOR_GONE.includes(serverCode(thrown));
}

export function isNamespaceExists(thrown: unknown): boolean {
  return serverCode(thrown) === NAMESPACE_EXISTS;
}

export function isNoSuchCommand(thrown: unknown): boolean {
  return serverCode(thrown) === NO_SUCH_COMMAND || serverCode(thrown) === 115;
}

export function isDisconnect(thrown: unknown): boolean {
  return (
    thrown instanceof MongoNetworkError ||
    thrown instanceof MongoServerSelectionError ||
    thrown instanceof MongoNotConnectedError ||
    thrown instanceof MongoTopologyClosedError
  );
}

/** Translates whatever an operation threw; EngineError and CommitConflict pass through. */
export function translateError(thrown: unknown): EngineError | CommitConflict {
  if (thrown instanceof EngineError || thrown instanceof CommitConflict) return thrown;
  if (thrown instanceof MongoClientClosedError) {
    return new EngineError('CLOSING', undefined, { cause: thrown });
  }
  const code = serverCode(thrown);
  const told = nameOf(thrown);
  if (isDisconnect(thrown) || UNAVAILABLE.has(code) || isTransient(thrown)) {
    return new EngineError('STORE_UNAVAILABLE', `MongoDB does not answer: ${told}.`, {
      cause: thrown,
    });
  }
  if (REFUSED_LOGIN.has(code)) {
    return new EngineError(
      'CONFIG_INVALID',
      `MongoDB refuses the user of MONGODB_URL: ${told}; check its name, password and roles.`,
      { cause: thrown },
    );
  }
  if (TOO_LARGE.has(code)) {
    return new EngineError('TOO_LARGE', 'A document is larger than MongoDB takes (16 MB).', {
      cause: thrown,
    });
  }
  return new EngineError('INTERNAL', `A fault in the MongoDB store: ${told}.`, { cause: thrown });
}

function nameOf(thrown: unknown): string {
  if (thrown instanceof MongoServerError) {
    return `${thrown.codeName ?? thrown.name} (code ${serverCode(thrown)})`;
  }
  return thrown instanceof Error ? thrown.name : 'unknown fault';
}
