// Intake and the life of a stored message: accepted once, duplicates told, set aside, replayed.
import { describe, expect, it } from 'vitest';
import { acceptMessages } from '../../src/record/accept.ts';
import {
  countAttempts,
  listMessages,
  messageHead,
  nextInbox,
  openMessage,
  setAside,
} from '../../src/record/message.ts';
import { replayMessage } from '../../src/record/replay.ts';
import { writeMapped } from '../../src/record/write.ts';
import {
  accepted,
  arrival,
  CLERK,
  mapped,
  openBench,
  output,
  patient,
  receive,
  SUBJECT,
  TENANT,
} from './open.ts';

const ISSUE = { severity: 'error', code: 'structure', at: 'PID', text: 'PID is missing.' } as const;

describe('acceptMessages', () => {
  it('keeps bytes and envelope as they came', async () => {
    const { record } = await openBench();
    const item = arrival('MSH|^~\\&|\u0000ÿ\r');
    const opened = await receive(record, item);
    expect(opened.envelope).toEqual(item.envelope);
    expect(Buffer.from(opened.raw).equals(Buffer.from(item.raw))).toBe(true);
    expect(opened.outcome).toBeNull();
  });

  it('gives one token per ordering key, also over channels', async () => {
    const { record } = await openBench();
    const items = [
      arrival('a'),
      arrival('b', { channel: 'lab-inbound' }),
      arrival('c', { orderingKey: 'OTHER' }),
      arrival('d', { orderingKey: '' }),
      arrival('e', { orderingKey: '' }),
    ];
    const receipts = (await acceptMessages(record, CLERK, items)).map(accepted);
    const keys = receipts.map(({ orderingKey }) => orderingKey);
    expect(keys[0]).toBe(keys[1]);
    expect(new Set(keys).size).toBe(4);
    const seqs = receipts.map(({ seq }) => seq);
    expect(seqs).toEqual(seqs.toSorted((a, b) => a - b));
  });

  it('refuses a message of another tenant', async () => {
    const { record } = await openBench();
    const items = [arrival('x', { tenant: 'other' })];
    await expect(acceptMessages(record, CLERK, items)).rejects.toThrow(/tenant/);
  });
});

