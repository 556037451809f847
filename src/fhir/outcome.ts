// Owns the making of OperationOutcome resources. HTTP statuses are api's.
import { type EngineError, ERRORS } from '../model/errors.ts';
import type { Issue } from '../model/issue.ts';

export interface OperationOutcome {
  resourceType: 'OperationOutcome';
  issue: OutcomeIssue[];
}

export interface OutcomeIssue {
  severity: 'fatal' | 'error' | 'warning' | 'information';
  code: string;
  details?: { text: string };
  diagnostics?: string;
  expression?: string[];
}

/** At most this many issues are listed; one more says how many were left out. */
export const OUTCOME_ISSUES_MAX = 100;

/** OperationOutcome of findings; with none, one informational `All OK`. */
export function outcomeOfIssues(issues: readonly Issue[]): OperationOutcome {
  if (issues.length === 0) return outcomeOf('information', 'informational', 'All OK.');
  const listed: OutcomeIssue[] = issues.slice(0, OUTCOME_ISSUES_MAX).map((issue) => ({
    severity: issue.severity,
    code: issue.code,
    details: { text: issue.text },
    ...(issue.at === '' ? {} : { expression: [issue.at] }),
  }));
  const left = issues.length - listed.length;
  if (left > 0) {
    const text = `${left} more issues are not listed.`;
    listed.push({ severity: 'information', code: 'informational', details: { text } });
  }
  return { resourceType: 'OperationOutcome', issue: listed };
}

/** OperationOutcome of an operating fault; its cause is not told. */
export function outcomeOfError(error: EngineError): OperationOutcome {
  return outcomeOf('error', ERRORS[error.code].fhir, error.message);
}

function outcomeOf(
  severity: OutcomeIssue['severity'],
  code: string,
  text: string,
): OperationOutcome {
  return { resourceType: 'OperationOutcome', issue: [{ severity, code, details: { text } }] };
}
