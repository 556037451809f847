// Owns what every FHIR request needs before its work: who calls, whether it is allowed, where the
// server is. A refusal is audited here.
import type { FastifyRequest } from 'fastify';
import { type Action, authorize } from '../../access/authorize.ts';
import { INTERACTIONS, type Interaction } from '../../access/route.ts';
import type { Verb } from '../../access/scopes.ts';
import { isResourceType } from '../../fhir/elements.ts';
import { EngineError } from '../../model/errors.ts';
import type { Principal } from '../../model/principal.ts';
import type { ClinicalRecord } from '../../record/context.ts';
import { recordDenial } from '../../record/denials.ts';
import type { Telemetry } from '../../telemetry/events.ts';
import type { CallerRate } from '../caller-rate.ts';
import { type Guard, guardOf } from '../route-access.ts';
import { baseUrlOf } from './negotiate.ts';

export interface FhirApiOptions {
  record: ClinicalRecord;
  /** Resolves the caller or throws UNAUTHENTICATED. */
  authenticate: (request: FastifyRequest) => Promise<Principal>;
  limits: FhirLimits;
  telemetry: Telemetry;
  /** `https://host/fhir/R4`, without a final slash; '' = see negotiate.ts. */
  baseUrl?: string;
  /** Slows calls without a token; without it none is slowed. */
  rate?: CallerRate;
  /** Of the software, for the CapabilityStatement. */
  version?: string;
}

export interface FhirLimits {
  fhirBodyBytesMax: number;
  jsonDepthMax: number;
  searchCountDefault: number;
  searchCountMax: number;
  searchTermsMax: number;
  totalCountMax: number;
}

/** What the handlers share; `prefix` is where the plugin is registered. */
export interface FhirContext extends FhirApiOptions {
  prefix: string;
  principals: WeakMap<FastifyRequest, Principal>;
  /** Filled by the guard of the route. */
  admissions: WeakMap<FastifyRequest, Admitted>;
}

/** A request that was let in. */
export interface Admitted {
  request: FastifyRequest;
  principal: Principal;
  /** Patient that bounds the caller, null = none. */
  within: string | null;
  /** Option of record's reads that keeps the bound. */
  bound: { compartments?: string[] };
  baseUrl: string;
}

/**
 * The guard of a route: lets a request act on the type of its URL, before its body is read.
 * Throws NOT_FOUND (no such type), FORBIDDEN (audited).
 */
export function allow(context: FhirContext, interaction: Interaction): Guard {
  const verb = INTERACTIONS[interaction];
  return guardOf({ kind: 'fhir', interaction, verb }, async (request) => {
    const { type } = request.params as { type: string };
    context.admissions.set(request, await admit(context, request, verb, type));
  });
}

/** What the guard of the route has found. */
export function admittedOf(context: FhirContext, request: FastifyRequest): Admitted {
  const admitted = context.admissions.get(request);
  if (admitted === undefined) throw new EngineError('INTERNAL', 'The route has no guard.');
  return admitted;
}

async function admit(
  context: FhirContext,
  request: FastifyRequest,
  verb: Verb,
  type: string,
): Promise<Admitted> {
  const principal = callerOf(context, request);
  if (!isResourceType(type)) {
    throw new EngineError('NOT_FOUND', 'That is no FHIR R4 resource type.');
  }
  const action: Action = { kind: 'fhir', verb, type };
  const decision = authorize(principal, action);
  if (!decision.allowed) {
    return refuse(context, request, principal, { verb, type, reason: decision.reason });
  }
  const { within } = decision;
  return {
    ...{ request, principal, within },
    bound: within === null ? {} : { compartments: [within] },
    baseUrl: baseUrlOf(request, context.baseUrl ?? '', context.prefix),
  };
}

/** Audits a denial, then throws FORBIDDEN. */
export async function refuse(
  context: FhirContext,
  request: FastifyRequest,
  principal: Principal,
  { verb, type, reason }: { verb: Verb; type: string; reason: string },
): Promise<never> {
  const detail = `FORBIDDEN ${verb} ${type}`;
  await recordDenial(context.record, principal, { action: 'deny', detail });
  const { id } = request;
  context.telemetry.emit('access.denied', { code: 'FORBIDDEN', status: 403, request: id });
  throw new EngineError('FORBIDDEN', reason);
}

/** The caller that the first hook resolved. */
export function callerOf(context: FhirContext, request: FastifyRequest): Principal {
  const principal = context.principals.get(request);
  if (principal === undefined) throw new EngineError('UNAUTHENTICATED');
  return principal;
}

/** An id of a URL. Throws NOT_FOUND: under an impossible id nothing is stored. */
export function checkId(id: string): string {
  if (/^[A-Za-z0-9.-]{1,64}$/.test(id)) return id;
  throw new EngineError('NOT_FOUND', 'Nothing is stored under that id.');
}
