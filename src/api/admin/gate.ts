// The gate before every route of /admin: who calls, whether it is allowed; denials are audited.
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { authorize } from '../../access/authorize.ts';
import type { Verb } from '../../access/scopes.ts';
import { EngineError } from '../../model/errors.ts';
import type { Principal } from '../../model/principal.ts';
import { recordEvent } from '../../record/audit.ts';
import { type Guard, guardOf } from '../route-access.ts';
import type { AdminServices } from './services.ts';

/** Runs before the body is read: nobody unknown makes the server parse anything. */
export type Gate = (area: string, verb: Verb) => Guard;

const PRINCIPAL = 'principal';

/** Call it once, before the routes. */
export function addGate(app: FastifyInstance): void {
  app.decorateRequest(PRINCIPAL, null);
}

/** The caller, as the gate of the route has found it. */
export function principalOf(request: FastifyRequest): Principal {
  return request.getDecorator<Principal>(PRINCIPAL);
}

/** Throws UNAUTHENTICATED or FORBIDDEN after auditing the denial. */
export function createGate(services: AdminServices): Gate {
  return (area, verb) =>
    guardOf({ kind: 'admin', area, verb }, async (request) => {
      const principal = await identify(services, request);
      const decision = authorize(principal, { kind: 'admin', area, verb });
      if (!decision.allowed) {
        await auditDenial(services, request, 'FORBIDDEN', principal);
        throw new EngineError('FORBIDDEN', decision.reason);
      }
      request.setDecorator(PRINCIPAL, principal);
    });
}

async function identify(services: AdminServices, request: FastifyRequest): Promise<Principal> {
  try {
    return await services.authenticate(request);
  } catch (thrown) {
    const nobody = { id: 'anonymous', scopes: [], peer: request.ip, patient: null };
    if (thrown instanceof EngineError && thrown.code === 'UNAUTHENTICATED') {
      await auditDenial(services, request, thrown.code, { tenant: TENANT, ...nobody });
    }
    throw thrown;
  }
}

/** A caller without a token belongs to no tenant: it is written down under this one. */
const TENANT = 'default';

async function auditDenial(
  services: AdminServices,
  request: FastifyRequest,
  code: 'UNAUTHENTICATED' | 'FORBIDDEN',
  principal: Principal,
): Promise<void> {
  services.telemetry.emit('access.denied', { code, status: code === 'FORBIDDEN' ? 403 : 401 });
  await recordEvent(services.record, principal, {
    action: 'deny',
    outcome: 'failure',
    detail: `${code} ${request.method} ${request.routeOptions.url ?? '/admin'}`,
  });
}
