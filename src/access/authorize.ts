// Owns the decision who may do what: principal + action -> allowed (and within which patient) or
// a reason. Pure: it neither reads the store nor writes the audit.
import type { Principal } from '../model/principal.ts';
import { parseScope, type Scope, type Verb } from './scopes.ts';

export type Action =
  | { kind: 'fhir'; verb: Verb; type: string }
  | { kind: 'channel'; name: string }
  | { kind: 'admin'; verb: Verb; area: string };

export type Decision =
  /** `within`: only resources of this Patient's compartment; null = no bound. */
  | { allowed: true; within: string | null }
  /** `reason` is for the audit and the answer: no patient data. */
  | { allowed: false; reason: string };

/** Types without patient data: a `patient/` scope may read them, in no compartment though. */
const DIRECTORY_TYPES: ReadonlySet<string> = new Set([
  'Organization',
  'Practitioner',
  'PractitionerRole',
  'Location',
  'HealthcareService',
  'Medication',
]);

/**
 * Decides one action. Of several scopes that allow it the widest wins. A `patient/` scope without
 * principal.patient allows nothing. `user/` scopes count as `system/` ones.
 */
export function authorize(principal: Principal, action: Action): Decision {
  let bounded = false;
  for (const text of principal.scopes) {
    const scope = parseScope(text);
    if (scope === null || !covers(scope, action)) continue;
    if (scope.kind !== 'fhir' || scope.context !== 'patient')
      return { allowed: true, within: null };
    bounded = true;
  }
  if (!bounded) return { allowed: false, reason: refusal(action) };
  return boundToPatient(principal, action);
}

function covers(scope: Scope, action: Action): boolean {
  if (scope.kind !== action.kind) return false;
  switch (scope.kind) {
    case 'channel':
      return action.kind === 'channel' && (scope.name === '*' || scope.name === action.name);
    case 'admin':
      return (
        action.kind === 'admin' &&
        (scope.area === '*' || scope.area === action.area) &&
        scope.verbs.includes(action.verb)
      );
    case 'fhir':
      return (
        action.kind === 'fhir' &&
        (scope.resource === '*' || scope.resource === action.type) &&
        scope.verbs.includes(action.verb)
      );
  }
}

function boundToPatient(principal: Principal, action: Action): Decision {
  if (principal.patient === null) {
    return { allowed: false, reason: 'The token has a patient/ scope but names no patient.' };
  }
  const isReading = action.kind === 'fhir' && (action.verb === 'r' || action.verb === 's');
  if (isReading && DIRECTORY_TYPES.has(action.type)) return { allowed: true, within: null };
  return { allowed: true, within: principal.patient };
}

function refusal(action: Action): string {
  switch (action.kind) {
    case 'channel':
      return `The token lacks the scope channel/${action.name}.write.`;
    case 'admin':
      return `The token lacks the scope admin/${action.area}.${action.verb}.`;
    case 'fhir':
      return `The token lacks a scope such as system/${action.type}.${action.verb}.`;
  }
}
