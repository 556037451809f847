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

/**
 * Answers with problem+json. Under /fhir the same fault is an OperationOutcome: what
 * Fastify refuses before a route is found (a malformed URL) reaches the FHIR client as such, too.
 */
export function sendProblem(
  reply: FastifyReply,
  problem: Problem,
  request: FastifyRequest,
): FastifyReply {
  setFaultHeaders(reply, problem.code);
  if (/^\/fhir(\/|\?|$)/.test(request.url)) {
    const text = problem.detail;
    const details = { severity: 'error', code: ERRORS[problem.code].fhir, details: { text } };
    const outcome = { resourceType: 'OperationOutcome', issue: [details] };
    return reply.code(problem.status).type(FHIR_JSON).send(JSON.stringify(outcome));
  }
  return reply.code(problem.status).type(PROBLEM_JSON).send(JSON.stringify(problem));
}

/** Answers a fault as OperationOutcome, with its HTTP status. */
export function sendFault(reply: FastifyReply, fault: EngineError): FastifyReply {
  setFaultHeaders(reply, fault.code);
  const text = JSON.stringify(outcomeOfError(fault));
  return reply.code(ERRORS[fault.code].http).type(FHIR_JSON).send(text);
}

/** Answers findings as OperationOutcome. */
export function sendIssues(reply: FastifyReply, status: number, issues: Issue[]): FastifyReply {
  return reply
    .code(status)
    .type(FHIR_JSON)
    .send(JSON.stringify(outcomeOfIssues(issues)));
}

function setFaultHeaders(reply: FastifyReply, code: ErrorCode): void {
  if (code === 'UNAUTHENTICATED') reply.header('WWW-Authenticate', 'Bearer realm="Artery"');
  if (ERRORS[code].http === 503) reply.header('Retry-After', '1');
}
