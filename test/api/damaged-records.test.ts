// A stored record that does not open is named where it was asked for, and takes nothing else along.
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, it } from 'vitest';
import { readAuditEvents } from '../../src/record/audit.ts';
import { fhirServer } from './fhir-server.ts';

const server = fhirServer();
const READER = { tenant: 'default', id: 'reader', scopes: [], peer: '', patient: null };

function tamper(sql: string, ...values: (string | number | Uint8Array)[]): void {
  const db = new DatabaseSync(join(server.folder, 'artery.db'));
  db.prepare(sql).run(...values);
  db.close();
  server.record.invalidate();
}

/** Flips a byte of the body of one version. */
function damage(id: string, version: number): void {
  tamper(
    `UPDATE versions SET body = substr(body, 1, 20) || x'00' || x'00' || substr(body, 23)
      WHERE version = ? AND rid = (SELECT rid FROM resources WHERE id = ?)`,
    version,
    id,
  );
}

async function makePatients(...ids: string[]): Promise<void> {
  for (const id of ids) {
    const body = { resourceType: 'Patient', id, name: [{ family: 'Meyer' }], birthDate: '1980' };
    expect((await server.call(`PUT /Patient/${id}`, { body })).status).toBe(201);
  }
}

interface Entry {
  resource?: { resourceType: string; id?: string; issue?: { details: { text: string } }[] };
  search?: { mode: string };
  response?: { status: string; outcome?: { resourceType: string } };
}

function entriesOf(answer: { body: { entry?: Entry[] } }): Entry[] {
  return answer.body.entry ?? [];
}

function outcomesOf(entries: Entry[]): string {
  const outcomes = entries.filter(({ resource }) => resource?.resourceType === 'OperationOutcome');
  return outcomes.flatMap(({ resource }) => resource?.issue?.map((i) => i.details.text)).join('\n');
}

it('leaves a damaged Patient out of searches and names it', async () => {
  await makePatients('s1', 's2', 's3');
  damage('s2', 1);
  for (const path of ['/Patient?name=meyer&_id=s1,s2,s3', '/Patient?_id=s1,s2,s3&_count=2']) {
    const answer = await server.call(`GET ${path}`);
    expect(answer.status).toBe(200);
    const entries = entriesOf(answer);
    const found = entries.filter(({ search }) => search?.mode === 'match');
    expect(found.map(({ resource }) => resource?.id).sort()).toEqual(['s1', 's3']);
    expect(entries.filter(({ search }) => search?.mode === 'outcome')).toHaveLength(1);
    expect(outcomesOf(entries)).toContain('Patient/s2/_history/1 is stored but does not open');
  }
  const counted = await server.call('GET /Patient?name=meyer&_id=s1,s2,s3&_summary=count');
  expect(counted.status).toBeLessThan(500);
});

it('shows the other versions in histories, and an outcome for the damaged one', async () => {
  await makePatients('h1', 'h2');
  const body = { resourceType: 'Patient', id: 'h1', gender: 'male' };
  expect((await server.call('PUT /Patient/h1', { body })).status).toBe(200);
  damage('h1', 1);
  for (const path of ['/Patient/h1/_history', '/Patient/_history?_count=100']) {
    const answer = await server.call(`GET ${path}`);
    expect(answer.status, answer.text).toBe(200);
    const entries = entriesOf(answer);
    expect(entries.some(({ resource }) => resource?.id === 'h1')).toBe(true);
    expect(outcomesOf(entries)).toContain('Patient/h1/_history/1 is stored but does not open');
    const damaged = entries.find(({ response }) => response?.status === '500');
    expect(damaged?.response?.outcome?.resourceType).toBe('OperationOutcome');
    expect(JSON.stringify(damaged)).not.toContain('fullUrl');
  }
});

it('answers a direct read with an outcome that names the record', async () => {
  await makePatients('r1');
  damage('r1', 1);
  for (const path of ['/Patient/r1', '/Patient/r1/_history/1']) {
    const answer = await server.call(`GET ${path}`);
    expect(answer.status).toBe(500);
    expect(answer.body.issue[0].details.text).toContain('Patient/r1/_history/1 is stored');
  }
  const body = { resourceType: 'Patient', id: 'r1', gender: 'male' };
  const overwritten = await server.call('PUT /Patient/r1', { body });
  expect(overwritten.status).toBe(500);
  expect(overwritten.body.issue[0].details.text).toContain('Patient/r1/_history/1 is stored');
});

const CHANGED_KEY = `UPDATE wrappings SET wrapped = zeroblob(60)
  WHERE kid = (SELECT kid FROM keys WHERE id = ?)`;

it.each([
  ['a key that was changed', CHANGED_KEY],
  ['a key that is gone', 'DELETE FROM keys WHERE id = ?'],
])('leaves out what was sealed under %s', async (_, sql) => {
  const [lost, kept] = [`k${sql.length}`, `o${sql.length}`];
  await makePatients(lost, kept);
  tamper(sql, `d/${lost}/0`);
  const answer = await server.call(`GET /Patient?_id=${lost},${kept}`);
  expect(answer.status).toBe(200);
  const entries = entriesOf(answer);
  expect(entries.map(({ resource }) => resource?.id)).toContain(kept);
  expect(outcomesOf(entries)).toContain(`Patient/${lost}/_history/1 is stored`);
});

it('tells a damaged record once, however often it is read, until it opens', async () => {
  await makePatients('t1');
  const before = server.record.damage.count();
  const told = server.damages.length;
  const audited = (await damagedEntries()).length;
  const row = await server.store.resources.read('default', { type: 'Patient', id: 't1' });
  const whole = row?.body.bytes ?? new Uint8Array(0);
  damage('t1', 1);
  for (let n = 0; n < 5; n++) await server.call('GET /Patient?_id=t1');
  await server.record.trail.settle();
  expect(server.damages.slice(told)).toEqual([
    expect.objectContaining({ kind: 'RESOURCE_BODY', name: 'Patient/t1/_history/1', version: 1 }),
  ]);
  expect(server.record.damage.count()).toBe(before + 1);
  expect(await damagedEntries()).toHaveLength(audited + 1);
  expect((await damagedEntries()).at(-1)).toContain('"subject":"Patient/t1/_history/1"');
  tamper(
    'UPDATE versions SET body = ? WHERE rid = (SELECT rid FROM resources WHERE id = ?)',
    whole,
    't1',
  );
  expect((await server.call('GET /Patient/t1')).status).toBe(200);
  expect(server.record.damage.count()).toBe(before);
});

async function damagedEntries(): Promise<string[]> {
  const entries = await server.store.audit.entries('default', 1, 10_000);
  return entries.map(({ entry }) => entry).filter((entry) => entry.includes('"damaged"'));
}

it('shows an audit entry that does not read as a failure, between the others', async () => {
  await makePatients('a1', 'a2');
  await server.record.trail.settle();
  const { seq } = await server.store.audit.head('default');
  tamper('UPDATE audit SET entry = ? WHERE seq = ?', '{"torn', seq - 1);
  const events = await readAuditEvents(server.record, READER, seq - 2, 3);
  expect(events).toHaveLength(3);
  expect(JSON.stringify(events[1])).toContain(`audit entry ${seq - 1} is stored but does not open`);
});
