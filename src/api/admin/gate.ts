// The gate before every route of /admin: who calls, whether it is allowed; denials are audited.
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { authorize } from '../../access/authorize.ts';
import type { Verb } from '../../access/scopes.ts';
import { EngineError, ERRORS } from '../../model/errors.ts';
import type { Principal } from '../../model/principal.ts';
import { countUnknownCaller, recordDenial } from '../../record/denials.ts';
import { isUnknownCaller } from '../authenticate.ts';
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
        await auditDenial(services, request, principal);
        throw new EngineError('FORBIDDEN', decision.reason);
      }
      request.setDecorator(PRINCIPAL, principal);
    });
}

async function identify(services: AdminServices, request: FastifyRequest): Promise<Principal> {
  try {
    return await services.authenticate(request);
  } catch (thrown) {
    if (isUnknownCaller(thrown)) {
      const { id } = request;
      services.telemetry.emit('access.denied', {
        code: thrown.code,
        status: ERRORS[thrown.code].http,
        request: id,
      });
      countUnknownCaller(services.record, request.ip, `${thrown.code} admin`);
    }
    throw thrown;
  }
}

async function auditDenial(
  services: AdminServices,
  request: FastifyRequest,
  principal: Principal,
): Promise<void> {
  const { id } = request;
  services.telemetry.emit('access.denied', { code: 'FORBIDDEN', status: 403, request: id });
  const detail = `FORBIDDEN ${request.method} ${request.routeOptions.url ?? '/admin'}`;
  await recordDenial(services.record, principal, { action: 'deny', detail });
}
