// /admin/tokens: make, list, revoke. A token's text is answered once, when it is made.
import type { FastifyInstance } from 'fastify';
import { authorize } from '../../access/authorize.ts';
import { INTERACTIONS } from '../../access/route.ts';
import { parseScope, parseScopes, type Scope } from '../../access/scopes.ts';
import { isResourceType } from '../../fhir/elements.ts';
import { EngineError } from '../../model/errors.ts';
import type { Principal } from '../../model/principal.ts';
import { createToken, listTokens, revokeToken } from '../../record/credentials.ts';
import { type Gate, principalOf } from './gate.ts';
import type { AdminServices } from './services.ts';

interface NewToken {
  scopes: string[];
  label: string;
  /** Seconds, as in RFC 6749; null = for ever; default: tokenLifeMs. */
  expiresIn?: number | null;
}

const NEW_TOKEN = {
  type: 'object',
  additionalProperties: false,
  required: ['scopes'],
  properties: {
    scopes: {
      ...{ type: 'array', minItems: 1, maxItems: 100 },
      items: { type: 'string', minLength: 1, maxLength: 200 },
    },
    label: { type: 'string', maxLength: 100, default: '' },
    expiresIn: { type: ['integer', 'null'], minimum: 1 },
  },
};
const BY_ID = {
  params: {
    type: 'object',
    properties: { id: { type: 'string', pattern: '^[A-Za-z0-9-]{1,64}$' } },
  },
};

/** The verbs that some route of an area asks for. */
export type Served = Map<string, string>;

export function tokenRoutes(
  app: FastifyInstance,
  services: AdminServices,
  gate: Gate,
  served: Served,
): void {
  const { record } = services;
  app.post<{ Body: NewToken }>(
    '/tokens',
    { onRequest: gate('tokens', 'c'), schema: { body: NEW_TOKEN } },
    async (request, reply) => {
      const principal = principalOf(request);
      const scopes = readScopes(request.body.scopes);
      refuseWider(principal, scopes);
      for (const scope of scopes) refuseUseless(scope, services, served);
      const { tenant } = principal;
      const expiresAt = expiryOf(services, request.body.expiresIn);
      const grant = { tenant, scopes, label: request.body.label, expiresAt };
      const made = await createToken(record, principal, grant);
      return reply.code(201).send({ ...made, scopes, expiresAt: isoOf(expiresAt) });
    },
  );
  app.get('/tokens', { onRequest: gate('tokens', 's') }, async (request) => {
    const principal = principalOf(request);
    const rows = await listTokens(record, principal.tenant);
    const tokens = rows.map(({ id, label, scopes, createdAt, expiresAt, revokedAt }) => ({
      ...{ id, label, scopes },
      createdAt: isoOf(createdAt),
      expiresAt: isoOf(expiresAt),
      revokedAt: isoOf(revokedAt),
    }));
    return { tokens };
  });
  app.delete<{ Params: { id: string } }>(
    '/tokens/:id',
    { onRequest: gate('tokens', 'd'), schema: BY_ID },
    async (request, reply) => {
      const principal = principalOf(request);
      await revokeToken(record, principal, request.params.id);
      return reply.code(204).send();
    },
  );
}

function readScopes(given: string[]): string[] {
  const { scopes, unknown } = parseScopes(given.join(' '));
  if (unknown.length > 0) {
    const form = 'system/<Type>.<cruds>, channel/<name>.write or admin/<area>.<cruds>';
    throw new EngineError('BAD_REQUEST', `Unknown scope ${unknown[0]}: expected ${form}.`);
  }
  return scopes;
}

/** A scope that can never allow anything is a mistake, and better told now than at its use. */
function refuseUseless(text: string, services: AdminServices, served: Served): void {
  const scope = parseScope(text);
  const reason = scope === null ? undefined : reasonAgainst(scope, services, served);
  if (reason === undefined) return;
  throw new EngineError('BAD_REQUEST', `The scope ${text} would allow nothing: ${reason}.`);
}

function reasonAgainst(scope: Scope, services: AdminServices, served: Served): string | undefined {
  switch (scope.kind) {
    case 'fhir':
      if (scope.context === 'patient') return NO_PATIENT;
      if (scope.resource !== '*' && !isResourceType(scope.resource)) {
        return `${scope.resource} is no FHIR R4 resource type`;
      }
      return share(scope.verbs, FHIR_VERBS) ? undefined : `served are the verbs ${FHIR_VERBS}`;
    case 'channel': {
      const names = services.channels().map((one) => one.channel.name);
      if (scope.name === '*' || names.includes(scope.name)) return undefined;
      return `there is no such channel, but ${names.join(', ')}`;
    }
    case 'admin': {
      if (scope.area === '*') return undefined;
      const verbs = served.get(scope.area);
      if (verbs === undefined) return `the areas are ${[...served.keys()].sort().join(', ')}`;
      return share(scope.verbs, verbs) ? undefined : `that area has the verbs ${verbs}`;
    }
  }
}

function share(some: string, others: string): boolean {
  return [...some].some((verb) => others.includes(verb));
}

const NO_PATIENT = 'a token names no patient; use system/';
const FHIR_VERBS = [...new Set(Object.values(INTERACTIONS))].join('');

/** Nobody hands out more than he holds himself. */
function refuseWider(principal: Principal, scopes: readonly string[]): void {
  for (const text of scopes) {
    const scope = parseScope(text);
    if (scope === null || holds(principal, scope)) continue;
    throw new EngineError('FORBIDDEN', `The scope ${text} goes beyond those of the caller.`);
  }
}

function holds(principal: Principal, scope: Scope): boolean {
  if (scope.kind === 'channel') {
    return authorize(principal, { kind: 'channel', name: scope.name }).allowed;
  }
  const verbs = [...scope.verbs] as ('c' | 'r' | 'u' | 'd' | 's')[];
  return verbs.every((verb) => {
    if (scope.kind === 'admin') {
      return authorize(principal, { kind: 'admin', area: scope.area, verb }).allowed;
    }
    const decision = authorize(principal, { kind: 'fhir', verb, type: scope.resource });
    return decision.allowed && decision.within === null;
  });
}

function expiryOf(services: AdminServices, given: number | null | undefined): number | null {
  if (given === null) return null;
  const { tokenLifeMs, tokenLifeMsMax } = services.limits;
  const seconds = given ?? Math.min(tokenLifeMs, tokenLifeMsMax) / 1_000;
  if (seconds * 1_000 <= tokenLifeMsMax) return services.now() + seconds * 1_000;
  const most = Math.floor(tokenLifeMsMax / 1_000);
  throw new EngineError('BAD_REQUEST', `A token may live at most ${most} seconds.`);
}

function isoOf(time: number | null): string | null {
  return time === null ? null : new Date(time).toISOString();
}
