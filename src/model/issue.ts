// One finding about one place of one message or resource. Findings are values, not exceptions:
// a step returns all of them at once.

/** The part of FHIR's issue-type code system that Artery uses. */
export type IssueCode =
  | 'structure'
  | 'required'
  | 'value'
  | 'invariant'
  | 'invalid'
  | 'code-invalid'
  | 'not-supported'
  | 'not-found'
  | 'duplicate'
  | 'conflict'
  | 'too-long'
  | 'processing'
  | 'incomplete'
  | 'exception'
  | 'informational';

export interface Issue {
  /** `error` keeps the message from being applied; the other two do not. */
  severity: 'error' | 'warning' | 'information';
  code: IssueCode;
  /** Where: `PID-3[1].4`, `OBX[2]-5`, `Patient.birthDate`, `/entry/0/resource`. Never a value. */
  at: string;
  /** What is wrong and what was expected, in one sentence, without patient data. */
  text: string;
}

export function hasErrors(issues: readonly Issue[]): boolean {
  return issues.some((issue) => issue.severity === 'error');
}
