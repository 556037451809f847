// The one table of operating faults. Bad data is an Issue, not an error: see issue.ts.
// docs/reference/errors.md is made from this table.
import { tableOf } from './table.ts';

interface ErrorRow {
  sentence: string;
  /** HTTP status. */
  http: number;
  /** MSA-1 in original mode, HL7 table 0008. */
  ack: 'AE' | 'AR';
  /** ERR-3, HL7 table 0357. */
  hl7: number;
  /** OperationOutcome.issue.code. */
  fhir: string;
  /** `later`: the same call may succeed if it is made again. */
  retry: 'never' | 'later';
}

export const ERRORS = tableOf({
  BAD_REQUEST: row(
    'The request is not of the form that this address takes.',
    400,
    'AR',
    100,
    'invalid',
  ),
  UNAUTHENTICATED: row('A valid bearer token is needed.', 401, 'AR', 207, 'login'),
  FORBIDDEN: row('The token does not allow this.', 403, 'AR', 207, 'forbidden'),
  NOT_FOUND: row('Nothing is known under that name or id.', 404, 'AE', 204, 'not-found'),
  METHOD_NOT_ALLOWED: row('That method is not served here.', 405, 'AR', 200, 'not-supported'),
  NOT_ACCEPTABLE: row(
    'None of the accepted formats can be served.',
    406,
    'AR',
    200,
    'not-supported',
  ),
  REQUEST_TIMEOUT: row(
    'The request did not arrive whole in time.',
    408,
    'AE',
    207,
    'timeout',
    'later',
  ),
  VERSION_CONFLICT: row('Another writer changed it first.', 409, 'AE', 206, 'conflict', 'later'),
  DUPLICATE_MESSAGE: row('The message was received before.', 409, 'AE', 205, 'duplicate'),
  ALREADY_EXISTS: row('Something has that name already.', 409, 'AE', 206, 'duplicate'),
  GONE: row('It was deleted.', 410, 'AE', 204, 'deleted'),
  PRECONDITION_FAILED: row('The stored version is not the one named.', 412, 'AE', 206, 'conflict'),
  TOO_LARGE: row('It is larger than the limit.', 413, 'AR', 200, 'too-long'),
  URI_TOO_LONG: row('The address is longer than the limit.', 414, 'AR', 200, 'too-long'),
  UNSUPPORTED_MEDIA: row('That content type is not taken here.', 415, 'AR', 200, 'not-supported'),
  INVALID_CONTENT: row('The content breaks a rule.', 422, 'AE', 207, 'invalid'),
  TOO_MANY_REQUESTS: row(
    'Too many calls without a valid token; try again later.',
    429,
    'AE',
    207,
    'throttled',
    'later',
  ),
  HEADERS_TOO_LARGE: row('The headers are larger than the limit.', 431, 'AR', 200, 'too-long'),
  OVERLOADED: row(
    'The limit of waiting work is reached; try again.',
    503,
    'AE',
    207,
    'throttled',
    'later',
  ),
  PEER_UNAVAILABLE: row('The peer does not answer.', 502, 'AE', 207, 'transient', 'later'),
  STORE_UNAVAILABLE: row('The store does not answer.', 503, 'AE', 207, 'transient', 'later'),
  STORE_LOCKED: row('Another process has this data folder open.', 503, 'AE', 207, 'lock-error'),
  STORE_NEWER: row(
    'A newer version of Artery wrote this data folder.',
    500,
    'AE',
    207,
    'exception',
  ),
  STORE_UNFINISHED: row('A copy into this store is not finished.', 503, 'AE', 207, 'exception'),
  STORE_CORRUPT: row('What was read is not what was written.', 500, 'AE', 207, 'exception'),
  KEY_DESTROYED: row('The patient was forgotten; the key is destroyed.', 410, 'AE', 204, 'deleted'),
  KEY_UNAVAILABLE: row('The key cannot be opened with this root key.', 500, 'AE', 207, 'security'),
  CONFIG_INVALID: row('A configuration file or setting is wrong.', 500, 'AR', 207, 'invalid'),
  CLOSING: row('The server is stopping.', 503, 'AE', 207, 'transient', 'later'),
  INTERNAL: row('A fault in Artery itself.', 500, 'AE', 207, 'exception', 'later'),
} satisfies Record<string, ErrorRow>);

export type ErrorCode = keyof typeof ERRORS;

/** An operating fault. `message` says what happened, to what, and what to do: no patient data. */
export class EngineError extends Error {
  readonly code: ErrorCode;
  constructor(code: ErrorCode, detail?: string, options?: { cause?: unknown }) {
    super(detail ?? ERRORS[code].sentence, options);
    this.name = 'EngineError';
    this.code = code;
  }
  get retry(): 'never' | 'later' {
    return ERRORS[this.code].retry;
  }
}

/** Makes an EngineError of whatever was thrown; what is unknown becomes INTERNAL. */
export function toEngineError(thrown: unknown): EngineError {
  if (thrown instanceof EngineError) return thrown;
  return new EngineError('INTERNAL', undefined, { cause: thrown });
}

function row(
  sentence: string,
  http: number,
  ack: 'AE' | 'AR',
  hl7: number,
  fhir: string,
  retry: 'never' | 'later' = 'never',
): ErrorRow {
  return { sentence, http, ack, hl7, fhir, retry };
}
