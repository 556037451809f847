// /admin/messages: list, show, raw bytes, replay. Showing opens the message, which is audited;
// listing does not.
import type { FastifyInstance } from 'fastify';
import { EngineError } from '../../model/errors.ts';
import type { MessageState } from '../../model/message.ts';
import type { Principal } from '../../model/principal.ts';
import {
  inspectMessage,
  listMessages,
  type OpenedMessage,
  openMessage,
  replayMessage,
  type UnreadableMessage,
} from '../../record/message.ts';
import type { IntakeFilter } from '../../store/port.ts';
import { problemOf } from '../problem.ts';
import { type Gate, principalOf } from './gate.ts';
import type { AdminServices } from './services.ts';

const ID = { type: 'string', pattern: '^[0-9a-f-]{36}$' };
const NAME = { type: 'string', pattern: '^[a-z][a-z0-9-]{0,63}$' };
const STATE = { enum: ['received', 'processed', 'set-aside'] };
const TIME = { type: 'string', maxLength: 40 };

interface ListQuery {
  channel?: string;
  state?: MessageState;
  patient?: string;
  from?: string;
  to?: string;
  before?: number;
  limit: number;
}

export function messageRoutes(app: FastifyInstance, services: AdminServices, gate: Gate): void {
  const { record, limits } = services;
  const bodies = { bodyLimit: limits.adminBodyBytesMax };
  const limit = { type: 'integer', minimum: 1, maximum: limits.adminListMax, default: 50 };
  const filter = { channel: NAME, state: STATE, patient: ID, from: TIME, to: TIME };
  const paging = { before: { type: 'integer', minimum: 1 }, limit };
  const byId = { params: { type: 'object', required: ['id'], properties: { id: ID } } };

  app.get<{ Querystring: ListQuery }>(
    '/messages',
    { onRequest: gate('messages', 's'), schema: { querystring: closed({ ...filter, ...paging }) } },
    async (request) => {
      const principal = principalOf(request);
      const query = request.query;
      const messages = await listMessages(
        record,
        principal.tenant,
        filterOf(query),
        query.limit,
        query.before,
      );
      const last = messages.length === query.limit ? messages.at(-1) : undefined;
      return last === undefined ? { messages } : { messages, next: last.seq };
    },
  );
  app.get<{ Params: { id: string } }>(
    '/messages/:id',
    { onRequest: gate('messages', 'r'), schema: byId },
    async (request) => {
      const principal = principalOf(request);
      const message = await inspectMessage(record, principal, request.params.id);
      return 'fault' in message ? damagedView(message) : showMessage(services, message);
    },
  );
  app.get<{ Params: { id: string } }>(
    '/messages/:id/raw',
    { onRequest: gate('messages', 'r'), schema: byId },
    async (request, reply) => {
      const principal = principalOf(request);
      const { raw } = await openMessage(record, principal, request.params.id);
      return reply.type('application/octet-stream').send(Buffer.from(raw));
    },
  );
  app.post<{ Params: { id: string } }>(
    '/messages/:id/replay',
    { onRequest: gate('messages', 'u'), schema: byId, ...bodies },
    async (request, reply) => {
      const principal = principalOf(request);
      const correction = correctionOf(request.body);
      const wake = await replayMessage(record, principal, request.params.id, correction);
      services.wake(wake);
      return reply.code(202).send({ id: request.params.id, state: 'received' });
    },
  );
  app.post<{ Querystring: { state: MessageState; channel?: string; limit: number } }>(
    '/messages/replay',
    {
      onRequest: gate('messages', 'u'),
      schema: {
        querystring: closed({ state: STATE, channel: NAME, limit: replayLimit(limits) }, ['state']),
      },
    },
    async (request) => {
      const principal = principalOf(request);
      return replayAll(services, principal, request.query);
    },
  );
}

function replayLimit(limits: AdminServices['limits']): Record<string, unknown> {
  return { type: 'integer', minimum: 1, maximum: limits.replayMax, default: limits.replayMax };
}

function closed(properties: Record<string, unknown>, required: string[] = []): object {
  return { type: 'object', additionalProperties: false, properties, required };
}

