// Stored messages that do not open: shown with their fault, set aside, never a base to write on.
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, it } from 'vitest';
import { acceptMessages } from '../../src/record/accept.ts';
import { inspectMessage, listMessages, nextInbox, setAside } from '../../src/record/message.ts';
import { readResource } from '../../src/record/read.ts';
import { updateResource } from '../../src/record/update.ts';
import { writeMapped } from '../../src/record/write.ts';
import * as open from './open.ts';

const { arrival, CLERK, mapped, openBench, output, patient, receive, TENANT } = open;

function tamper({ folder }: open.Bench, sql: string): void {
  const db = new DatabaseSync(join(folder, 'artery.db'));
  db.exec(sql);
  db.close();
}

it.each([
  ['a changed byte', "UPDATE intake_bodies SET body = x'00' || substr(body, 2)"],
  ['a body cut short', "UPDATE intake_bodies SET body = x'0011'"],
  ['a lost key', "DELETE FROM keys WHERE kind = 'data'"],
])('shows, and sets aside, a waiting message with %s', async (_, sql) => {
  const bench = await openBench();
  const item = arrival('MSH|raw');
  const [receipt] = await acceptMessages(bench.record, CLERK, [item]);
  tamper(bench, sql);
  const record = bench.again();
  const shown = await inspectMessage(record, CLERK, item.envelope.id);
  expect('fault' in shown && shown.fault.message).toContain(
    `message/${item.envelope.id} is stored`,
  );
  const { orderingKey } = open.accepted(receipt);
  const [waiting] = await nextInbox(record, { tenant: TENANT, orderingKey }, 5);
  if (waiting === undefined || !('fault' in waiting)) throw new Error('the damage is not seen');
  expect(waiting.fault.retry).toBe('never');
  await setAside(record, waiting.row, { issues: [], attempts: 1 });
  expect(await listMessages(record, TENANT, { state: 'set-aside' }, 5)).toHaveLength(1);
});

it('shows a message whose outcome is damaged, and answers its duplicate', async () => {
  const bench = await openBench();
  const item = arrival('MSH|raw');
  const { row } = await receive(bench.record, item);
  const issue = { severity: 'error', code: 'processing', at: '', text: 'x' } as const;
  await setAside(bench.record, row, { issues: [issue], attempts: 1 });
  tamper(bench, "UPDATE intake_details SET detail = x'00' || substr(detail, 2)");
  const record = bench.again();
  const shown = await inspectMessage(record, CLERK, item.envelope.id);
  if ('fault' in shown) throw new Error('the body opens');
  expect(Buffer.from(shown.raw).toString()).toBe('MSH|raw');
  expect(shown.damaged?.message).toContain('outcome of message/');
  const again = { ...item, envelope: { ...item.envelope, id: crypto.randomUUID() } };
  const [receipt] = await acceptMessages(record, CLERK, [again]);
  expect(receipt?.kind).toBe('duplicate');
});

it('does not write onto a version that does not open', async () => {
  const bench = await openBench();
  await updateResource(bench.record, CLERK, patient({ gender: 'male', birthDate: '1980' }));
  tamper(bench, "UPDATE versions SET body = x'00' || substr(body, 2)");
  const record = bench.again();
  const message = await receive(record, arrival('MSH|raw'));
  const made = output(mapped(patient({ gender: 'female' })));
  const writing = writeMapped(record, message, () => made, 1);
  await expect(writing).rejects.toMatchObject({
    ...{ code: 'STORE_CORRUPT', retry: 'never' },
    message: expect.stringContaining(`Patient/${open.PATIENT_ID}/_history/1 is stored`),
  });
  const ref = { type: 'Patient', id: open.PATIENT_ID };
  await expect(readResource(record, CLERK, ref)).rejects.toMatchObject({ code: 'STORE_CORRUPT' });
  expect(await bench.store.resources.read(TENANT, ref, 2)).toBeUndefined();
});
