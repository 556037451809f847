// Owns the HTTP headers of FHIR: formats asked for and sent, Prefer, conditional requests, and the
// server's own address.
import type { FastifyRequest } from 'fastify';
import { EngineError } from '../../model/errors.ts';

/** Throws NOT_ACCEPTABLE when the client takes no JSON. `_format` counts before Accept. */
export function checkFormat(accept: string | undefined, format: string | null): void {
  if (format !== null && format !== '') {
    // The plus of application/fhir+json arrives as a blank when it is not percent-encoded.
    if (isJson(format.replace(' ', '+'))) return;
    throw new EngineError('NOT_ACCEPTABLE', 'Only JSON is served: _format=json.');
  }
  if (accept === undefined || accept === '' || accept.includes('json')) return;
  const ranges = accept.split(',').map((range) => range.trim());
  if (ranges.some((range) => isJson(range) && !/;\s*q=0(\.0*)?$/.test(range))) return;
  throw new EngineError('NOT_ACCEPTABLE', 'Only application/fhir+json is served.');
}

function isJson(range: string): boolean {
  const type = range.split(';')[0]?.trim().toLowerCase() ?? '';
  return /^(\*\/\*|application\/\*|json|(application|text)\/(fhir\+)?json(\+fhir)?)$/.test(type);
}

export interface Preferences {
  return: 'representation' | 'minimal' | 'OperationOutcome';
  lenient: boolean;
}

/** `Prefer: return=minimal, handling=lenient` (R4 http.html#ops, search.html#errors). */
export function readPrefer(request: FastifyRequest): Preferences {
  const header = request.headers.prefer;
  const text = Array.isArray(header) ? header.join(',') : (header ?? '');
  const form = /\breturn=(representation|minimal|OperationOutcome)\b/.exec(text)?.[1];
  return {
    return: (form ?? 'representation') as Preferences['return'],
    lenient: /\bhandling=lenient\b/.test(text),
  };
}

/** The weak ETag of a version. */
export function etagOf(version: number): string {
  return `W/"${version}"`;
}

/** Version of `If-Match`, undefined = no such header. Throws BAD_REQUEST for another form. */
export function readIfMatch(request: FastifyRequest): number | undefined {
  const header = request.headers['if-match'];
  if (header === undefined) {
    return request.headers['if-none-match'] === '*' ? 0 : undefined;
  }
  const version = /^(?:W\/)?"(\d{1,9})"$/.exec(header.trim())?.[1];
  if (version === undefined) {
    throw new EngineError('BAD_REQUEST', 'If-Match is written as W/"3".');
  }
  return Number(version);
}

/** Whether the client has this version already (RFC 9110 sections 13.1.2 and 13.1.3). */
export function isUnmodified(request: FastifyRequest, etag: string, lastUpdated: number): boolean {
  const known = request.headers['if-none-match'];
  if (known !== undefined) {
    return known.split(',').some((tag) => tag.trim() === etag || `W/${tag.trim()}` === etag);
  }
  const since = request.headers['if-modified-since'];
  if (since === undefined) return false;
  // The header has whole seconds.
  return Math.floor(lastUpdated / 1000) * 1000 <= Date.parse(since);
}

/**
 * `https://host/fhir/R4`: as configured, else as the client called it, where it named this machine
 * (`localhost`, or the address that it reached); else that address. A name that the client made up
 * is never in an answer.
 */
export function baseUrlOf(request: FastifyRequest, configured: string, prefix: string): string {
  if (configured !== '') return configured;
  return `${request.protocol}://${ownHost(request)}${prefix}`;
}

function ownHost(request: FastifyRequest): string {
  const { localAddress = '127.0.0.1', localPort } = request.raw.socket;
  const plain = localAddress.replace(/^::ffff:/, '');
  const address = plain.includes(':') ? `[${plain}]` : plain;
  const port = localPort === undefined ? '' : `:${localPort}`;
  const asked = (request.raw.headers.host ?? '').toLowerCase();
  const ports = localPort === undefined ? ['', ':80'] : [port];
  const names = ['localhost', '127.0.0.1', '[::1]', address];
  const own = names.some((name) => ports.some((one) => asked === `${name}${one}`));
  return own ? asked : `${address}${port}`;
}

/** Parameters of the URL in their order; Fastify's own parser would lose it. */
export function urlParameters(request: FastifyRequest): URLSearchParams {
  const at = request.url.indexOf('?');
  return new URLSearchParams(at === -1 ? '' : request.url.slice(at + 1));
}
