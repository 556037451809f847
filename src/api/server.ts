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
import { problemOf, sendProblem } from './problem.ts';
import { guardOf, OPEN, type RouteRow, requireAccess } from './route-access.ts';

export interface ServerOptions {
  telemetry: Telemetry;
  limits: {
    bodyBytesMax: number;
    requestTimeoutMs: number;
    httpConnectionsMax: number;
    urlBytesMax: number;
  };
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
  const app = Fastify({
    logger: false,
    bodyLimit: limits.bodyBytesMax,
    requestTimeout: limits.requestTimeoutMs,
    connectionTimeout: limits.requestTimeoutMs,
    keepAliveTimeout: 72_000,
    forceCloseConnections: 'idle',
    return503OnClosing: true,
    routerOptions: { maxParamLength: 256 },
    http: { maxHeaderSize: Math.max(limits.urlBytesMax, 16_384) },
  });
  app.server.maxConnections = limits.httpConnectionsMax;
  app.decorate('routeTable', requireAccess(app));
  app.setErrorHandler((error: FastifyError, request, reply) => {
    const fault = engineErrorOf(error);
    if (fault.code === 'INTERNAL') reportFault(error, options.telemetry);
    return sendProblem(reply, problemOf(fault), request);
  });
  app.setNotFoundHandler((request, reply) =>
    sendProblem(reply, problemOf(new EngineError('NOT_FOUND', 'No such address.')), request),
  );
  measureRequests(app, options);
  healthPages(app, options);
  return app;
}

/** What Fastify itself refuses, in the words of the one table of errors. */
export function engineErrorOf(error: FastifyError | Error): EngineError {
  if (error instanceof EngineError) return error;
  const status = 'statusCode' in error ? error.statusCode : undefined;
  const code = status === undefined ? undefined : FASTIFY_CODES[status];
  if (code === undefined) return toEngineError(error);
  return new EngineError(code, undefined, { cause: error });
}

const FASTIFY_CODES: Record<number, ErrorCode> = tableOf({
  400: 'BAD_REQUEST',
  404: 'NOT_FOUND',
  405: 'METHOD_NOT_ALLOWED',
  413: 'TOO_LARGE',
  414: 'BAD_REQUEST',
  415: 'UNSUPPORTED_MEDIA',
  503: 'CLOSING',
});

function reportFault(error: Error, telemetry: Telemetry): void {
  telemetry.emit('request.failed', { code: 'INTERNAL', places: placesOf(error.cause ?? error) });
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
