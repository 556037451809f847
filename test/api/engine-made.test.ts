// What Artery alone writes is written by no client, whatever door he comes by.
import { describe, expect, it } from 'vitest';
import { mapFhir } from '../../src/pipeline/fhir.ts';
import { UNLIMITED } from '../../src/pipeline/step.ts';
import { writeMapped } from '../../src/record/write.ts';
import { arrival, mapped, openBench, output, provenance, receive } from '../record/open.ts';
import { fhirServer } from './fhir-server.ts';

const server = fhirServer();

const AUDIT_EVENT = {
  ...{ resourceType: 'AuditEvent', id: 'a1', recorded: '2026-01-01T00:00:00Z' },
  type: { system: 'http://x', code: 'rest' },
  agent: [{ requestor: true }],
  source: { observer: { display: 'x' } },
};
const OWN = {
  ...{ resourceType: 'Provenance', id: 'p1', recorded: '2026-01-01T00:00:00Z' },
  target: [{ reference: 'Patient/1' }],
  agent: [{ who: { display: 'Ward 3' } }],
};
const MESSAGE = { identifier: { system: 'urn:artery:message', value: 'm' } };
const CLAIMS: [string, object][] = [
  [
    'an agent Artery',
    { agent: [{ who: { display: 'Ward 3' } }, { who: { display: ' ARTERY ' } }] },
  ],
  [
    'an agent on behalf of it',
    { agent: [{ who: { display: 'x' }, onBehalfOf: { display: 'Artery' } }] },
  ],
  ['a message as entity', { entity: [{ role: 'source', what: MESSAGE }] }],
  [
    'an agent of an entity',
    {
      entity: [{ role: 'source', what: { display: 'x' }, agent: [{ who: { display: 'Artery' } }] }],
    },
  ],
];

describe('over HTTP', () => {
  it('refuses to create or update an AuditEvent', async () => {
    for (const line of ['POST /AuditEvent', 'PUT /AuditEvent/a1']) {
      const answer = await server.call(line, { body: AUDIT_EVENT });
      expect(answer.status).toBe(403);
      expect(answer.body.issue[0].details.text).toContain('written by Artery alone');
    }
    const { body } = await server.call('GET /metadata');
    const types = body.rest[0].resource as { type: string; interaction: { code: string }[] }[];
    const codes = types.find(({ type }) => type === 'AuditEvent')?.interaction ?? [];
    expect(codes.map(({ code }) => code)).not.toContain('create');
  });

  it.each(CLAIMS)('refuses a Provenance with %s', async (_, claim) => {
    for (const line of ['POST /Provenance', 'PUT /Provenance/p1']) {
      const answer = await server.call(line, { body: { ...OWN, ...claim } });
      expect(answer.status).toBe(403);
    }
  });

  it('takes a Provenance of a client', async () => {
    expect((await server.call('PUT /Provenance/p1', { body: OWN })).status).toBe(201);
  });
});

it('refuses them in a Bundle of a channel, at their entry', () => {
  const claim = { ...OWN, ...CLAIMS[2]?.[1] };
  const entry = [AUDIT_EVENT, OWN, claim].map((resource) => ({
    resource,
    request: { method: 'PUT', url: `${resource.resourceType}/${resource.id}` },
  }));
  const { envelope } = arrival('x', { format: 'fhir' });
  const raw = Buffer.from(
    JSON.stringify({ resourceType: 'Bundle', type: 'batch', entry: [...entry] }),
  );
  const { issues } = mapFhir({ raw, envelope, channel: {} } as never, UNLIMITED);
  expect(issues.filter(({ code }) => code === 'not-supported').map(({ at }) => at)).toEqual([
    '/entry/0',
    '/entry/2',
  ]);
});

it('keeps the Provenance of a message when another message would replace it', async () => {
  const { record, store } = await openBench();
  const first = await receive(record, arrival('first'));
  const made = provenance(first.envelope.id);
  const entity = [{ role: 'source', what: MESSAGE }];
  made.resource = { ...made.resource, entity } as typeof made.resource;
  const { id } = made.resource;
  await writeMapped(record, first, () => output(made), 1);
  const before = await store.resources.read('default', { type: 'Provenance', id });
  const second = await receive(record, arrival('second'));
  const forged = mapped({ ...OWN, id }, { mode: 'replace' });
  const writing = writeMapped(record, second, () => output(forged), 1);
  await expect(writing).rejects.toMatchObject({ code: 'FORBIDDEN', retry: 'never' });
  const after = await store.resources.read('default', { type: 'Provenance', id });
  expect(after?.version).toBe(before?.version);
});
