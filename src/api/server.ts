// The HTTP server that every surface hangs on: limits, error answers, request metrics and the
// health pages. The surfaces themselves are plugins; app.ts registers them.
import Fastify, {
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
} from 'fastify';
import { EngineError, type ErrorCode, toEngineError } from '../model/errors.ts';
import { tableOf } from '../model/table.ts';
import type { Telemetry } from '../telemetry/events.ts';
import { placesOf } from '../telemetry/fields.ts';
import { setAnswerHeaders } from './answer-headers.ts';
import type { CallerRate } from './caller-rate.ts';
import { HttpConnections } from './http-connections.ts';
import { answerFault } from './problem.ts';
import { answerOddRequests, answerOnSocket, faultOfParser, watchAnswers } from './raw-answers.ts';
import { requestIdOf } from './request-id.ts';
import { guardOf, methodsServed, OPEN, type RouteRow, requireAccess } from './route-access.ts';

export interface ServerOptions {
  telemetry: Telemetry;
  limits: {
    bodyBytesMax: number;
    requestTimeoutMs: number;
    httpConnectionsMax: number;
    urlBytesMax: number;
    httpPeerConnectionsMax: number;
    headersTimeoutMs: number;
  };
  rate: CallerRate;
  /** What `/readyz` tells; each check is true, false or why not, and does no work of its own. */
  ready(): { ready: boolean; checks: Record<string, boolean | string>; warnings: string[] };
  /** Throws unless the caller may read `/metrics`. */
  admitMetrics(request: FastifyRequest): Promise<void>;
  version: string;
}

declare module 'fastify' {
  interface FastifyInstance {
    /** Every route with what it asks of its caller. */
    routeTable: readonly RouteRow[];
  }
}

/** Makes the server; it does not listen yet. Routes that declare no access are refused. */
export function createServer(options: ServerOptions): FastifyInstance {
  const { limits } = options;
  const app: FastifyInstance = Fastify({
    logger: false,
    genReqId: requestIdOf,
    bodyLimit: limits.bodyBytesMax,
    requestTimeout: limits.requestTimeoutMs,
    connectionTimeout: limits.requestTimeoutMs,
    keepAliveTimeout: 72_000,
    forceCloseConnections: 'idle',
    // The hooks of the surfaces tell that it is closing, in the form of all errors.
    return503OnClosing: false,
    routerOptions: { maxParamLength: 256 },
    http: {
      maxHeaderSize: limits.urlBytesMax + HEADERS_BYTES_MAX,
      headersTimeout: Math.min(limits.headersTimeoutMs, limits.requestTimeoutMs),
      connectionsCheckingInterval: TIMEOUTS_LOOKED_AT_MS,
      // Asked for by a hook: Node would answer without a body.
      requireHostHeader: false,
    },
    frameworkErrors: (error, request, reply) => {
      setAnswerHeaders(request, reply);
      return answerFault(request, reply, engineErrorOf(error));
    },
    clientErrorHandler: (error, socket) => {
      const { fault, url } = faultOfParser(error, limits.urlBytesMax);
      answerOnSocket(socket, fault, url, isAnswering(socket));
    },
  });
  const isAnswering = watchAnswers(app.server);
  answerOddRequests(app.server);
  new HttpConnections(limits).attach(app.server);
  app.decorate('routeTable', requireAccess(app));
  app.addHook('onRequest', async (request, reply) => {
    setAnswerHeaders(request, reply);
    checkRequest(request, limits.urlBytesMax);
  });
  app.setErrorHandler((error: FastifyError, request, reply) => {
    const fault = engineErrorOf(error);
    if (fault.code === 'INTERNAL') reportFault(error, request.id, options.telemetry);
    return answerFault(request, reply, fault);
  });
  app.setNotFoundHandler((request, reply) => {
    options.rate.called(request.ip);
    const served = methodsServed(app.routeTable, request.url);
    if (served.length === 0) {
      return answerFault(request, reply, new EngineError('NOT_FOUND', 'No such address.'));
    }
    const allow = served.join(', ');
    const fault = new EngineError('METHOD_NOT_ALLOWED', `Served here: ${allow}.`);
    return answerFault(request, reply.header('Allow', allow), fault);
  });
  measureRequests(app, options);
  healthPages(app, options);
  return app;
}

