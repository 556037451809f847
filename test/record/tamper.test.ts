// Bodies that are moved, swapped or changed in the database fail to open; they are never shown.
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, it } from 'vitest';
import { acceptMessages } from '../../src/record/accept.ts';
import { openMessage } from '../../src/record/message.ts';
import { readHistory, readResource } from '../../src/record/read.ts';
import { updateResource } from '../../src/record/update.ts';
import { arrival, type Bench, CLERK, openBench, PATIENT_ID, patient } from './open.ts';

const REF = { type: 'Patient', id: PATIENT_ID };
const CORRUPT = { code: 'STORE_CORRUPT' };

function tamper({ folder }: Bench, sql: string): void {
  const db = new DatabaseSync(join(folder, 'artery.db'));
  db.exec(sql);
  db.close();
}

describe('a resource', () => {
  it.each([
    {
      name: 'an older version in place of the newest',
      sql: `UPDATE versions SET body = (SELECT v.body FROM versions v WHERE v.rid = versions.rid
        AND v.version = 1) WHERE version = 2`,
    },
    {
      name: 'the body of another resource of the patient',
      sql: `UPDATE versions SET body = (SELECT v.body FROM versions v JOIN resources r
        ON r.rid = v.rid WHERE r.id = 'obs') WHERE version = 2`,
    },
    { name: 'another version number', sql: 'UPDATE versions SET version = 3 WHERE version = 2' },
    { name: 'a changed byte', sql: "UPDATE versions SET body = x'00' || substr(body, 2)" },
    { name: 'another key', sql: "UPDATE versions SET key_id = 't0001'" },
    { name: 'no body', sql: "UPDATE versions SET body = x''" },
  ])('is not shown with $name', async ({ sql }) => {
    const bench = await openBench();
    const { record } = bench;
    const subject = { reference: `Patient/${PATIENT_ID}` };
    const code = { text: 'x' };
    const status = 'final';
    await updateResource(record, CLERK, patient({ gender: 'male' }));
    await updateResource(record, CLERK, patient({ gender: 'female' }));
    await updateResource(record, CLERK, {
      ...{ resourceType: 'Observation', id: 'obs', status, code, subject },
    });
    tamper(bench, sql);
    await expect(readResource(bench.again(), CLERK, REF)).rejects.toMatchObject(CORRUPT);
    const { entries } = await readHistory(bench.again(), CLERK, REF, { limit: 5 });
    const shown = entries.filter(({ resource }) => resource !== null);
    const damaged = entries.filter(({ damaged: fault }) => fault?.code === 'STORE_CORRUPT');
    expect(damaged.length).toBeGreaterThan(0);
    expect(shown.length + damaged.length).toBe(entries.length);
  });

  it('is not sealed under a second key when the store has lost the first', async () => {
    const bench = await openBench({ keyRecheckMs: 1_000 });
    await updateResource(bench.record, CLERK, patient({ gender: 'male' }));
    tamper(bench, "DELETE FROM keys WHERE kind = 'data'");
    bench.advance(1_001);
    const writing = updateResource(bench.record, CLERK, patient({ gender: 'female' }));
    await expect(writing).rejects.toMatchObject(CORRUPT);
  });
});

describe('a message', () => {
  it('is not shown with the body of another', async () => {
    const bench = await openBench();
    const items = [arrival('first'), arrival('second')];
    await acceptMessages(bench.record, CLERK, items);
    tamper(bench, 'UPDATE intake_bodies SET body = (SELECT body FROM intake_bodies WHERE seq = 2)');
    const [first, second] = items.map(({ envelope }) => envelope.id);
    await expect(openMessage(bench.record, CLERK, first ?? '')).rejects.toMatchObject(CORRUPT);
    expect((await openMessage(bench.record, CLERK, second ?? '')).envelope.id).toBe(second);
  });
});