describe('a message that comes again', () => {
  const same = { controlId: 'A1' };
  const rows = [
    { name: 'same id, same bytes', first: 'x', second: 'x', other: same, kind: 'duplicate' },
    { name: 'same id, other bytes', first: 'x', second: 'y', other: same, kind: 'id-reused' },
    {
      name: 'other sender',
      first: 'x',
      second: 'x',
      other: { ...same, sender: 'B' },
      kind: 'accepted',
    },
    {
      name: 'other channel',
      first: 'x',
      second: 'x',
      other: { ...same, channel: 'b' },
      kind: 'accepted',
    },
    { name: 'other id', first: 'x', second: 'x', other: { controlId: 'A2' }, kind: 'accepted' },
    { name: 'no id', first: 'x', second: 'x', other: { controlId: '' }, kind: 'accepted' },
  ];
  it.each(rows)('$name is told as $kind, alone', async ({ first, second, other, kind }) => {
    const { record } = await openBench();
    const before = arrival(first, same);
    await acceptMessages(record, CLERK, [before]);
    const [receipt] = await acceptMessages(record, CLERK, [arrival(second, other)]);
    expect(receipt?.kind).toBe(kind);
    if (receipt !== undefined && 'first' in receipt) {
      const { id, receivedAt } = before.envelope;
      expect(receipt.first).toEqual({
        id,
        receivedAt,
        state: 'received',
        refused: false,
        issues: [],
      });
    }
  });

  it.each(rows)('$name is told as $kind, in one batch', async ({ first, second, other, kind }) => {
    const { record } = await openBench();
    const items = [arrival(first, same), arrival(second, other), arrival('z')];
    const receipts = await acceptMessages(record, CLERK, items);
    expect(receipts.map((receipt) => receipt.kind)).toEqual(['accepted', kind, 'accepted']);
    const stored = await listMessages(record, TENANT, {}, 10);
    expect(stored.length).toBe(kind === 'duplicate' ? 2 : 3);
  });

  it('finds the first one also for a twin in a batch of repeats', async () => {
    const { record } = await openBench();
    const first = arrival('x', same);
    await acceptMessages(record, CLERK, [first]);
    const items = [arrival('x', same), arrival('new'), arrival('x', same), arrival('y', same)];
    const receipts = await acceptMessages(record, CLERK, items);
    expect(receipts.map(({ kind }) => kind)).toEqual([
      'duplicate',
      'accepted',
      'duplicate',
      'id-reused',
    ]);
    for (const receipt of receipts) {
      if ('first' in receipt) expect(receipt.first.id).toBe(first.envelope.id);
    }
    expect(await listMessages(record, TENANT, {}, 10)).toHaveLength(3);
  });

  it('is told what became of the first', async () => {
    const { record } = await openBench();
    const item = arrival('x', same);
    await acceptMessages(record, CLERK, [{ ...item, verdict: 'set-aside', issues: [ISSUE] }]);
    const [again] = await acceptMessages(record, CLERK, [arrival('x', same)]);
    expect(again).toMatchObject({
      kind: 'duplicate',
      first: { state: 'set-aside', issues: [ISSUE] },
    });
  });

  it('is set aside with its reason when its id was reused, and never waits', async () => {
    const { record } = await openBench();
    const [first] = await acceptMessages(record, CLERK, [arrival('x', same)]);
    const reused = arrival('y', same);
    await acceptMessages(record, CLERK, [reused]);
    const wake = { tenant: TENANT, orderingKey: accepted(first).orderingKey };
    expect(await nextInbox(record, wake, 10)).toHaveLength(1);
    const opened = await openMessage(record, CLERK, reused.envelope.id);
    expect(opened.row.state).toBe('set-aside');
    expect(opened.outcome?.issues[0]?.code).toBe('duplicate');
  });

  it('is stored once when both come at the same time', async () => {
    const { record, again } = await openBench();
    const other = again();
    const receipts = await Promise.all(
      [record, other, record, other].map((each) =>
        acceptMessages(each, CLERK, [arrival('x', same)]),
      ),
    );
    const kinds = receipts.flat().map(({ kind }) => kind);
    expect(kinds.toSorted()).toEqual(['accepted', 'duplicate', 'duplicate', 'duplicate']);
    expect(await listMessages(record, TENANT, {}, 10)).toHaveLength(1);
  });
});

describe('a waiting message', () => {
  it('is set aside with its issues, once', async () => {
    const { record } = await openBench();
    const { row } = await receive(record, arrival('x'));
    await setAside(record, row, { issues: [ISSUE], attempts: 3 });
    await setAside(record, row, { issues: [], attempts: 9 });
    const opened = await openMessage(record, CLERK, row.id);
    expect(opened.row).toMatchObject({ state: 'set-aside', attempts: 3 });
    expect(opened.outcome?.issues).toEqual([ISSUE]);
  });

  it('is not replayed, for it is waiting already', async () => {
    const { record } = await openBench();
    const { row } = await receive(record, arrival('x'));
    await expect(replayMessage(record, CLERK, row.id)).rejects.toThrow(
      expect.objectContaining({ code: 'VERSION_CONFLICT' }),
    );
  });

  it('that cannot be opened does not hide the others', async () => {
    const { record, store } = await openBench();
    const bad = arrival('x');
    const { row } = await receive(record, bad);
    const bytes = Uint8Array.from(row.body.bytes, (byte) => byte ^ 1);
    const body = { keyId: row.body.keyId, bytes };
    const move = { id: row.id, from: 'received', to: 'received', at: 1, attempts: 0 } as const;
    const transition = { ...move, compartment: null, detail: null, body };
    await store.commit({ tenant: TENANT, transitions: [transition] });
    const good = await receive(record, arrival('y'));
    const wake = { tenant: TENANT, orderingKey: row.orderingKey };
    const [first, second] = await nextInbox(record, wake, 10);
    expect(first).toMatchObject({ row: { id: row.id }, fault: { code: 'STORE_CORRUPT' } });
    expect(second).toMatchObject({ envelope: good.envelope });
    if (first === undefined) throw new Error('the inbox is empty');
    await setAside(record, first.row, { issues: [ISSUE], attempts: 1 });
    expect(await messageHead(record, TENANT, row.id)).toMatchObject({ state: 'set-aside' });
  });
});

