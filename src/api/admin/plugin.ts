// The surface /admin: one route file per noun, one gate before all of them. Errors are
// thrown: the server answers them as problem+json. What happens to messages is record/ and flow/.
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { parseJson } from '../../fhir/json.ts';
import { EngineError } from '../../model/errors.ts';
import { auditRoutes } from './audit.ts';
import { bodyRoutes } from './bodies.ts';
import { channelRoutes } from './channels.ts';
import { addGate, createGate, type Gate, principalOf } from './gate.ts';
import { keyRoutes } from './keys.ts';
import { messageRoutes } from './messages.ts';
import type { AdminServices } from './services.ts';
import { type Served, tokenRoutes } from './tokens.ts';

/** Register with the prefix `/admin`. */
export async function adminApi(app: FastifyInstance, services: AdminServices): Promise<void> {
  addGate(app);
  app.setSchemaErrorFormatter((found) => new EngineError('BAD_REQUEST', fieldsOf(found)));
  app.removeContentTypeParser('application/json');
  app.addContentTypeParser(
    'application/json',
    { parseAs: 'buffer' },
    async (_request: FastifyRequest, body: Buffer) => parseJson(body, services.limits.jsonDepthMax),
  );
  app.addContentTypeParser(
    'application/octet-stream',
    { parseAs: 'buffer' },
    (_request, body, done) => done(null, body),
  );
  app.addHook('preValidation', async (request) => refuseUnknownNames(request));
  app.addHook('preHandler', async (request) => refuseUnknownChannel(services, request));
  const served: Served = new Map([['metrics', 'r']]);
  const open = createGate(services);
  const gate: Gate = (area, verb) => {
    served.set(area, `${served.get(area) ?? ''}${verb}`);
    return open(area, verb);
  };
  messageRoutes(app, services, gate);
  channelRoutes(app, services, gate);
  tokenRoutes(app, services, gate, served);
  auditRoutes(app, services, gate);
  bodyRoutes(app, services, gate);
  keyRoutes(app, services, gate);
}

/** A misspelt channel would answer that there is nothing. One that is gone has its messages. */
async function refuseUnknownChannel(
  { channels, record }: AdminServices,
  request: FastifyRequest,
): Promise<void> {
  const { channel } = request.query as { channel?: unknown };
  if (typeof channel !== 'string') return;
  const { tenant } = principalOf(request);
  const own = channels().filter((one) => one.channel.tenant === tenant);
  const names = new Set(own.map((one) => one.channel.name));
  if (names.has(channel)) return;
  for (const row of await record.store.intake.counts()) {
    if (row.tenant === tenant) names.add(row.channel);
  }
  if (names.has(channel)) return;
  throw new EngineError('BAD_REQUEST', `No such channel; there are: ${[...names].join(', ')}.`);
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

interface SchemaFault {
  instancePath: string;
  message?: string;
  params?: Record<string, unknown>;
}

/** Which field breaks which rule; fastify's own message does not quote values. */
function fieldsOf(found: readonly SchemaFault[]): string {
  const rules = found.map(({ instancePath, message = 'is wrong', params }) => {
    const values = params?.allowedValues;
    const allowed = Array.isArray(values) ? `: ${values.join(', ')}` : '';
    return `${instancePath || '/'} ${message}${allowed}`;
  });
  return `The request is wrong: ${rules.join('; ')}.`;
}
