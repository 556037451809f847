// /admin/keys, /admin/patients and /admin/backup: the acts that cannot be taken back, and the copy
// that one makes before them.
import type { FastifyInstance } from 'fastify';
import type { Principal } from '../../model/principal.ts';
import { recordEvent } from '../../record/audit.ts';
import { forgetPatient } from '../../record/forget.ts';
import { neededRootKeys, rotateTenantKey } from '../../record/rotate.ts';
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
  app.get('/keys', { onRequest: gate('keys', 'r') }, async () => {
    return { rootKeys: await neededRootKeys(services.record) };
  });
  const name = { type: 'string', minLength: 1, maxLength: 200 };
  app.post<{ Body: { name: string } }>(
    '/backup',
    { onRequest: gate('backup', 'c'), schema: { body: closed({ name }) } },
    async (request) => backUp(services, principalOf(request), request.body.name),
  );
}

/** Into the folder that the server is configured with, on its machine. */
async function backUp(
  services: AdminServices,
  principal: Principal,
  name: string,
): Promise<object> {
  const begun = services.now();
  const event = { action: 'backup' } as const;
  const made = await services.backup(name).catch(async (thrown: unknown) => {
    await recordEvent(services.record, principal, { ...event, outcome: 'failure' });
    throw thrown;
  });
  await recordEvent(services.record, principal, { ...event, outcome: 'success' });
  const ms = services.now() - begun;
  services.telemetry.emit('store.backed-up', { ms });
  return { ...made, ms };
}

function closed(properties: Record<string, unknown>): Record<string, unknown> {
  const required = Object.keys(properties);
  return { type: 'object', additionalProperties: false, required, properties };
}
