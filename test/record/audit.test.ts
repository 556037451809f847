// The audit log over the embedded store: what leaves an entry, and tampering with the database.
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, it } from 'vitest';
import { type AuditEntry, parseEntry } from '../../src/audit/entry.ts';
import { parseSearch } from '../../src/fhir/search.ts';
import { acceptMessages } from '../../src/record/accept.ts';
import {
  type Anchor,
  checkpointAudit,
  readAuditEvents,
  recordEvent,
  verifyAudit,
} from '../../src/record/audit.ts';
import { nextInbox, openMessage, setAside } from '../../src/record/message.ts';
import { readHistory, readResource } from '../../src/record/read.ts';
import { replayMessage } from '../../src/record/replay.ts';
import { searchResources } from '../../src/record/search.ts';
import { updateResource } from '../../src/record/update.ts';
import { writeMapped } from '../../src/record/write.ts';
import {
  arrival,
  type Bench,
  CLERK,
  mapped,
  openBench,
  output,
  PATIENT_ID,
  patient,
  provenance,
  receive,
  TENANT,
} from './open.ts';

const REF = { type: 'Patient', id: PATIENT_ID };
const VERSION = `Patient/${PATIENT_ID}/_history/1`;

async function entriesOf({ record, store }: Bench): Promise<AuditEntry[]> {
  await record.close();
  const rows = await store.audit.entries(TENANT, 1, 1_000);
  return rows.map(({ entry }) => parseEntry(entry));
}

describe('every access leaves its entry', () => {
  it('from intake to replay', async () => {
    const bench = await openBench();
    const { record } = bench;
    const item = arrival('raw', { controlId: 'A1' });
    const opened = await receive(record, item);
    await acceptMessages(record, CLERK, [arrival('raw', { controlId: 'A1' })]);
    await writeMapped(
      record,
      opened,
      () => output(mapped(patient()), provenance(opened.row.id)),
      1,
    );
    await openMessage(record, CLERK, opened.row.id);
    const wake = await replayMessage(record, CLERK, opened.row.id);
    const [again = opened] = await nextInbox(record, wake, 1);
    await setAside(record, again.row, { issues: [], attempts: 1 });
    const entries = await entriesOf(bench);
    expect(entries.map(({ action }) => action)).toEqual([
      'keys',
      'receive',
      'duplicate',
      'transform',
      'message',
      'replay',
      'set-aside',
    ]);
    const { id } = item.envelope;
    for (const entry of entries.slice(1)) expect(entry.message).toBe(id);
    expect(entries[1]).toMatchObject({ who: 'clerk', peer: '10.0.0.7', channel: 'adt-inbound' });
    expect(entries[3]).toMatchObject({ map: 'ab'.repeat(32), input: entries[1]?.input });
    expect(entries[3]?.resources).toContain(VERSION);
    expect(entries[3]?.resources).toHaveLength(2);
  });

  it('from create to search, whose parameters are sealed', async () => {
    const bench = await openBench();
    const { record } = bench;
    await updateResource(record, CLERK, patient({ name: [{ family: 'Zauberer' }] }));
    await readResource(record, CLERK, REF);
    await readResource(record, CLERK, REF, { version: 1 });
    await readHistory(record, CLERK, REF, { limit: 1 });
    const options = { countDefault: 10, countMax: 10 };
    const { query } = parseSearch('Patient', [['family', 'Zauberer']], options);
    await searchResources(record, CLERK, query);
    const entries = await entriesOf(bench);
    const actions = entries.map(({ action }) => action);
    expect(actions).toEqual(['keys', 'create', 'read', 'vread', 'history', 'search']);
    for (const entry of entries.slice(1)) expect(entry.resources).toEqual([VERSION]);
    expect(entries[5]?.query?.sealed).toMatch(/^[A-Za-z0-9_-]+$/);
    expect(JSON.stringify(entries)).not.toMatch(/zauberer/i);
  });

  it('and is read back as AuditEvents', async () => {
    const { record } = await openBench();
    await updateResource(record, CLERK, patient());
    const events = await readAuditEvents(record, CLERK, 2, 10);
    expect(events).toHaveLength(1);
    expect(events[0]).toMatchObject({ resourceType: 'AuditEvent', action: 'C' });
  });
});

