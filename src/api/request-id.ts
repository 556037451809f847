// Owns the id of a request: `X-Request-Id` as the caller sent it, where it is well formed, else a
// new one. It is in every answer and in the events of a request that failed.
import { randomUUID } from 'node:crypto';

/** Long enough that it is no number of a patient, short enough for a log line. */
const WELL_FORMED = /^[A-Za-z0-9._-]{16,128}$/;

/** The caller's own id or a new UUID. */
export function requestIdOf(request: {
  headers: Record<string, string | string[] | undefined>;
}): string {
  const given = request.headers['x-request-id'];
  return typeof given === 'string' && WELL_FORMED.test(given) ? given : randomUUID();
}
