// A control id that comes again with other content: each content is kept once, repeats are counted.
import { describe, expect, it } from 'vitest';
import { type Arrival, acceptMessages } from '../../src/record/accept.ts';
import type { ClinicalRecord } from '../../src/record/context.ts';
import { listMessages, openMessage } from '../../src/record/message.ts';
import { replayMessage } from '../../src/record/replay.ts';
import { arrival, CLERK, openBench, TENANT } from './open.ts';

const SAME = { controlId: 'R1' };

async function send(record: ClinicalRecord, ...items: Arrival[]) {
  return acceptMessages(record, CLERK, items);
}

async function keptOnes(record: ClinicalRecord) {
  const heads = await listMessages(record, TENANT, { state: 'set-aside' }, 100);
  return Promise.all(heads.map(({ id }) => openMessage(record, CLERK, id)));
}

describe('a reused control id', () => {
  it('sent fifty times is one message with a count and the last time', async () => {
    const { record } = await openBench();
    await send(record, arrival('x', SAME));
    const told = new Set<string>();
    let last = arrival('y', SAME);
    for (let n = 0; n < 50; n++) {
      last = arrival('y', { ...SAME, receivedAt: new Date(1e12 + n).toISOString() });
      const [receipt] = await send(record, last);
      expect(receipt?.kind).toBe('id-reused');
      if (receipt?.kind === 'id-reused') told.add(JSON.stringify(receipt.kept));
    }
    // Each sending gets the answer of the first.
    expect(told.size).toBe(1);
    const kept = await keptOnes(record);
    expect(kept).toHaveLength(1);
    expect(kept[0]?.outcome).toMatchObject({
      issues: [{ code: 'duplicate', at: 'MSH-10' }],
      repeats: { count: 49, lastAt: last.envelope.receivedAt },
    });
    expect(Buffer.from(kept[0]?.raw ?? []).toString()).toBe('y');
    expect([...told][0]).toContain(kept[0]?.row.id);
  });

  it('keeps each other content once, in whatever order they come', async () => {
    const { record } = await openBench();
    await send(record, arrival('x', SAME));
    for (const text of ['a', 'b', 'a', 'c', 'b', 'a', 'x']) await send(record, arrival(text, SAME));
    const kept = await keptOnes(record);
    const counts = kept.map(({ raw, outcome }) => [
      Buffer.from(raw).toString(),
      outcome?.repeats?.count ?? 0,
    ]);
    expect(counts.toSorted()).toEqual([
      ['a', 2],
      ['b', 1],
      ['c', 0],
    ]);
  });

  it('is counted inside of one batch, new or known', async () => {
    const { record } = await openBench();
    const batch = () => ['x', 'y', 'y', 'z', 'y'].map((text) => arrival(text, SAME));
    const kinds = (await send(record, ...batch())).map(({ kind }) => kind);
    expect(kinds).toEqual(['accepted', ...Array(4).fill('id-reused')]);
    const again = (await send(record, ...batch())).map(({ kind }) => kind);
    expect(again).toEqual(['duplicate', ...Array(4).fill('id-reused')]);
    const kept = await keptOnes(record);
    const counts = kept.map(({ raw, outcome }) => [
      Buffer.from(raw).toString(),
      outcome?.repeats?.count,
    ]);
    expect(counts.toSorted()).toEqual([
      ['y', 5],
      ['z', 1],
    ]);
  });

  it('is kept once when several writers send it at the same time', async () => {
    const { record, again } = await openBench({ commitAttempts: 40 });
    await send(record, arrival('x', SAME));
    const writers = [record, again(), again()];
    const sent = writers.flatMap((writer) => [1, 2, 3].map(() => send(writer, arrival('y', SAME))));
    await Promise.all(sent);
    const kept = await keptOnes(record);
    expect(kept.map(({ outcome }) => outcome?.repeats?.count)).toEqual([8]);
  });

  it('is a duplicate once an operator has replayed it', async () => {
    const { record } = await openBench();
    await send(record, arrival('x', SAME));
    const other = arrival('y', SAME);
    await send(record, other);
    await replayMessage(record, CLERK, other.envelope.id);
    const [receipt] = await send(record, arrival('y', SAME));
    expect(receipt).toMatchObject({
      kind: 'duplicate',
      first: { id: other.envelope.id, state: 'received' },
    });
  });
});
