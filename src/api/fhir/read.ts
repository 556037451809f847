// The interactions read, vread and history (R4 http.html#read, #vread, #history).
import type { FastifyReply, FastifyRequest } from 'fastify';
import { historyBundle, type Page } from '../../fhir/bundle.ts';
import { outcomeOfIssues } from '../../fhir/outcome.ts';
import { spanOf } from '../../fhir/time.ts';
import { EngineError } from '../../model/errors.ts';
import type { Issue } from '../../model/issue.ts';
import type { DamagedRecord } from '../../record/damage.ts';
import { type HistoryPage, readHistory, readResource } from '../../record/read.ts';
import { FHIR_JSON } from '../problem.ts';
import { admittedOf, checkId, type FhirContext } from './context.ts';
import { checkFormat, etagOf, isUnmodified, urlParameters } from './negotiate.ts';

interface ReadParams {
  type: string;
  id: string;
  version?: string;
}

/** `GET /Patient/1`, `GET /Patient/1/_history/2`. */
export async function handleRead(
  context: FhirContext,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const { type, id, version } = request.params as ReadParams;
  checkFormat(request.headers.accept, formatOf(request));
  const { principal, bound } = admittedOf(context, request);
  const options = version === undefined ? bound : { ...bound, version: readVersion(version) };
  const ref = { type, id: checkId(id) };
  const { resource, head } = await readResource(context.record, principal, ref, options);
  const etag = etagOf(head.version);
  reply.header('ETag', etag).header('Last-Modified', new Date(head.lastUpdated).toUTCString());
  if (isUnmodified(request, etag, head.lastUpdated)) return reply.code(304).send();
  return reply.type(FHIR_JSON).send(JSON.stringify(resource));
}

function formatOf(request: FastifyRequest): string | null {
  return request.url.includes('?') ? urlParameters(request).get('_format') : null;
}

function readVersion(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new EngineError('NOT_FOUND', 'No such version is stored.');
}

/** `GET /Patient/1/_history`, `GET /Patient/_history`; `_count`, `_since` and paging. */
export async function handleHistory(
  context: FhirContext,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const { type, id } = request.params as Partial<ReadParams> & { type: string };
  const parameters = urlParameters(request);
  checkFormat(request.headers.accept, parameters.get('_format'));
  const { principal, bound, baseUrl } = admittedOf(context, request);
  const asked = readHistoryParameters(context, parameters);
  const of = id === undefined ? { type } : { type, id: checkId(id) };
  const page = await readHistory(context.record, principal, of, { ...bound, ...asked.read });
  const entries = page.entries.filter(({ head }) => head.lastUpdated >= asked.since);
  const isCut = entries.length < page.entries.length;
  const versions = entries.map(({ ref, head, resource, damaged }) => ({
    ...{ type: ref.type, id: ref.id, version: head.version, lastUpdated: head.lastUpdated },
    ...{ deleted: head.deleted, resource },
    ...(damaged === undefined ? {} : { damaged: outcomeOfIssues([damageIssue(damaged)]) }),
  }));
  const place = id === undefined ? type : `${type}/${id}`;
  const links: Page = { url: `${baseUrl}/${place}/_history`, parameters: asked.kept };
  if (asked.cursor !== null) links.cursor = asked.cursor;
  if (page.next !== undefined && !isCut) links.next = cursorOf(page.next);
  return reply.type(FHIR_JSON).send(JSON.stringify(historyBundle(baseUrl, versions, links)));
}

/** What a page says of a record that it leaves out. */
export function damageIssue({ message }: DamagedRecord): Issue {
  return { severity: 'error', code: 'exception', at: '', text: message };
}

interface HistoryAsked {
  read: { limit: number; before?: NonNullable<HistoryPage['next']> };
  /** ms; versions before it are left out. */
  since: number;
  cursor: string | null;
  kept: [string, string][];
}

function readHistoryParameters(context: FhirContext, parameters: URLSearchParams): HistoryAsked {
  const { searchCountDefault, searchCountMax } = context.limits;
  const count = parameters.get('_count');
  if (count !== null && !/^[1-9]\d{0,8}$/.test(count)) {
    throw new EngineError('BAD_REQUEST', '_count is a whole number, 1 or more.');
  }
  for (const name of parameters.keys()) {
    if (!['_count', '_since', '_cursor', '_format', '_pretty'].includes(name)) {
      throw new EngineError('BAD_REQUEST', 'A history takes _count and _since only.');
    }
  }
  const limit = Math.min(count === null ? searchCountDefault : Number(count), searchCountMax);
  const cursor = parameters.get('_cursor');
  const before = cursor === null ? undefined : readCursor(cursor);
  return {
    read: before === undefined ? { limit } : { limit, before },
    since: readSince(parameters.get('_since')),
    cursor,
    kept: [...parameters].filter(([name]) => name !== '_cursor'),
  };
}

function readSince(text: string | null): number {
  if (text === null) return Number.NEGATIVE_INFINITY;
  const span = spanOf(text.replace(' ', '+'));
  if (span === null) throw new EngineError('BAD_REQUEST', '_since is a date and time.');
  return span.low;
}

function cursorOf({ lastUpdated, version, id }: NonNullable<HistoryPage['next']>): string {
  return `${lastUpdated}_${version}_${id}`;
}

function readCursor(text: string): NonNullable<HistoryPage['next']> {
  const m = /^(\d{1,16})_(\d{1,9})_([A-Za-z0-9.-]{1,64})$/.exec(text);
  if (!m) throw new EngineError('BAD_REQUEST', 'That is no cursor of a history.');
  return { lastUpdated: Number(m[1]), version: Number(m[2]), id: m[3] ?? '' };
}
