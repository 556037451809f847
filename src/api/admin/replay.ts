// /admin/messages/:id/replay and /admin/messages/replay: another try, of one message or of many.
import type { FastifyInstance } from 'fastify';
import { EngineError } from '../../model/errors.ts';
import type { Principal } from '../../model/principal.ts';
import { listMessages, type MessageHead } from '../../record/message.ts';
import { REASON_CHARS_MAX } from '../../record/message-history.ts';
import { newerProcessed, type ReplayOptions, replayMessage } from '../../record/replay.ts';
import { type Gate, principalOf } from './gate.ts';
import { closed, filterOf, ID, NAME, TIME } from './message-query.ts';
import type { AdminServices } from './services.ts';

interface ReplayBody {
  /** base64. */
  correction?: string;
  reason?: string;
  force?: boolean;
}

interface BulkQuery {
  state: 'processed' | 'set-aside';
  channel?: string;
  patient?: string;
  from?: string;
  to?: string;
  limit: number;
  dryRun: boolean;
  force: boolean;
}

export function replayRoutes(app: FastifyInstance, services: AdminServices, gate: Gate): void {
  const { record, limits } = services;
  const flag = { type: 'boolean', default: false };
  const body = {
    type: ['object', 'null'],
    additionalProperties: false,
    properties: {
      correction: { type: 'string', minLength: 4, pattern: '^[A-Za-z0-9+/]+={0,2}$' },
      reason: { type: 'string', maxLength: REASON_CHARS_MAX },
      force: flag,
    },
  };
  app.post<{ Params: { id: string }; Body: ReplayBody | null }>(
    '/messages/:id/replay',
    {
      onRequest: gate('messages', 'u'),
      schema: { params: { type: 'object', required: ['id'], properties: { id: ID } }, body },
      bodyLimit: limits.adminBodyBytesMax,
    },
    async (request, reply) => {
      const { id } = request.params;
      const options = optionsOf(request.body ?? {});
      services.wake(await replayMessage(record, principalOf(request), id, options));
      return reply.code(202).send({ id, state: 'received' });
    },
  );
  const limit = { type: 'integer', minimum: 1, maximum: limits.replayMax };
  const filter = { channel: NAME, patient: ID, from: TIME, to: TIME };
  const state = { enum: ['processed', 'set-aside'], default: 'set-aside' };
  const more = { state, limit: { ...limit, default: limits.replayMax }, dryRun: flag, force: flag };
  app.post<{ Querystring: BulkQuery }>(
    '/messages/replay',
    { onRequest: gate('messages', 'u'), schema: { querystring: closed({ ...filter, ...more }) } },
    async (request) => replayAll(services, principalOf(request), request.query),
  );
}

function optionsOf({ correction, reason = '', force = false }: ReplayBody): ReplayOptions {
  if (correction === undefined) return { reason, force };
  if (reason.trim() === '') {
    throw new EngineError('BAD_REQUEST', 'A correction needs a reason.');
  }
  return { reason, force, correction: { raw: Buffer.from(correction, 'base64') } };
}

interface ReplayAnswer {
  dryRun: boolean;
  /** Messages that match the filter; `more` = there are further ones beyond the limit. */
  matched: number;
  more: boolean;
  /** In a dry run: that would be. */
  replayed: number;
  /** PRECONDITION_FAILED: a newer message of the same patient was processed already. */
  refused: { id: string; code: string }[];
}

const PAGE = 200;

/** Oldest first, so that messages of one patient come in the order of their arrival. */
async function replayAll(
  services: AdminServices,
  principal: Principal,
  query: BulkQuery,
): Promise<ReplayAnswer> {
  const { dryRun, force } = query;
  const { found, more } = await findMessages(services, principal, query);
  const followedBy = new Set(found.map(({ id }) => id));
  const answer: ReplayAnswer = { dryRun, matched: found.length, more, replayed: 0, refused: [] };
  const options = { force, followedBy };
  for (const { id } of found) {
    const code = dryRun
      ? await foresee(services, principal, id, options)
      : await replayOne(services, principal, id, options);
    if (code === undefined) answer.replayed += 1;
    else answer.refused.push({ id, code });
  }
  return answer;
}

async function findMessages(
  { record }: AdminServices,
  { tenant }: Principal,
  query: BulkQuery,
): Promise<{ found: MessageHead[]; more: boolean }> {
  const filter = filterOf(query);
  const found: MessageHead[] = [];
  for (;;) {
    const count = Math.min(query.limit + 1 - found.length, PAGE);
    const before = found.at(-1)?.seq;
    const page = await listMessages(record, tenant, filter, count, before);
    found.push(...page);
    if (page.length < count || found.length > query.limit) break;
  }
  const more = found.length > query.limit;
  return { found: found.slice(0, query.limit).reverse(), more };
}

/** What a replay would be refused for; undefined = it would not. */
async function foresee(
  { record }: AdminServices,
  { tenant }: Principal,
  id: string,
  { force, followedBy }: ReplayOptions,
): Promise<string | undefined> {
  const row = await record.store.intake.get(tenant, id);
  if (row === undefined) return 'NOT_FOUND';
  if (row.state === 'received') return 'VERSION_CONFLICT';
  const newer = force ? undefined : await newerProcessed(record, tenant, row, followedBy);
  return newer === undefined ? undefined : 'PRECONDITION_FAILED';
}

async function replayOne(
  services: AdminServices,
  principal: Principal,
  id: string,
  options: ReplayOptions,
): Promise<string | undefined> {
  try {
    services.wake(await replayMessage(services.record, principal, id, options));
    return undefined;
  } catch (thrown) {
    const known = thrown instanceof EngineError;
    if (!known || (thrown.retry === 'later' && thrown.code !== 'VERSION_CONFLICT')) throw thrown;
    return thrown.code;
  }
}
