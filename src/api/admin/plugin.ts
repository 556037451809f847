// The surface /admin: one route file per noun, one gate before all of them. Errors are
// thrown: the server answers them as problem+json. What happens to messages is record/ and flow/.
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { authorize } from '../../access/authorize.ts';
import type { Verb } from '../../access/scopes.ts';
import { EngineError } from '../../model/errors.ts';
import type { Principal } from '../../model/principal.ts';
import { recordEvent } from '../../record/audit.ts';
import { auditRoutes } from './audit.ts';
import { channelRoutes } from './channels.ts';
import { keyRoutes } from './keys.ts';
import { messageRoutes } from './messages.ts';
import type { AdminServices } from './services.ts';
import { tokenRoutes } from './tokens.ts';

/** Runs before the body is read: nobody unknown makes the server parse anything. */
export type Gate = (area: string, verb: Verb) => (request: FastifyRequest) => Promise<void>;

const PRINCIPAL = 'principal';

/** Register with the prefix `/admin`. */
export async function adminApi(app: FastifyInstance, services: AdminServices): Promise<void> {
  app.decorateRequest(PRINCIPAL, null);
  app.setSchemaErrorFormatter((found) => new EngineError('BAD_REQUEST', fieldsOf(found)));
  app.addContentTypeParser(
    'application/octet-stream',
    { parseAs: 'buffer' },
    (_request, body, done) => done(null, body),
  );
  app.addHook('preValidation', async (request) => refuseUnknownNames(request));
  app.addHook('onSend', async (_request, reply) => void reply.header('cache-control', 'no-store'));
  const gate = createGate(services);
  messageRoutes(app, services, gate);
  channelRoutes(app, services, gate);
  tokenRoutes(app, services, gate);
  auditRoutes(app, services, gate);
  keyRoutes(app, services, gate);
}

/** The caller, as the gate of the route has found it. */
export function principalOf(request: FastifyRequest): Principal {
  return request.getDecorator<Principal>(PRINCIPAL);
}

/** Throws UNAUTHENTICATED or FORBIDDEN after auditing the denial. */
function createGate(services: AdminServices): Gate {
  return (area, verb) => async (request) => {
    const principal = await identify(services, request);
    const decision = authorize(principal, { kind: 'admin', area, verb });
    if (!decision.allowed) {
      await auditDenial(services, request, 'FORBIDDEN', principal);
      throw new EngineError('FORBIDDEN', decision.reason);
    }
    request.setDecorator(PRINCIPAL, principal);
  };
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

/** Fastify would drop names that the schema does not have; a misspelt filter must not match all. */
function refuseUnknownNames(request: FastifyRequest): void {
  const schema = request.routeOptions.schema ?? {};
  const parts = [
    [schema.querystring, request.query],
    [schema.body, request.body],
  ] as const;
  for (const [part, given] of parts) {
    const known = (part as { properties?: object } | undefined)?.properties;
    if (known === undefined || typeof given !== 'object' || given === null) continue;
    const unknown = Object.keys(given).filter((name) => !Object.hasOwn(known, name)).length;
    if (unknown === 0) continue;
    const names = Object.keys(known).join(', ');
    throw new EngineError('BAD_REQUEST', `${unknown} unknown names; there are: ${names}.`);
  }
}

/** Which field breaks which rule; fastify's own message does not quote values. */
function fieldsOf(found: readonly { instancePath: string; message?: string }[]): string {
  const rules = found.map((one) => `${one.instancePath || '/'} ${one.message ?? 'is wrong'}`);
  return `The request is wrong: ${rules.join('; ')}.`;
}
