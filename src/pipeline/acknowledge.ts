// What a sender is told: acknowledgements for HL7v2, an OperationOutcome for FHIR, a small JSON
// answer for records. Pure: the same item and ruling give the same bytes, so a repeat gets the same
// answer.
import { shortName } from '../crypto/uuid.ts';
import { outcomeOfIssues } from '../fhir/outcome.ts';
import { ackErrorOf, ackFrames, acksFor, isEnhanced, type Verdict } from '../hl7/ack.ts';
import { peekBatchHeader, writeBatchAnswer } from '../hl7/batch-answer.ts';
import { type Header, readHeader } from '../hl7/header.ts';
import { ERRORS, type ErrorCode } from '../model/errors.ts';
import type { Issue } from '../model/issue.ts';
import { tableOf } from '../model/table.ts';
import type { IntakeItem } from './intake.ts';

export { peekBatchHeader, readHeader, shortName, writeBatchAnswer };

export interface Ruling {
  /** Of the message that is stored: for a repeated message, of the first one. */
  id: string;
  receivedAt: string;
  verdict: IntakeItem['verdict'];
  issues: Issue[];
  /** An operating fault instead of a fault of the message: nothing was stored. */
  fault?: ErrorCode;
}

/** Answers of HL7v2, none when the sender wants none. `stage` as in hl7/ack.ts. */
export function acknowledgeHl7(
  header: Header | undefined,
  ruling: Ruling,
  stage: Exclude<Verdict['stage'], undefined>,
): Uint8Array[] {
  const fault = ruling.fault === undefined ? undefined : ERRORS[ruling.fault];
  const errors =
    fault !== undefined
      ? [{ at: '', severity: 'error' as const, code: fault.hl7, text: fault.sentence }]
      : ruling.issues
          .filter((issue) => issue.severity === 'error')
          .map((issue) => ackErrorOf(issue, codeOf(header, issue)));
  const verdict: Verdict = {
    outcome: ruling.verdict,
    errors: ruling.verdict === 'accepted' ? [] : errors,
    stage,
  };
  // MSH-10 holds 20 characters up to v2.6, and the application's answer adds one.
  const controlId = shortName(ruling.id);
  return ackFrames(acksFor(header, verdict, { receivedAt: ruling.receivedAt, controlId }));
}

/** True when the application's answer is to follow the commit answer: enhanced mode, MSH-16. */
export function expectsApplicationAnswer(header: Header | undefined): boolean {
  if (header === undefined || !isEnhanced(header)) return false;
  return !['', 'NE'].includes(header.applicationAck.toUpperCase());
}

/** Table 0357 tells the event code from the message type and the version. */
function codeOf(header: Header | undefined, issue: Issue): number | undefined {
  if (issue.code !== 'not-supported' || header === undefined) return undefined;
  if (issue.at === 'MSH-12') return 203;
  if (issue.at === 'MSH-11') return 202;
  return issue.at === 'MSH-9' && header.event !== '' ? 201 : undefined;
}

export interface HttpAnswer {
  status: number;
  contentType: string;
  body: Uint8Array;
}

const HTTP_STATUS = tableOf({ accepted: 202, error: 422, rejected: 400 } as const);

/** The body of an HTTP answer to a FHIR or JSON channel; `location` is where its state is read. */
export function answerJson(item: IntakeItem, ruling: Ruling, location: string): HttpAnswer {
  const fault = ruling.fault === undefined ? undefined : ERRORS[ruling.fault];
  const status = fault?.http ?? HTTP_STATUS[ruling.verdict];
  const accepted = ruling.verdict === 'accepted' && fault === undefined;
  const issues: Issue[] =
    fault !== undefined
      ? [{ severity: 'error', code: 'processing', at: '', text: fault.sentence }]
      : ruling.issues;
  if (item.envelope.format === 'fhir') {
    const text = `Stored as message ${ruling.id}; its state: ${location}`;
    const told: Issue = { severity: 'information', code: 'informational', at: '', text };
    return json(status, 'application/fhir+json', outcomeOfIssues(accepted ? [told] : issues));
  }
  if (accepted) {
    return json(status, 'application/json', { id: ruling.id, state: 'received', location });
  }
  const title =
    fault?.sentence ?? ERRORS[status === 400 ? 'BAD_REQUEST' : 'INVALID_CONTENT'].sentence;
  return json(status, 'application/problem+json', { type: 'about:blank', title, status, issues });
}

function json(status: number, contentType: string, body: object): HttpAnswer {
  return { status, contentType, body: Buffer.from(JSON.stringify(body)) };
}
