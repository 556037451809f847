// Server errors of the stand-in with their codes and names as the MongoDB manual lists them
// (Reference > Error Codes), and the labels a server adds. Owns no rule about when they occur.

/** Codes that make a transaction worth running again from its start. */
const TRANSIENT = new Set([24, 112, 246, 251, 10107, 11600, 11602, 189, 13435]);
/** Codes after which a retryable write, a commit or an abort may be sent again. */
const RETRYABLE = new Set([91, 189, 10107, 11600, 11602, 13435, 13436]);

/** An error that is answered to the client as `{ ok: 0, code, codeName, errmsg, errorLabels }`. */
export class ServerError extends Error {
  readonly code: number;
  readonly codeName: string;
  readonly extra: Record<string, unknown>;
  constructor(code: number, codeName: string, message: string, extra = {}) {
    super(message);
    this.name = 'ServerError';
    this.code = code;
    this.codeName = codeName;
    this.extra = extra;
  }
}

export const badValue = (message: string): ServerError => new ServerError(2, 'BadValue', message);

/** `held`: by an open transaction; else written after the snapshot was taken. */
export class Conflict extends ServerError {
  readonly held: boolean;
  constructor(held: boolean) {
    super(
      112,
      'WriteConflict',
      'Caused by :: Write conflict during plan execution and yielding is disabled. :: Please ' +
        'retry your operation or multi-document transaction.',
    );
    this.held = held;
  }
}

export const writeConflict = (held: boolean): ServerError => new Conflict(held);

export const noSuchTransaction = (txnNumber: number): ServerError =>
  new ServerError(
    251,
    'NoSuchTransaction',
    `Given transaction number ${txnNumber} does not match any in-progress transactions.`,
  );

export const notPrimary = (): ServerError =>
  new ServerError(10107, 'NotWritablePrimary', 'not primary');

export const diskFull = (): ServerError =>
  new ServerError(14031, 'OutOfDiskSpace', 'No space left on device (scripted by the test)');

export const duplicateKey = (
  ns: string,
  index: string,
  keyPattern: Record<string, unknown>,
  keyValue: Record<string, unknown>,
): ServerError =>
  new ServerError(
    11000,
    'DuplicateKey',
    `E11000 duplicate key error collection: ${ns} index: ${index} dup key`,
    { keyPattern, keyValue },
  );

/** In what kind of command the error happened; this decides its labels. */
export type ErrorPlace = 'plain' | 'retryable-write' | 'transaction' | 'transaction-end';

/** The whole answer of a failed command. */
export function errorReply(error: ServerError, place: ErrorPlace): Record<string, unknown> {
  const labels: string[] = [];
  const transient = place === 'transaction' && TRANSIENT.has(error.code);
  const ended = place === 'transaction-end' && (error.code === 251 || error.code === 112);
  if (transient || ended) labels.push('TransientTransactionError');
  if ((place === 'retryable-write' || place === 'transaction-end') && RETRYABLE.has(error.code)) {
    labels.push('RetryableWriteError');
  }
  return {
    ok: 0,
    errmsg: error.message,
    code: error.code,
    codeName: error.codeName,
    ...error.extra,
    ...(labels.length > 0 ? { errorLabels: labels } : {}),
  };
}
