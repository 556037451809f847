// /admin/messages: list, show, raw bytes, replay. Showing opens the message, which is audited;
// listing does not.
import type { FastifyInstance } from 'fastify';
import { EngineError } from '../../model/errors.ts';
import {
  inspectMessage,
  listMessages,
  type OpenedMessage,
  openMessage,
  type UnreadableMessage,
} from '../../record/message.ts';
import { HISTORY_MAX, openHistory } from '../../record/message-history.ts';
import { problemOf } from '../problem.ts';
import { type Gate, principalOf } from './gate.ts';
import { closed, filterOf, ID, type ListQuery, NAME, STATE, TIME } from './message-query.ts';
import { replayRoutes } from './replay.ts';
import type { AdminServices } from './services.ts';

export function messageRoutes(app: FastifyInstance, services: AdminServices, gate: Gate): void {
  const { record, limits } = services;
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
  const revision = { revision: { type: 'integer', minimum: 1, maximum: HISTORY_MAX + 1 } };
  app.get<{ Params: { id: string }; Querystring: { revision?: number } }>(
    '/messages/:id/raw',
    { onRequest: gate('messages', 'r'), schema: { ...byId, querystring: closed(revision) } },
    async (request, reply) => {
      const principal = principalOf(request);
      const message = await openMessage(record, principal, request.params.id);
      const raw = await revisionOf(services, message, request.query.revision);
      return reply.type('application/octet-stream').send(Buffer.from(raw));
    },
  );
  replayRoutes(app, services, gate);
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
    history: await showHistory(services, message),
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

/** What it was before each replay, oldest first; `revision` counts the bytes from 1 = received. */
async function showHistory(
  { record }: AdminServices,
  { row, history }: OpenedMessage,
): Promise<object[]> {
  let revision = 1;
  const opened = await openHistory(record, row, history);
  return history.map(({ at, who, reason, corrected }, index) => {
    const told = { revision, at, who, reason, corrected };
    if (corrected) revision += 1;
    const life = opened[index] ?? null;
    if (life === null) return { ...told, forgotten: true };
    const { state, attempts, since, outcome } = life;
    return { ...told, state, attempts, since, issues: outcome?.issues ?? [] };
  });
}

/** Bytes of a revision, 1 = as received; the last one where none is named. */
async function revisionOf(
  { record }: AdminServices,
  { row, raw, history }: OpenedMessage,
  revision?: number,
): Promise<Uint8Array> {
  const corrected = history.filter((life) => life.corrected);
  if (revision === undefined || revision === corrected.length + 1) return raw;
  const life = corrected[revision - 1];
  if (life === undefined) {
    throw new EngineError('NOT_FOUND', `Message ${row.id} has no revision ${revision}.`);
  }
  const [opened] = await openHistory(record, row, [life]);
  if (opened?.raw) return opened.raw;
  throw new EngineError('KEY_DESTROYED');
}
