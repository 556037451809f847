// The FHIR R4 endpoint: its routes, its body parsers, and its errors as OperationOutcomes. Handlers
// are in read.ts, search.ts and write.ts; storage is record/.
import type {
  FastifyError,
  FastifyInstance,
  FastifyReply,
  FastifyRequest,
  HTTPMethods,
} from 'fastify';
import type { Interaction, RouteAccess } from '../../access/route.ts';
import { capabilityStatement } from '../../fhir/capability.ts';
import { parseJson } from '../../fhir/json.ts';
import { EngineError, ERRORS } from '../../model/errors.ts';
import { countUnknownCaller } from '../../record/denials.ts';
import { placesOf } from '../../telemetry/fields.ts';
import { isUnknownCaller } from '../authenticate.ts';
import { FHIR_JSON, sendFault, sendIssues } from '../problem.ts';
import { OPEN } from '../route-access.ts';
import { engineErrorOf } from '../server.ts';
import { allow, type FhirApiOptions, type FhirContext } from './context.ts';
import { baseUrlOf, checkFormat, urlParameters } from './negotiate.ts';
import { handleHistory, handleRead } from './read.ts';
import { handleSearch } from './search.ts';
import { handleCreate, handleUpdate } from './write.ts';

export type { FhirApiOptions, FhirLimits } from './context.ts';

/** Fastify plugin; register it with the prefix `/fhir/R4`. All but /metadata needs a token. */
export async function fhirApi(app: FastifyInstance, options: FhirApiOptions): Promise<void> {
  const context: FhirContext = {
    ...{ ...options, prefix: app.prefix },
    ...{ principals: new WeakMap(), admissions: new WeakMap() },
  };
  addBodyParsers(app, context);
  addFaults(app, context);
  addMetadata(app, context);
  await app.register(async (guarded) => {
    // Before the body is read: who has no token shall not make us parse.
    guarded.addHook('onRequest', async (request) => {
      context.principals.set(request, await options.authenticate(request));
    });
    addRoutes(guarded, context);
    addRefusals(guarded);
  });
}

type Handler = (
  context: FhirContext,
  request: FastifyRequest,
  reply: FastifyReply,
) => Promise<FastifyReply>;

function addRoutes(app: FastifyInstance, context: FhirContext): void {
  const serve = (
    method: 'GET' | 'POST' | 'PUT',
    url: string,
    interaction: Interaction,
    handle: Handler,
  ) => {
    const handler = (request: FastifyRequest, reply: FastifyReply) =>
      handle(context, request, reply);
    app.route({ method, url, handler, onRequest: allow(context, interaction) });
  };
  serve('GET', '/:type/:id', 'read', handleRead);
  serve('GET', '/:type/:id/_history/:version', 'vread', handleRead);
  serve('GET', '/:type/:id/_history', 'history-instance', handleHistory);
  serve('GET', '/:type/_history', 'history-type', handleHistory);
  serve('GET', '/:type', 'search-type', handleSearch);
  serve('POST', '/:type/_search', 'search-type', handleSearch);
  serve('POST', '/:type', 'create', handleCreate);
  serve('PUT', '/:type/:id', 'update', handleUpdate);
}

/** What FHIR knows and Artery does not serve is refused in so many words. */
function addRefusals(app: FastifyInstance): void {
  const notServed = (what: string) => async (_request: FastifyRequest, reply: FastifyReply) => {
    const text = `${what} are not served here.`;
    return sendIssues(reply, 422, [{ severity: 'error', code: 'not-supported', at: '', text }]);
  };
  app.post('/', ANY_TOKEN, notServed('Transactions and batches'));
  app.get('/', ANY_TOKEN, notServed('Searches over all types'));
  app.get('/_history', ANY_TOKEN, notServed('Histories over all types'));
  app.post('/_search', ANY_TOKEN, notServed('Searches over all types'));
  refuseMethods(app, '/:type', ['PUT', 'PATCH', 'DELETE'], 'GET, HEAD, POST');
  refuseMethods(app, '/:type/:id', ['POST', 'PATCH', 'DELETE'], 'GET, HEAD, PUT');
  refuseMethods(app, '/:type/_search', ['GET', 'PUT', 'PATCH', 'DELETE'], 'POST');
  refuseMethods(app, '/:type/:id/_history', ['POST', 'PUT', 'PATCH', 'DELETE'], 'GET, HEAD');
  const version = '/:type/:id/_history/:version';
  refuseMethods(app, version, ['POST', 'PUT', 'PATCH', 'DELETE'], 'GET, HEAD');
}

/** The guard of all routes has found a valid token; nothing but the refusal is answered. */
const ANY_TOKEN: { config: { access: RouteAccess } } = { config: { access: { kind: 'token' } } };

/** Refused before the body is read, whatever its content type. */
function refuseMethods(
  app: FastifyInstance,
  url: string,
  method: HTTPMethods[],
  allow: string,
): void {
  const refuse = async (_request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    reply.header('Allow', allow);
    throw new EngineError('METHOD_NOT_ALLOWED', `Served here: ${allow}.`);
  };
  app.route({ method, url, ...ANY_TOKEN, onRequest: refuse, handler: refuse });
}

function addMetadata(app: FastifyInstance, context: FhirContext): void {
  app.get('/metadata', OPEN, async (request, reply) => {
    context.rate?.called(request.ip);
    checkFormat(request.headers.accept, urlParameters(request).get('_format'));
    const baseUrl = baseUrlOf(request, context.baseUrl ?? '', context.prefix);
    const version = context.version ?? '0';
    const statement = capabilityStatement({ baseUrl, version, date: CAPABILITY_DATE });
    return reply.type(FHIR_JSON).send(JSON.stringify(statement));
  });
}

/** When what is served last changed. */
const CAPABILITY_DATE = '2026-11-22';

function addBodyParsers(app: FastifyInstance, { limits }: FhirContext): void {
  const bodyLimit = limits.fhirBodyBytesMax;
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(
    ['application/fhir+json', 'application/json', 'application/json+fhir'],
    { parseAs: 'buffer', bodyLimit },
    async (_request: FastifyRequest, body: Buffer) => parseJson(body, limits.jsonDepthMax),
  );
  app.addContentTypeParser(
    'application/x-www-form-urlencoded',
    { parseAs: 'string', bodyLimit: Math.min(bodyLimit, FORM_BYTES_MAX) },
    async (request: FastifyRequest, body: string) => {
      if (request.routeOptions.url?.endsWith('/_search')) return new URLSearchParams(body);
      throw new EngineError('UNSUPPORTED_MEDIA', 'Send application/fhir+json.');
    },
  );
}

const FORM_BYTES_MAX = 65_536;

function addFaults(app: FastifyInstance, { telemetry, record }: FhirContext): void {
  app.setErrorHandler((error: FastifyError, request, reply) => {
    const fault = engineErrorOf(error);
    if (isUnknownCaller(fault)) {
      telemetry.emit('access.denied', {
        code: fault.code,
        status: ERRORS[fault.code].http,
        request: request.id,
      });
      countUnknownCaller(record, request.ip, `${fault.code} fhir`);
    }
    if (fault.code === 'INTERNAL') {
      const places = placesOf(fault.cause);
      telemetry.emit('request.failed', { code: 'INTERNAL', places, request: request.id });
    }
    return sendFault(reply, fault);
  });
  app.setNotFoundHandler((_request, reply) =>
    sendFault(reply, new EngineError('NOT_FOUND', 'No such address.')),
  );
}
