// Owns the headers that every answer carries: the id of the request, no storing of what may be
// patient data, and what keeps a browser from running or framing it.
import type { FastifyReply, FastifyRequest } from 'fastify';

const ALWAYS: Readonly<Record<string, string>> = Object.freeze({
  'Cache-Control': 'no-store',
  'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
});

/** A year (RFC 6797); told over TLS only. */
const TRANSPORT_SECURITY = 'max-age=31536000';

/** Sets them; a route may set another value later. */
export function setAnswerHeaders(request: FastifyRequest, reply: FastifyReply): void {
  reply.headers(ALWAYS).header('X-Request-Id', request.id);
  if (request.protocol === 'https') reply.header('Strict-Transport-Security', TRANSPORT_SECURITY);
}

/** The same, for an answer that is written to the socket itself. */
export function rawAnswerHeaders(requestId: string): Record<string, string> {
  return { ...ALWAYS, 'X-Request-Id': requestId };
}
