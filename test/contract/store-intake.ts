// Contract of the intake: what is kept of a message, its order, its states, lists and counts.
import { describe, expect, it } from 'vitest';
import type { Store } from '../../src/store/port.ts';
import { freshTenant, message, sealed, T0, textOf, transition } from '../support/store-units.ts';

export function intakeContract(store: () => Store): void {
  describe('intake', () => {
    rows(store);
    order(store);
    lists(store);
  });
}

function rows(store: () => Store): void {
  it('keeps every field of a message', async () => {
    const tenant = freshTenant();
    const written = message({
      id: 'm1',
      channel: 'lab',
      format: 'json',
      state: 'set-aside',
      dedupe: 'd1',
      detail: sealed('why', 'key-2'),
    });
    const { intakeSeqs } = await store().commit({ tenant, intake: [written] });
    const row = await store().intake.get(tenant, 'm1');
    const { body, detail, ...rest } = written;
    expect(row).toMatchObject({
      ...rest,
      seq: intakeSeqs[0],
      attempts: 0,
      changedAt: T0,
      compartment: null,
    });
    expect([row?.body.keyId, textOf(row?.body)]).toEqual([body.keyId, 'body of m1']);
    expect([row?.detail?.keyId, textOf(row?.detail)]).toEqual([detail?.keyId, 'why']);
    expect(await store().intake.get(tenant, 'm2')).toBeUndefined();
    expect(await store().intake.get(freshTenant(), 'm1')).toBeUndefined();
  });

  it('keeps what a transition says, and replaces what it does not', async () => {
    const tenant = freshTenant();
    await store().commit({ tenant, intake: [message({ id: 'm1' })] });
    const aside = transition('m1', { to: 'set-aside', attempts: 3, detail: sealed('fault') });
    await store().commit({ tenant, transitions: [aside] });
    let row = await store().intake.get(tenant, 'm1');
    expect(row).toMatchObject({ state: 'set-aside', attempts: 3, changedAt: T0 + 5 });
    expect([textOf(row?.detail), textOf(row?.body)]).toEqual(['fault', 'body of m1']);

    const replay = { from: 'set-aside', to: 'received', attempts: 0, compartment: 'p1' } as const;
    await store().commit({
      tenant,
      transitions: [transition('m1', { ...replay, body: sealed('corrected') })],
    });
    row = await store().intake.get(tenant, 'm1');
    expect(row).toMatchObject({ state: 'received', attempts: 0, detail: null, compartment: 'p1' });
    expect(textOf(row?.body)).toBe('corrected');
    expect(await store().intake.inbox(tenant, 'key-a', 10)).toHaveLength(1);
  });

  it('counts an attempt of a waiting message, which keeps its place and its body', async () => {
    const tenant = freshTenant();
    const intake = [message({ id: 'm1' }), message({ id: 'm2' })];
    const { intakeSeqs } = await store().commit({ tenant, intake });
    const counted = transition('m1', { to: 'received', attempts: 1, since: T0 });
    await store().commit({ tenant, transitions: [counted] });
    const inbox = await store().intake.inbox(tenant, 'key-a', 10);
    expect(inbox.map(({ seq }) => seq)).toEqual(intakeSeqs);
    expect(inbox[0]).toMatchObject({ state: 'received', attempts: 1, changedAt: T0 + 5 });
    expect(textOf(inbox[0]?.body)).toBe('body of m1');
    const counts = (await store().intake.counts()).filter((row) => row.tenant === tenant);
    expect(counts).toMatchObject([{ state: 'received', count: 2 }]);
  });

  it('refuses a transition of a message that was moved since it was read', async () => {
    const tenant = freshTenant();
    await store().commit({ tenant, intake: [message({ id: 'm1' })] });
    const late = transition('m1', { since: T0 });
    await store().commit({ tenant, transitions: [transition('m1', { to: 'set-aside' })] });
    const replay = { from: 'set-aside', to: 'received', at: T0 + 6 } as const;
    await store().commit({ tenant, transitions: [transition('m1', replay)] });
    const conflict = { kind: 'transition', id: 'm1', state: 'received' };
    await expect(store().commit({ tenant, transitions: [late] })).rejects.toMatchObject({
      conflict,
    });
    // Within one unit too, and a row that the unit itself brought.
    const twice = [transition('m1', { to: 'received', since: T0 + 6 }), late];
    await expect(store().commit({ tenant, transitions: twice })).rejects.toMatchObject({
      conflict,
    });
    const fresh = [transition('m2', { since: T0 + 1 })];
    const unit = { tenant, intake: [message({ id: 'm2' })], transitions: fresh };
    await expect(store().commit(unit)).rejects.toMatchObject({ conflict: { id: 'm2' } });
    expect(await store().intake.get(tenant, 'm2')).toBeUndefined();
    const read = await store().intake.get(tenant, 'm1');
    await store().commit({ tenant, transitions: [transition('m1', { since: read?.changedAt })] });
    expect(await store().intake.get(tenant, 'm1')).toMatchObject({ state: 'processed' });
  });

  it('lets tenants use the same ids and dedupe tokens', async () => {
    const tenants = [freshTenant(), freshTenant()];
    for (const tenant of tenants) {
      await store().commit({ tenant, intake: [message({ id: 'm1', dedupe: 'd1' })] });
      await store().commit({ tenant, intake: [message(), message()] });
      expect(await store().intake.list(tenant, {}, 10)).toHaveLength(3);
    }
  });
}

