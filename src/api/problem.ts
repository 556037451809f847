// Owns the form of error answers: problem+json (RFC 9457) and OperationOutcome, both from the one
// table of errors. Which fault it is, is decided where it happens.
import type { FastifyReply, FastifyRequest } from 'fastify';
import { outcomeOfError, outcomeOfIssues } from '../fhir/outcome.ts';
import { type EngineError, ERRORS, type ErrorCode } from '../model/errors.ts';
import type { Issue } from '../model/issue.ts';

export const FHIR_JSON = 'application/fhir+json; charset=utf-8';
export const PROBLEM_JSON = 'application/problem+json; charset=utf-8';

/** RFC 9457. `type` is left out: the `code` names the row of docs/reference/errors.md. */
export interface Problem {
  title: string;
  status: number;
  detail: string;
  code: ErrorCode;
  issues?: Issue[];
}

/** A fault as problem details; its cause is not told. */
export function problemOf(fault: EngineError, issues?: Issue[]): Problem {
  const { sentence, http } = ERRORS[fault.code];
  const problem = { title: sentence, status: http, detail: fault.message, code: fault.code };
  return issues === undefined ? problem : { ...problem, issues };
}

/** The answer to a fault: problem+json, under /fhir an OperationOutcome. */
export interface FaultBody {
  type: string;
  text: string;
  headers: Record<string, string>;
}

/** `url` as it was asked for, whatever is wrong with it; no part of it is quoted. */
export function bodyOfFault(fault: EngineError, url: string): FaultBody {
  const headers = faultHeaders(fault.code);
  // The address may be given whole (RFC 9112, section 3.2.2).
  if (/^(https?:\/\/[^/?]*)?\/fhir(\/|\?|$)/i.test(url)) {
    return { type: FHIR_JSON, text: JSON.stringify(outcomeOfError(fault)), headers };
  }
  return { type: PROBLEM_JSON, text: JSON.stringify(problemOf(fault)), headers };
}

/** Answers a fault in the form of the surface that was asked. */
export function answerFault(
  request: FastifyRequest,
  reply: FastifyReply,
  fault: EngineError,
): FastifyReply {
  const { type, text, headers } = bodyOfFault(fault, request.url);
  return reply.code(ERRORS[fault.code].http).headers(headers).type(type).send(text);
}

/** Answers a fault as OperationOutcome, with its HTTP status. */
export function sendFault(reply: FastifyReply, fault: EngineError): FastifyReply {
  const text = JSON.stringify(outcomeOfError(fault));
  const headers = faultHeaders(fault.code);
  return reply.code(ERRORS[fault.code].http).headers(headers).type(FHIR_JSON).send(text);
}

/** Answers findings as OperationOutcome. */
export function sendIssues(reply: FastifyReply, status: number, issues: Issue[]): FastifyReply {
  return reply
    .code(status)
    .type(FHIR_JSON)
    .send(JSON.stringify(outcomeOfIssues(issues)));
}

function faultHeaders(code: ErrorCode): Record<string, string> {
  if (code === 'UNAUTHENTICATED') return { 'WWW-Authenticate': 'Bearer realm="Artery"' };
  if (code === 'TOO_MANY_REQUESTS') return { 'Retry-After': '10' };
  return ERRORS[code].http === 503 ? { 'Retry-After': '1' } : {};
}
