// Owns the answers to what never becomes a request: bytes that are no HTTP, headers beyond the
// limit, a request that does not arrive in time. They have the form of all other errors.
import { randomUUID } from 'node:crypto';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { EngineError, ERRORS, type ErrorCode } from '../model/errors.ts';
import { tableOf } from '../model/table.ts';
import { rawAnswerHeaders } from './answer-headers.ts';
import { bodyOfFault } from './problem.ts';

/** An error of Node's HTTP parser; `rawPacket` is the packet that it could not take. */
export interface ParseError extends Error {
  code?: string;
  rawPacket?: unknown;
}

const CODES: Record<string, ErrorCode> = tableOf({
  HPE_HEADER_OVERFLOW: 'HEADERS_TOO_LARGE',
  HPE_CHUNK_EXTENSIONS_OVERFLOW: 'TOO_LARGE',
  ERR_HTTP_REQUEST_TIMEOUT: 'REQUEST_TIMEOUT',
} satisfies Record<string, ErrorCode>);

/** The fault of a parser error, and the address that was asked for as far as it can be read. */
export function faultOfParser(
  error: ParseError,
  urlBytesMax: number,
): { fault: EngineError; url: string } {
  const packet = error.rawPacket instanceof Uint8Array ? error.rawPacket : new Uint8Array();
  const text = Buffer.from(packet.subarray(0, urlBytesMax + 64)).toString('latin1');
  const url = /^[A-Za-z]+ ([^ \r\n]*)/.exec(text)?.[1] ?? '';
  const code = CODES[error.code ?? ''] ?? 'BAD_REQUEST';
  const isLongUrl = code === 'HEADERS_TOO_LARGE' && url.length > urlBytesMax;
  return { fault: new EngineError(isLongUrl ? 'URI_TOO_LONG' : code, undefined), url };
}

/** Answers on the socket, then ends it. `isAnswering`: another answer stands half-written on it. */
export function answerOnSocket(
  socket: Duplex,
  fault: EngineError,
  url: string,
  isAnswering: boolean,
): void {
  if (!socket.writable || isAnswering) {
    socket.destroy();
    return;
  }
  const { http } = ERRORS[fault.code];
  const { type, text, headers } = bodyOfFault(fault, url);
  const lines = Object.entries({
    ...rawAnswerHeaders(randomUUID()),
    ...headers,
    'Content-Type': type,
    'Content-Length': String(Buffer.byteLength(text)),
    Connection: 'close',
  }).map(([name, value]) => `${name}: ${value}`);
  const head = [`HTTP/1.1 ${http} ${STATUS_TEXT[http] ?? 'Refused'}`, ...lines].join('\r\n');
  socket.end(`${head}\r\n\r\n${text}`, () => socket.destroy());
}

const STATUS_TEXT: Record<number, string> = tableOf({
  400: 'Bad Request',
  405: 'Method Not Allowed',
  408: 'Request Timeout',
  413: 'Content Too Large',
  414: 'URI Too Long',
  417: 'Expectation Failed',
  431: 'Request Header Fields Too Large',
  503: 'Service Unavailable',
});

/**
 * Tells of a socket whether an answer stands half-written on it, or a whole request waits for its
 * answer: another answer would be taken for that one.
 */
export function watchAnswers(server: Server): (socket: Duplex) => boolean {
  const last = new WeakMap<Duplex, { request: IncomingMessage; response: ServerResponse }>();
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    last.set(request.socket, { request, response });
  });
  return (socket) => {
    const open = last.get(socket);
    if (open === undefined || open.response.writableEnded) return false;
    return open.response.headersSent || open.request.complete;
  };
}

/** What Node answers by itself, without a body: `Expect` with another value, CONNECT. */
export function answerOddRequests(server: Server): void {
  server.on('checkExpectation', (request: IncomingMessage, response: ServerResponse) => {
    const fault = new EngineError('BAD_REQUEST', 'Of Expect only 100-continue is understood.');
    const { type, text } = bodyOfFault(fault, request.url ?? '');
    const length = { 'Content-Type': type, 'Content-Length': Buffer.byteLength(text) };
    const headers = { ...rawAnswerHeaders(randomUUID()), ...length, Connection: 'close' };
    response.writeHead(ERRORS[fault.code].http, headers).end(text);
  });
  server.on('connect', (_request: IncomingMessage, socket: Duplex) => {
    socket.on('error', () => socket.destroy());
    answerOnSocket(socket, new EngineError('METHOD_NOT_ALLOWED'), '', false);
  });
}
