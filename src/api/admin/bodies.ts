// /admin/audit/bodies: opens what is stored, a stretch at a time, and names what does not open.
import type { FastifyInstance } from 'fastify';
import { checkBodies } from '../../record/check-bodies.ts';
import { type Gate, principalOf } from './gate.ts';
import type { AdminServices } from './services.ts';

export function bodyRoutes(app: FastifyInstance, services: AdminServices, gate: Gate): void {
  const after = { type: 'string', minLength: 1, maxLength: 400 };
  const querystring = { type: 'object', additionalProperties: false, properties: { after } };
  app.get<{ Querystring: { after?: string } }>(
    '/audit/bodies',
    { onRequest: gate('audit', 'r'), schema: { querystring } },
    async (request) =>
      checkBodies(services.record, principalOf(request).tenant, request.query.after),
  );
}