describe('checkpoints', () => {
  it('are signed when something was added, and not else', async () => {
    const { record, again } = await openBench();
    expect(await checkpointAudit(record, TENANT)).toMatchObject({ seq: 1, tenant: TENANT });
    expect(await checkpointAudit(record, TENANT)).toBeUndefined();
    expect(await checkpointAudit(again(), TENANT)).toBeUndefined();
    await recordEvent(record, CLERK, { action: 'config', outcome: 'success', detail: 'x.yaml' });
    expect(await checkpointAudit(record, TENANT)).toMatchObject({ seq: 2 });
    expect(await verifyAudit(record, TENANT)).toMatchObject({
      ok: true,
      entries: 2,
      checkpoints: 2,
    });
  });
});

/** Ten resource versions, a checkpoint after the fifth. */
async function fill({ record }: Bench): Promise<Anchor | undefined> {
  let anchor: Anchor | undefined;
  for (let n = 1; n <= 10; n += 1) {
    await updateResource(record, CLERK, patient({ multipleBirthInteger: n }));
    if (n === 5) anchor = await checkpointAudit(record, TENANT);
  }
  return anchor;
}

describe('tampering with the database file', () => {
  it.each([
    { name: 'nothing', sql: '', fault: undefined },
    { name: 'edited', sql: "UPDATE audit SET entry = '{}' WHERE seq = 4", fault: 4 },
    { name: 'other time', sql: 'UPDATE audit SET at = 1 WHERE seq = 4', fault: 4 },
    { name: 'deleted', sql: 'DELETE FROM audit WHERE seq = 4', fault: 4 },
    { name: 'cut off', sql: 'DELETE FROM audit WHERE seq > 7', fault: 8 },
    { name: 'cut before the checkpoint', sql: 'DELETE FROM audit WHERE seq > 3', fault: 4 },
    { name: 'emptied', sql: 'DELETE FROM audit; DELETE FROM checkpoints', fault: 1 },
    { name: 'forged checkpoint', sql: "UPDATE checkpoints SET hash = 'x'", fault: 6 },
    { name: 'moved checkpoint', sql: 'UPDATE checkpoints SET seq = 7', fault: 7 },
  ])('is found out: $name', async ({ sql, fault }) => {
    const bench = await openBench();
    await fill(bench);
    const db = new DatabaseSync(join(bench.folder, 'artery.db'));
    db.exec(sql);
    db.close();
    const report = await verifyAudit(bench.again(), TENANT);
    expect(report.ok).toBe(fault === undefined);
    expect(report.fault?.seq).toBe(fault);
  });

  it('is found out by an anchor when tail, checkpoints and resources are all cut off', async () => {
    const bench = await openBench();
    const anchor = await fill(bench);
    if (anchor === undefined) throw new Error('no checkpoint was signed');
    const db = new DatabaseSync(join(bench.folder, 'artery.db'));
    db.exec(`DELETE FROM audit WHERE seq > 3; DELETE FROM checkpoints;
      DELETE FROM versions WHERE version > 2; UPDATE resources SET version = 2,
      (vid, last_updated, fingerprint) = (SELECT vid, last_updated, fingerprint FROM versions
        WHERE version = 2)`);
    db.close();
    const record = bench.again();
    expect((await verifyAudit(record, TENANT)).ok).toBe(true);
    const report = await verifyAudit(record, TENANT, { anchors: [anchor] });
    expect(report).toMatchObject({ ok: false, fault: { seq: 4 } });
  });

  it('is not hidden by an anchor that is not genuine', async () => {
    const bench = await openBench();
    const anchor = await fill(bench);
    if (anchor === undefined) throw new Error('no checkpoint was signed');
    const other = await openBench();
    const strange = await checkpointAudit(other.record, TENANT);
    for (const change of [{ hash: 'ab'.repeat(32) }, { publicKey: strange?.publicKey ?? '' }]) {
      const anchors = [{ ...anchor, ...change }];
      expect((await verifyAudit(bench.record, TENANT, { anchors })).fault?.seq).toBe(6);
    }
    expect((await verifyAudit(bench.record, TENANT, { anchors: [anchor] })).ok).toBe(true);
  });

  it('is no fault while entries are added', async () => {
    const { record } = await openBench();
    const writing = Array.from({ length: 40 }, (_, n) =>
      updateResource(record, CLERK, { ...patient(), id: `p${n}` }),
    );
    const reports = await Promise.all([verifyAudit(record, TENANT), verifyAudit(record, TENANT)]);
    await Promise.all(writing);
    expect(reports.map(({ fault }) => fault)).toEqual([undefined, undefined]);
  });
});
