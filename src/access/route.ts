// Owns what a route can ask of its caller, and the verb that each FHIR interaction needs.

import { tableOf } from '../model/table.ts';
import type { Verb } from './scopes.ts';

/**
 * FHIR's own names (http://hl7.org/fhir/R4/valueset-type-restful-interaction.html). The verbs are
 * those of SMART App Launch 2, "Scopes for requesting FHIR resources": `r` is one instance with
 * its versions, `s` is every look over a type, its history included.
 */
export const INTERACTIONS = tableOf({
  read: 'r',
  vread: 'r',
  'history-instance': 'r',
  'history-type': 's',
  'search-type': 's',
  create: 'c',
  update: 'u',
} as const satisfies Record<string, Verb>);

export type Interaction = keyof typeof INTERACTIONS;

/** What a route asks of its caller. The server does not start with a route that says nothing. */
export type RouteAccess =
  /** Anybody: health pages and the CapabilityStatement. */
  | { kind: 'open' }
  /** Any valid token, since nothing but a refusal is answered. */
  | { kind: 'token' }
  /** `system/<type of the URL>.<verb>` and the like. */
  | { kind: 'fhir'; interaction: Interaction; verb: Verb }
  /** `channel/<name of the URL>.write` in the channel's tenant. */
  | { kind: 'channel' }
  /** `admin/<area>.<verb>`. */
  | { kind: 'admin'; area: string; verb: Verb };