function order(store: () => Store): void {
  it('lists the inbox of a key in arrival order, waiting rows only', async () => {
    const tenant = freshTenant();
    const ids = ['m1', 'm2', 'm3', 'm4'];
    const keyed = (id: string, orderingKey: string) => message({ id, orderingKey });
    await Promise.all(
      ids.map((id) => store().commit({ tenant, intake: [keyed(id, 'a'), keyed(`${id}b`, 'b')] })),
    );
    await store().commit({ tenant, transitions: [transition('m2')] });
    await store().commit({ tenant, intake: [message({ orderingKey: 'a', state: 'set-aside' })] });
    const inbox = await store().intake.inbox(tenant, 'a', 10);
    expect(inbox.map(({ id }) => id)).toEqual(['m1', 'm3', 'm4']);
    expect(await store().intake.inbox(tenant, 'a', 2)).toHaveLength(2);
    expect(await store().intake.inbox(freshTenant(), 'a', 10)).toEqual([]);
  });

  it('pages through all keys that wait, oldest first', async () => {
    const tenant = freshTenant();
    const keys = ['a', 'b', 'a', 'c', 'b', 'd', 'a', 'e'];
    const { intakeSeqs } = await store().commit({
      tenant,
      intake: keys.map((orderingKey, n) => message({ id: `m${n}`, orderingKey })),
    });
    await store().commit({ tenant, transitions: [transition('m3')] });
    const before = (intakeSeqs[0] ?? 0) - 1;
    const whole = await store().intake.waiting(before, 100);
    const own = whole.filter((row) => row.tenant === tenant);
    expect(own.map(({ orderingKey }) => orderingKey)).toEqual(['a', 'b', 'd', 'e']);
    expect(own.map(({ seq }) => intakeSeqs.indexOf(seq))).toEqual([6, 4, 5, 7]);

    const seen = new Set<string>();
    for (let after = before; ; ) {
      const page = await store().intake.waiting(after, 2);
      if (page.length === 0) break;
      expect(page.length).toBeLessThanOrEqual(2);
      for (const row of page) if (row.tenant === tenant) seen.add(row.orderingKey);
      after = Math.max(...page.map(({ seq }) => seq));
    }
    expect([...seen].sort()).toEqual(['a', 'b', 'd', 'e']);
  });
}

function lists(store: () => Store): void {
  it('lists newest first by every filter, and pages backwards', async () => {
    const tenant = freshTenant();
    const intake = Array.from({ length: 6 }, (_, n) =>
      message({
        id: `m${n}`,
        channel: n % 2 ? 'lab' : 'adt',
        receivedAt: T0 + n,
        dedupe: `d${n}`,
        state: n === 4 ? 'set-aside' : 'received',
      }),
    );
    await store().commit({ tenant, intake });
    const done = transition('m1', { compartment: 'p1' });
    await store().commit({ tenant, transitions: [done] });
    const ids = async (filter: object, limit = 10, before?: number): Promise<string[]> =>
      (await store().intake.list(tenant, filter, limit, before)).map(({ id }) => id);
    expect(await ids({})).toEqual(['m5', 'm4', 'm3', 'm2', 'm1', 'm0']);
    expect(await ids({ channel: 'lab' })).toEqual(['m5', 'm3', 'm1']);
    expect(await ids({ channel: 'none' })).toEqual([]);
    expect(await ids({ state: 'set-aside' })).toEqual(['m4']);
    expect(await ids({ state: 'processed', channel: 'lab' })).toEqual(['m1']);
    expect(await ids({ compartment: 'p1' })).toEqual(['m1']);
    expect(await ids({ dedupe: 'd2' })).toEqual(['m2']);
    expect(await ids({ receivedFrom: T0 + 2, receivedTo: T0 + 3 })).toEqual(['m3', 'm2']);
    const [, , third] = await store().intake.list(tenant, {}, 3);
    expect(await ids({}, 2, third?.seq)).toEqual(['m2', 'm1']);
  });

  it('counts messages by channel and state', async () => {
    const tenant = freshTenant();
    const times = [T0 + 10, T0 + 20, T0 + 30];
    const intake = times.map((receivedAt, n) => message({ id: `m${n}`, receivedAt }));
    await store().commit({ tenant, intake });
    await store().commit({ tenant, intake: [message({ channel: 'lab', state: 'set-aside' })] });
    await store().commit({ tenant, transitions: [transition('m0')] });
    const counts = await store().intake.counts();
    const own = counts.filter((row) => row.tenant === tenant);
    expect(own).toHaveLength(3);
    expect(own).toEqual(
      expect.arrayContaining([
        { tenant, channel: 'adt', state: 'processed', count: 1 },
        { tenant, channel: 'adt', state: 'received', count: 2 },
        { tenant, channel: 'lab', state: 'set-aside', count: 1 },
      ]),
    );
  });

  it('tells when a message came that is the first to wait', async () => {
    const tenant = freshTenant();
    await store().commit({ tenant, intake: [message({ receivedAt: T0 - 5_000 })] });
    const keys = await store().intake.waiting(0, 1_000);
    const heads = keys.map(async (key) => store().intake.inbox(key.tenant, key.orderingKey, 1));
    const times = (await Promise.all(heads)).map(([first]) => first?.receivedAt);
    const oldest = await store().intake.oldestWaiting();
    expect(times).toContain(oldest);
  });
}
