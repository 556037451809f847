// /admin/keys, /admin/patients and /admin/backup: the acts that cannot be taken back, and the copy
// that one makes before them.
import { isAbsolute } from 'node:path';
import type { FastifyInstance } from 'fastify';
import { EngineError } from '../../model/errors.ts';
import type { Principal } from '../../model/principal.ts';
import { recordEvent } from '../../record/audit.ts';
import { forgetPatient } from '../../record/forget.ts';
import { rotateTenantKey } from '../../record/rotate.ts';
import { type Gate, principalOf } from './gate.ts';
import type { AdminServices } from './services.ts';

const PATIENT_ID = { type: 'string', pattern: '^[A-Za-z0-9.-]{1,64}$' };

export function keyRoutes(app: FastifyInstance, services: AdminServices, gate: Gate): void {
  const which = closed({ key: { enum: ['root', 'tenant'] } });
  app.post<{ Body: { key: 'root' | 'tenant' } }>(
    '/keys/rotate',
    { onRequest: gate('keys', 'u'), schema: { body: which } },
    async (request) => {
      const principal = principalOf(request);
      const { key } = request.body;
      if (key === 'root') return { key, ...(await services.rotateRootKey(principal)) };
      return { key, ...(await rotateTenantKey(services.record, principal)) };
    },
  );
  app.post<{ Params: { id: string } }>(
    '/patients/:id/forget',
    { onRequest: gate('patients', 'd'), schema: { params: closed({ id: PATIENT_ID }) } },
    async (request) => {
      const principal = principalOf(request);
      const { id } = request.params;
      const forgotten = await forgetPatient(services.record, principal, id);
      services.invalidate(id);
      services.telemetry.emit('patient.forgotten', { id });
      return { patient: id, ...forgotten };
    },
  );
  app.post<{ Body: { to: string } }>(
    '/backup',
    {
      onRequest: gate('backup', 'c'),
      schema: { body: closed({ to: { type: 'string', minLength: 1, maxLength: 4_096 } }) },
    },
    async (request) => {
      const principal = principalOf(request);
      return backUp(services, principal, request.body.to);
    },
  );
}

/** The folder is on the server's machine. */
async function backUp(services: AdminServices, principal: Principal, to: string): Promise<object> {
  if (!isAbsolute(to)) throw new EngineError('BAD_REQUEST', 'The folder must be an absolute path.');
  const begun = services.now();
  const event = { action: 'backup' } as const;
  await services.backup(to).catch(async (thrown: unknown) => {
    await recordEvent(services.record, principal, { ...event, outcome: 'failure' });
    throw thrown;
  });
  await recordEvent(services.record, principal, { ...event, outcome: 'success' });
  const ms = services.now() - begun;
  services.telemetry.emit('store.backed-up', { ms });
  return { to, ms };
}

function closed(properties: Record<string, unknown>): Record<string, unknown> {
  const required = Object.keys(properties);
  return { type: 'object', additionalProperties: false, required, properties };
}
