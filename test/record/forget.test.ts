// Forgetting a patient and rotating keys: what opens afterwards, and what never does again.
import { describe, expect, it } from 'vitest';
import { addRootKey, makeRootKeys, type RootKeys } from '../../src/crypto/keys.ts';
import { parseSearch } from '../../src/fhir/search.ts';
import { acceptMessages } from '../../src/record/accept.ts';
import { verifyAudit } from '../../src/record/audit.ts';
import type { ClinicalRecord } from '../../src/record/context.ts';
import { forgetPatient } from '../../src/record/forget.ts';
import { nextInbox, openMessage, setAside } from '../../src/record/message.ts';
import { readHistory, readResource } from '../../src/record/read.ts';
import { rotateRootKey, rotateTenantKey } from '../../src/record/rotate.ts';
import { searchResources } from '../../src/record/search.ts';
import { updateResource } from '../../src/record/update.ts';
import { writeMapped } from '../../src/record/write.ts';
import {
  arrival,
  CLERK,
  mapped,
  openBench,
  output,
  PATIENT_ID,
  patient,
  receive,
  TENANT,
} from './open.ts';

const REF = { type: 'Patient', id: PATIENT_ID };
const DESTROYED = { code: 'KEY_DESTROYED' };

async function write(record: ClinicalRecord, elements: Record<string, unknown>) {
  const opened = await receive(record, arrival('raw bytes'));
  await writeMapped(record, opened, () => output(mapped(patient(elements))), 1);
  return opened;
}

async function find(record: ClinicalRecord, family: string): Promise<number> {
  const options = { countDefault: 10, countMax: 10 };
  const { query } = parseSearch('Patient', [['family', family]], options);
  return (await searchResources(record, CLERK, query)).matches.length;
}

describe('a forgotten patient', () => {
  it('is not read, not found, and its messages do not open', async () => {
    const { record, again } = await openBench();
    const opened = await write(record, { name: [{ family: 'Vergissmich' }] });
    expect(await find(record, 'Vergissmich')).toBe(1);
    const result = await forgetPatient(record, CLERK, PATIENT_ID);
    expect(result).toEqual({ keysDestroyed: 1, messages: 1 });
    for (const each of [record, again()]) {
      await expect(readResource(each, CLERK, REF)).rejects.toMatchObject(DESTROYED);
      await expect(openMessage(each, CLERK, opened.row.id)).rejects.toMatchObject(DESTROYED);
      const { entries } = await readHistory(each, CLERK, REF, { limit: 5 });
      expect(entries.map(({ resource }) => resource)).toEqual([null]);
      expect(await find(each, 'Vergissmich')).toBe(0);
    }
    expect(await verifyAudit(record, TENANT)).toMatchObject({ ok: true });
  });

  it('leaves other patients as they are', async () => {
    const { record } = await openBench();
    await write(record, { gender: 'male' });
    const other = { ...patient({ gender: 'female' }), id: 'other' };
    await updateResource(record, CLERK, other);
    await forgetPatient(record, CLERK, PATIENT_ID);
    const { resource } = await readResource(record, CLERK, { ...REF, id: 'other' });
    expect(resource.gender).toBe('female');
  });

  it('is forgotten by other records too, after the recheck or when told', async () => {
    const { record, again, advance } = await openBench({ keyRecheckMs: 1_000 });
    const [late, told] = [again(), again()];
    await write(record, { gender: 'male' });
    for (const each of [late, told]) await readResource(each, CLERK, REF);
    await forgetPatient(record, CLERK, PATIENT_ID);
    told.invalidate('patient');
    await expect(readResource(told, CLERK, REF)).rejects.toMatchObject(DESTROYED);
    advance(1_001);
    await expect(readResource(late, CLERK, REF)).rejects.toMatchObject(DESTROYED);
  });

  it('is not brought back by a message from before, in any record', async () => {
    const { record, again } = await openBench();
    const other = again();
    await write(other, { gender: 'male' });
    const waiting = await receive(other, arrival('second'));
    const unsealed = await receive(other, arrival('third', { subject: '' }));
    await forgetPatient(record, CLERK, PATIENT_ID);
    for (const each of [record, other]) {
      for (const message of [waiting, unsealed]) {
        const writing = writeMapped(
          each,
          message,
          () => output(mapped(patient({ active: true }))),
          1,
        );
        await expect(writing).rejects.toMatchObject(DESTROYED);
      }
    }
    const wake = { tenant: TENANT, orderingKey: waiting.row.orderingKey };
    const [unread] = await nextInbox(record, wake, 1);
    expect(unread).toMatchObject({ fault: DESTROYED });
    await setAside(other, waiting.row, { issues: [], attempts: 1 });
    expect(await nextInbox(record, wake, 10)).toHaveLength(1);
  });

  it('may come back, with nothing of before', async () => {
    const { record, again, advance } = await openBench();
    const other = again();
    await write(record, { gender: 'male', birthDate: '1970-01-01' });
    await write(other, { gender: 'male' });
    await forgetPatient(record, CLERK, PATIENT_ID);
    advance(10_000);
    const item = arrival('raw', { receivedAt: new Date(Date.now() + 10_000).toISOString() });
    const opened = await receive(other, item);
    expect(opened.row.body.keyId).toBe(`d/${PATIENT_ID}/1`);
    const { written } = await writeMapped(
      other,
      opened,
      () => output(mapped(patient({ active: true }))),
      1,
    );
    expect(written).toEqual([{ ...REF, version: 2, outcome: 'created' }]);
    const { resource } = await readResource(record, CLERK, REF);
    expect(resource).toMatchObject({ active: true });
    expect(resource.gender).toBeUndefined();
    await expect(readResource(record, CLERK, REF, { version: 1 })).rejects.toMatchObject(DESTROYED);
    expect(await forgetPatient(record, CLERK, PATIENT_ID)).toMatchObject({ keysDestroyed: 1 });
    await expect(readResource(record, CLERK, REF)).rejects.toMatchObject(DESTROYED);
  });

  it('takes along the messages that another key seals', async () => {
    const { record } = await openBench();
    const opened = await receive(record, arrival('raw', { subject: 'urn:oid:1|other' }));
    await writeMapped(record, opened, () => output(mapped(patient())), 1);
    expect(await forgetPatient(record, CLERK, PATIENT_ID)).toMatchObject({ messages: 1 });
    await expect(openMessage(record, CLERK, opened.row.id)).rejects.toMatchObject(DESTROYED);
  });

  it('keeps a duplicate a duplicate', async () => {
    const { record } = await openBench();
    await acceptMessages(record, CLERK, [arrival('raw', { controlId: 'A1' })]);
    await forgetPatient(record, CLERK, PATIENT_ID);
    const [receipt] = await acceptMessages(record, CLERK, [arrival('raw', { controlId: 'A1' })]);
    expect(receipt).toMatchObject({ kind: 'duplicate', first: { issues: [] } });
  });

  it('is not found under an unknown id', async () => {
    const { record } = await openBench();
    await expect(forgetPatient(record, CLERK, 'nobody')).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
  });
});