function filterOf(query: ListQuery): IntakeFilter {
  const filter: IntakeFilter = {};
  if (query.channel !== undefined) filter.channel = query.channel;
  if (query.state !== undefined) filter.state = query.state;
  if (query.patient !== undefined) filter.compartment = query.patient;
  if (query.from !== undefined) filter.receivedFrom = instantOf('from', query.from);
  if (query.to !== undefined) filter.receivedTo = instantOf('to', query.to);
  return filter;
}

function instantOf(name: string, text: string): number {
  const time = Date.parse(text);
  if (Number.isFinite(time)) return time;
  throw new EngineError('BAD_REQUEST', `${name} must be an ISO 8601 time as 2026-01-31T08:00:00Z.`);
}

/** Everything but the bytes: state, issues, resources, and how each valued field fared. */
async function showMessage(
  services: AdminServices,
  message: OpenedMessage & { damaged?: EngineError },
): Promise<object> {
  const { row, envelope, outcome } = message;
  const explained = await services.explain(message);
  return {
    id: row.id,
    seq: row.seq,
    channel: row.channel,
    format: row.format,
    type: envelope.type,
    sender: envelope.sender,
    controlId: envelope.controlId,
    state: row.state,
    attempts: row.attempts,
    receivedAt: envelope.receivedAt,
    changedAt: new Date(row.changedAt).toISOString(),
    bytes: message.raw.length,
    patient: row.compartment,
    issues: outcome?.issues ?? [],
    resources: outcome?.resources ?? [],
    mapHash: outcome?.mapHash ?? '',
    ...(outcome?.repeats === undefined ? {} : { repeats: outcome.repeats }),
    ...(message.damaged === undefined ? {} : { fault: problemOf(message.damaged) }),
    /** By the maps as they are now; `mapHash` tells whether the message took the same ones. */
    explained:
      explained === null
        ? null
        : { mapHash: explained.mapHash, issues: explained.issues, accounts: explained.accounts },
  };
}

/** A message whose body does not open: what its row says, and why there is no more. */
function damagedView({ row, fault }: UnreadableMessage): object {
  const { id, seq, channel, format, state, attempts, compartment: patient } = row;
  return {
    ...{ id, seq, channel, format, state, attempts, patient },
    receivedAt: new Date(row.receivedAt).toISOString(),
    changedAt: new Date(row.changedAt).toISOString(),
    ...{ type: '', sender: '', controlId: '', bytes: 0, issues: [], resources: [], mapHash: '' },
    explained: null,
    fault: problemOf(fault),
  };
}

function correctionOf(body: unknown): { raw: Uint8Array } | undefined {
  if (body === undefined || body === null) return undefined;
  if (body instanceof Uint8Array) return body.length === 0 ? undefined : { raw: body };
  throw new EngineError(
    'UNSUPPORTED_MEDIA',
    'Send the corrected message as application/octet-stream.',
  );
}

interface ReplayAnswer {
  replayed: number;
  refused: { id: string; code: string }[];
}

const PAGE = 200;

/** Oldest last, as the list is; order per key is kept by the arrival sequence, not by this loop. */
async function replayAll(
  services: AdminServices,
  principal: Principal,
  query: { state: MessageState; channel?: string; limit: number },
): Promise<ReplayAnswer> {
  const filter: IntakeFilter = { state: query.state };
  if (query.channel !== undefined) filter.channel = query.channel;
  const answer: ReplayAnswer = { replayed: 0, refused: [] };
  let before: number | undefined;
  for (let left = query.limit; left > 0; ) {
    const count = Math.min(left, PAGE);
    const page = await listMessages(services.record, principal.tenant, filter, count, before);
    for (const message of page) await replayOne(services, principal, message.id, answer);
    left -= page.length;
    before = page.at(-1)?.seq;
    if (page.length < count) break;
  }
  return answer;
}

async function replayOne(
  services: AdminServices,
  principal: Principal,
  id: string,
  answer: ReplayAnswer,
): Promise<void> {
  try {
    services.wake(await replayMessage(services.record, principal, id));
    answer.replayed++;
  } catch (thrown) {
    if (!(thrown instanceof EngineError) || thrown.retry === 'later') throw thrown;
    answer.refused.push({ id, code: thrown.code });
  }
}