describe('a counted attempt', () => {
  it('is found by the next reader, and by who counted it', async () => {
    const { record } = await openBench();
    const opened = await receive(record, arrival('x'));
    const wake = { tenant: TENANT, orderingKey: opened.row.orderingKey };
    const counted = await countAttempts(record, opened.row, 1);
    const [found] = await nextInbox(record, wake, 10);
    expect(found?.row).toEqual({ ...counted, body: expect.anything() });
    expect(found?.row.attempts).toBe(1);
    await writeMapped(record, { ...opened, row: counted }, () => output(mapped(patient())), 1);
    expect(await nextInbox(record, wake, 10)).toEqual([]);
  });

  it('stands apart from the one before, though the clock was set back', async () => {
    const { record, advance } = await openBench();
    const { row } = await receive(record, arrival('x'));
    advance(-3_600_000);
    const first = await countAttempts(record, row, 1);
    const second = await countAttempts(record, first, 2);
    const times = [row, first, second].map(({ changedAt }) => changedAt);
    expect(times).toEqual([...new Set(times)].sort());
    await expect(countAttempts(record, first, 2)).rejects.toThrow('meanwhile');
  });
});

describe('a replayed message', () => {
  it('waits again with the same bytes, and its outcome is gone', async () => {
    const { record } = await openBench();
    const item = arrival('x');
    const { row } = await receive(record, item);
    await setAside(record, row, { issues: [ISSUE], attempts: 3 });
    const wake = await replayMessage(record, CLERK, row.id);
    const [opened] = await nextInbox(record, wake, 10);
    expect(opened).toMatchObject({ envelope: item.envelope, outcome: null, row: { attempts: 0 } });
  });

  it('has the corrected bytes and the corrected envelope', async () => {
    const { record } = await openBench();
    const item = arrival('x', { subject: '' });
    const { row } = await receive(record, item);
    await setAside(record, row, { issues: [ISSUE], attempts: 1 });
    const envelope = { ...item.envelope, id: 'ignored', subject: SUBJECT };
    await replayMessage(record, CLERK, row.id, {
      correction: { raw: Buffer.from('corrected'), envelope },
    });
    const opened = await openMessage(record, CLERK, row.id);
    expect(Buffer.from(opened.raw).toString()).toBe('corrected');
    expect(opened.envelope).toEqual({ ...item.envelope, subject: SUBJECT });
    expect(opened.row.body.keyId).not.toBe(row.body.keyId);
  });

  it('takes no effect, and no verdict, of an attempt at it from before', async () => {
    const { record, store } = await openBench();
    const late = await receive(record, arrival('x'));
    await setAside(record, late.row, { issues: [ISSUE], attempts: 1 });
    const wake = await replayMessage(record, CLERK, late.row.id, {
      correction: { raw: Buffer.from('better') },
    });
    const moved = { code: 'VERSION_CONFLICT' };
    const written = writeMapped(record, late, () => output(mapped(patient())), 1);
    await expect(written).rejects.toMatchObject(moved);
    const given = setAside(record, late.row, { issues: [], attempts: 2 });
    await expect(given).rejects.toMatchObject(moved);
    await expect(countAttempts(record, late.row, 2)).rejects.toMatchObject(moved);
    expect(await store.resources.counts(TENANT)).toEqual([]);
    const [now] = await nextInbox(record, wake, 10);
    if (now === undefined || 'fault' in now) throw new Error('it does not wait');
    await writeMapped(record, now, () => output(mapped(patient())), 1);
    expect(await messageHead(record, TENANT, now.row.id)).toMatchObject({ state: 'processed' });
  });

  it('may have been processed before', async () => {
    const { record } = await openBench();
    const opened = await receive(record, arrival('x'));
    await writeMapped(record, opened, () => output(mapped(patient())), 1);
    const wake = await replayMessage(record, CLERK, opened.row.id);
    expect(await nextInbox(record, wake, 10)).toHaveLength(1);
  });

  it('is not found under an unknown id', async () => {
    const { record } = await openBench();
    await expect(replayMessage(record, CLERK, 'nobody')).rejects.toThrow(
      expect.objectContaining({ code: 'NOT_FOUND' }),
    );
  });
});
