// /admin/audit: entries as FHIR AuditEvents, and the verification of the chain.
import type { FastifyInstance } from 'fastify';
import { type Anchor, readAuditEvents, verifyAudit } from '../../record/audit.ts';
import { type Gate, principalOf } from './gate.ts';
import type { AdminServices } from './services.ts';

const ANCHORS_MAX = 100_000;
const TEXT = { type: 'string', maxLength: 4_000 };
const ANCHOR = {
  type: 'object',
  required: ['tenant', 'seq', 'hash', 'at', 'signature', 'keyId', 'publicKey'],
  properties: {
    ...{ tenant: TEXT, hash: TEXT, signature: TEXT, keyId: TEXT, publicKey: TEXT },
    seq: { type: 'integer', minimum: 0 },
    at: { type: 'integer' },
  },
};

export function auditRoutes(app: FastifyInstance, services: AdminServices, gate: Gate): void {
  const { record, limits } = services;
  const page = {
    from: { type: 'integer', minimum: 1, default: 1 },
    limit: { type: 'integer', minimum: 1, maximum: limits.adminListMax, default: 50 },
  };
  app.get<{ Querystring: { from: number; limit: number } }>(
    '/audit',
    {
      onRequest: gate('audit', 's'),
      schema: { querystring: { type: 'object', additionalProperties: false, properties: page } },
    },
    async (request) => {
      const principal = principalOf(request);
      const { from, limit } = request.query;
      const entries = await readAuditEvents(record, principal, from, limit);
      return entries.length === limit ? { entries, next: from + limit } : { entries };
    },
  );
  const anchors = { type: 'array', maxItems: ANCHORS_MAX, items: ANCHOR };
  const body = { type: ['object', 'null'], properties: { anchors } };
  app.post<{ Body: { anchors?: Anchor[] } | null }>(
    '/audit/verify',
    { onRequest: gate('audit', 'r'), schema: { body }, bodyLimit: limits.adminBodyBytesMax },
    async (request) => {
      const principal = principalOf(request);
      const known = request.body?.anchors;
      const { checkpointIntervalMs } = limits;
      const options = { checkpointIntervalMs, ...(known ? { anchors: known } : {}) };
      const report = await verifyAudit(record, principal.tenant, options);
      if (!report.ok) services.telemetry.emit('audit.broken', { seq: report.fault?.seq ?? 0 });
      return report;
    },
  );
}