/** How often Node looks for requests that did not arrive in time. */
const TIMEOUTS_LOOKED_AT_MS = 1_000;

/** All headers together, beside the address. */
const HEADERS_BYTES_MAX = 16_384;

function checkRequest({ raw }: FastifyRequest, urlBytesMax: number): void {
  if ((raw.url ?? '').length > urlBytesMax) throw new EngineError('URI_TOO_LONG');
  if (raw.httpVersion === '1.1' && raw.headers.host === undefined) {
    throw new EngineError('BAD_REQUEST', 'HTTP/1.1 asks for a Host header.');
  }
}

/** What Fastify itself refuses, in the words of the one table of errors. */
export function engineErrorOf(error: FastifyError | Error): EngineError {
  if (error instanceof EngineError) return error;
  const status = 'statusCode' in error ? error.statusCode : undefined;
  if (status === undefined) return toEngineError(error);
  const code = FASTIFY_CODES[status] ?? (isOfClient(status) ? 'BAD_REQUEST' : undefined);
  if (code === undefined) return toEngineError(error);
  return new EngineError(code, undefined, { cause: error });
}

function isOfClient(status: number): boolean {
  return status >= 400 && status < 500;
}

const FASTIFY_CODES: Record<number, ErrorCode> = tableOf({
  400: 'BAD_REQUEST',
  404: 'NOT_FOUND',
  405: 'METHOD_NOT_ALLOWED',
  413: 'TOO_LARGE',
  414: 'URI_TOO_LONG',
  408: 'REQUEST_TIMEOUT',
  415: 'UNSUPPORTED_MEDIA',
  503: 'CLOSING',
});

function reportFault(error: Error, request: string, telemetry: Telemetry): void {
  const places = placesOf(error.cause ?? error);
  telemetry.emit('request.failed', { code: 'INTERNAL', places, request });
}

function measureRequests(app: FastifyInstance, { telemetry }: ServerOptions): void {
  app.addHook('onResponse', async (request, reply) => {
    const route = request.routeOptions.url ?? 'none';
    const { method } = request;
    telemetry.metrics.observeRequest(route, method, reply.statusCode, reply.elapsedTime);
  });
}

/** Who is told to come back later is told when. */
const RETRY_AFTER_S = '5';

function answerReady(reply: FastifyReply, ready: boolean): FastifyReply {
  return ready ? reply.code(200) : reply.code(503).header('Retry-After', RETRY_AFTER_S);
}

/** Open to all, and tell nothing but up, ready and the version. */
function healthPages(app: FastifyInstance, options: ServerOptions): void {
  app.get('/livez', OPEN, async () => ({ live: true }));
  app.get('/readyz', OPEN, async (_request, reply) => {
    const { ready, checks } = options.ready();
    return answerReady(reply, ready).send({ ready, checks });
  });
  app.get('/health', OPEN, async (_request, reply) => {
    const { ready, checks, warnings } = options.ready();
    const told = warnings.length === 0 ? {} : { warnings };
    return answerReady(reply, ready).send({
      status: ready ? 'ok' : 'unavailable',
      version: options.version,
      checks,
      ...told,
    });
  });
  const scope = { kind: 'admin', area: 'metrics', verb: 'r' } as const;
  const onRequest = guardOf(scope, (request) => options.admitMetrics(request));
  app.get('/metrics', { onRequest }, async (_request, reply) => {
    const { metrics } = options.telemetry;
    return reply.type(metrics.contentType).send(await metrics.text());
  });
}
