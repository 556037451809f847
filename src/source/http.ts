// The HTTP source: POST /channels/<name> takes one message and answers after its durable write.
// Who may post is decided by the `admit` that is passed in; what to answer by flow/receive.ts.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Channel } from '../model/channel.ts';
import { EngineError } from '../model/errors.ts';
import type { Principal } from '../model/principal.ts';
import { tableOf } from '../model/table.ts';
import type { Receive } from './port.ts';

export interface HttpSourceOptions {
  receive: Receive;
  /** The enabled channels of kind http, as they are now. */
  channel(name: string): Channel | undefined;
  /** Throws UNAUTHENTICATED, FORBIDDEN (after writing the denial to the audit log). */
  admit(request: FastifyRequest, channel: Channel): Promise<Principal>;
  /** State of a message of this channel, undefined = no such message there. */
  state(principal: Principal, channel: Channel, id: string): Promise<object | undefined>;
  /** Upper limit over all channels; each channel has its own `bodyBytesMax` below it. */
  bodyBytesMax: number;
  now(): number;
}

const ACCEPTED: Record<Channel['format'], RegExp> = tableOf({
  hl7v2: /^(application\/hl7-v2|x-application\/hl7-v2\+er7|text\/plain)$/,
  fhir: /^(application\/fhir\+json|application\/json)$/,
  json: /^application\/json$/,
});

/** A caller that may post to the channel. */
interface Admission {
  channel: Channel;
  principal: Principal;
}

/** What both routes ask for: `channel/<name>.write`. */
const CHANNEL = { kind: 'channel' } as const;

/** Registers the routes. The server closes them; there is nothing of its own to close. */
export async function httpSource(app: FastifyInstance, options: HttpSourceOptions): Promise<void> {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));

  const admissions = new WeakMap<FastifyRequest, Admission>();
  // Before the body is read: nobody unknown makes the server take 16 MiB in.
  const admit = async (request: FastifyRequest) => {
    const channel = named(options, (request.params as { name: string }).name);
    admissions.set(request, { channel, principal: await options.admit(request, channel) });
  };
  const admissionOf = (request: FastifyRequest): Admission => {
    const admission = admissions.get(request);
    if (admission === undefined) throw new EngineError('INTERNAL', 'The route has no guard.');
    return admission;
  };
  app.post<{ Params: { name: string } }>(
    '/channels/:name',
    { bodyLimit: options.bodyBytesMax, onRequest: admit, config: { access: CHANNEL } },
    async (request, reply) => post(request, reply, options, admissionOf(request)),
  );
  app.get<{ Params: { name: string; id: string } }>(
    '/channels/:name/messages/:id',
    { onRequest: admit, config: { access: CHANNEL } },
    async (request) => {
      const { channel, principal } = admissionOf(request);
      const state = await options.state(principal, channel, request.params.id);
      if (state === undefined) throw new EngineError('NOT_FOUND', 'No such message here.');
      return state;
    },
  );
}

async function post(
  request: FastifyRequest<{ Params: { name: string } }>,
  reply: FastifyReply,
  options: HttpSourceOptions,
  { channel, principal }: Admission,
): Promise<FastifyReply> {
  const contentType = (request.headers['content-type'] ?? '').split(';')[0]?.trim().toLowerCase();
  if (!contentType || !ACCEPTED[channel.format].test(contentType)) {
    throw new EngineError(
      'UNSUPPORTED_MEDIA',
      `Channel ${channel.name} takes ${channel.format}: send ${ACCEPTED[channel.format].source}.`,
    );
  }
  const bytes = body(request, channel);
  const idempotencyKey = request.headers['idempotency-key'];
  const answer = await options.receive({
    channel: channel.name,
    bytes,
    at: options.now(),
    peer: request.ip,
    contentType,
    principal: principal.id,
    ...(typeof idempotencyKey === 'string' ? { idempotencyKey } : {}),
  });
  return reply
    .code(answer.status ?? 202)
    .headers(answer.headers ?? {})
    .type(answer.contentType ?? 'application/json')
    .send(Buffer.concat(answer.frames ?? []));
}

function body(request: FastifyRequest, channel: Channel): Uint8Array {
  const bytes = request.body;
  if (!(bytes instanceof Uint8Array) || bytes.length === 0) {
    throw new EngineError('BAD_REQUEST', 'The request has no body.');
  }
  if (channel.source.kind === 'http' && bytes.length > channel.source.bodyBytesMax) {
    throw new EngineError(
      'TOO_LARGE',
      `Channel ${channel.name} takes at most ${channel.source.bodyBytesMax} bytes.`,
    );
  }
  return bytes;
}

function named(options: HttpSourceOptions, name: string): Channel {
  const channel = options.channel(name);
  if (channel === undefined) {
    throw new EngineError('NOT_FOUND', 'No enabled HTTP channel has that name.');
  }
  return channel;
}