describe('rotation', () => {
  it('of the root key: all opens with the new one, nothing with the old one alone', async () => {
    const { record, again, rootKeys } = await openBench();
    await write(record, { gender: 'male' });
    const both = addRootKey(rootKeys);
    expect(await rotateRootKey(record, CLERK, both)).toEqual({ rewrapped: 1 });
    const opened = again({}, onlyCurrent(both));
    expect((await readResource(opened, CLERK, REF)).resource.gender).toBe('male');
    const closed = again({}, rootKeys);
    await expect(readResource(closed, CLERK, REF)).rejects.toMatchObject({
      code: 'KEY_UNAVAILABLE',
    });
  });

  it('of the root key again and again, and not with keys that lack the current one', async () => {
    const { record, again, rootKeys } = await openBench();
    await write(record, { gender: 'male' });
    for (let n = 0; n < 3; n += 1) {
      const next = addRootKey(onlyCurrent(record.keyring.rootKeys));
      expect(await rotateRootKey(record, CLERK, next)).toEqual({ rewrapped: 1 });
    }
    await expect(rotateRootKey(record, CLERK, addRootKey(rootKeys))).rejects.toMatchObject({
      code: 'KEY_UNAVAILABLE',
    });
    const opened = again({}, onlyCurrent(record.keyring.rootKeys));
    expect((await readResource(opened, CLERK, REF)).resource.gender).toBe('male');
  });

  it('of the tenant key: old bodies open, new ones are sealed under the new key', async () => {
    const { record, store, again } = await openBench();
    const other = again();
    await write(other, { gender: 'male' });
    await updateResource(other, CLERK, { resourceType: 'Location', id: 'ward', name: 'Ward' });
    expect(await rotateTenantKey(record, CLERK)).toEqual({ rewrapped: 3 });
    const data = await store.keys.list(TENANT, 'data', 10);
    expect(data.map(({ wrappedBy }) => wrappedBy)).toEqual(['t0002']);
    for (const each of [record, other, again()]) {
      await readResource(each, CLERK, { type: 'Location', id: 'ward' });
      expect((await readResource(each, CLERK, REF)).resource.gender).toBe('male');
      expect(await find(each, 'nobody')).toBe(0);
    }
    await updateResource(record, CLERK, { resourceType: 'Location', id: 'ward', name: 'New' });
    const rows = await store.resources.history(TENANT, { type: 'Location' }, 10);
    expect(rows.map(({ body }) => body.keyId)).toEqual(['t0002', 't0001']);
    expect(await rotateTenantKey(record, CLERK)).toEqual({ rewrapped: 3 });
    expect(await verifyAudit(again(), TENANT)).toMatchObject({ ok: true });
  });

  it('does not bring back a destroyed key', async () => {
    const { record } = await openBench();
    await write(record, { gender: 'male' });
    await forgetPatient(record, CLERK, PATIENT_ID);
    expect(await rotateTenantKey(record, CLERK)).toEqual({ rewrapped: 2 });
    await expect(readResource(record, CLERK, REF)).rejects.toMatchObject(DESTROYED);
  });

  it('goes on while messages arrive', async () => {
    const { record, again } = await openBench();
    const other = again();
    await write(record, { gender: 'male' });
    const subjects = Array.from({ length: 50 }, (_, n) => `urn:oid:1|${n}`);
    const items = subjects.map((subject) => arrival('raw', { subject }));
    const [rotated] = await Promise.all([
      rotateTenantKey(record, CLERK),
      ...items.map((item) => acceptMessages(other, CLERK, [item])),
    ]);
    expect(rotated.rewrapped).toBeGreaterThanOrEqual(3);
    const fresh = again();
    for (const { envelope } of items) await openMessage(fresh, CLERK, envelope.id);
  });
});

describe('a store of another root key', () => {
  it('is not opened, and no second set of keys is made', async () => {
    const { record, store, again } = await openBench();
    await write(record, { gender: 'male' });
    const strange = again({}, makeRootKeys());
    await expect(readResource(strange, CLERK, REF)).rejects.toMatchObject({
      code: 'KEY_UNAVAILABLE',
    });
    expect(await store.keys.list(TENANT, 'tenant', 10)).toHaveLength(1);
  });
});

/** As if no retired key were kept. */
function onlyCurrent({ current }: RootKeys): RootKeys {
  return { current, older: [] };
}
