// Contract of commit: all or nothing, conflicts, order, and reading what was committed.
import { describe, expect, it } from 'vitest';
import { CommitConflict, type Conflict, type Store, type Unit } from '../../src/store/port.ts';
import {
  dataKey,
  freshTenant,
  message,
  plan,
  resource,
  sealed,
  T0,
  textOf,
  token,
  transition,
  writing,
} from '../support/store-units.ts';

export function commitContract(store: () => Store): void {
  describe('commit', () => {
    allOrNothing(store);
    concurrency(store);
    it('tells by a probe that it takes writes, and keeps nothing of the probe', async () => {
      const before = await store().intake.counts();
      for (let n = 0; n < 3; n++) expect(await store().probe()).toBe('ok');
      expect(await store().intake.counts()).toEqual(before);
    });
  });
}

export async function conflictOf(commit: Promise<unknown>): Promise<Conflict> {
  const thrown = await commit.then(
    () => new Error('the commit was not refused'),
    (error: unknown) => error,
  );
  if (thrown instanceof CommitConflict) return thrown.conflict;
  throw thrown;
}

function allOrNothing(store: () => Store): void {
  it('applies a unit over all parts and tells the positions it gave', async () => {
    const tenant = freshTenant();
    const rows = [message({ id: 'm1' }), message({ id: 'm2' })];
    const audit = [
      { at: T0, entry: '{"n":1}' },
      { at: T0, entry: '{"n":2}' },
    ];
    const first = await store().commit({ tenant, intake: rows, audit });
    expect(first.auditSeq).toBe(1);
    expect(first.intakeSeqs).toHaveLength(2);
    expect(first.intakeSeqs[1]).toBeGreaterThan(first.intakeSeqs[0] ?? Infinity);
    const second = await store().commit({
      tenant,
      transitions: [transition('m1')],
      resources: [resource('p1')],
      keys: [dataKey('k1')],
      audit: [{ at: T0, entry: '{"n":3}' }],
    });
    expect(second).toEqual({ intakeSeqs: [], auditSeq: 3 });
    expect((await store().intake.get(tenant, 'm1'))?.state).toBe('processed');
    expect((await store().keys.get(tenant, 'k1'))?.wrappedBy).toBe('tenant-key');
    expect(await store().commit({ tenant })).toEqual({ intakeSeqs: [], auditSeq: 0 });
  });

  const refusals: [string, (tenant: string) => Partial<Unit>, string][] = [
    ['a version', () => ({ resources: [resource('new'), resource('old')] }), 'version'],
    ['a dedupe token', () => ({ intake: [message({ dedupe: 'taken' })] }), 'duplicate-message'],
    ['a message id', () => ({ intake: [message({ id: 'known' })] }), 'duplicate-message'],
    [
      'a state',
      () => ({ transitions: [transition('known', { from: 'set-aside' })] }),
      'transition',
    ],
    ['an unknown message', () => ({ transitions: [transition('nobody')] }), 'transition'],
    ['a key', () => ({ keys: [dataKey('new-key'), dataKey('old-key')] }), 'key-exists'],
  ];
  it.each(refusals)('leaves nothing of a unit that is refused for %s', async (_, part, kind) => {
    const tenant = freshTenant();
    await store().commit({
      tenant,
      intake: [message({ id: 'known', dedupe: 'taken' })],
      resources: [resource('old')],
      keys: [dataKey('old-key')],
    });
    const refused: Unit = {
      tenant,
      audit: [{ at: T0, entry: '{}' }],
      resources: [resource('new', { tokens: [token('new')] })],
      ...part(tenant),
    };
    refused.intake = [message({ id: 'fresh', dedupe: 'fresh' }), ...(refused.intake ?? [])];
    expect((await conflictOf(store().commit(refused))).kind).toBe(kind);
    expect(await store().audit.head(tenant)).toMatchObject({ seq: 0 });
    expect(await store().intake.get(tenant, 'fresh')).toBeUndefined();
    expect(await store().keys.get(tenant, 'new-key')).toBeUndefined();
    expect(await store().resources.heads(tenant, [{ type: 'Patient', id: 'new' }])).toEqual([
      undefined,
    ]);
    expect((await store().search.find(plan(tenant))).rows.map((row) => row.id)).toEqual(['old']);
    expect(await store().resources.counts(tenant)).toEqual([{ type: 'Patient', count: 1 }]);
  });

  it('says what is stored in a conflict', async () => {
    const tenant = freshTenant();
    const known = message({ id: 'm1', dedupe: 'd1', digest: 'abc' });
    await store().commit({ tenant, intake: [known], resources: [resource('p1')] });
    const of = (unit: Partial<Unit>): Promise<Conflict> =>
      conflictOf(store().commit({ tenant, ...unit }));
    expect(await of({ intake: [message({ dedupe: 'd1' })] })).toEqual({
      kind: 'duplicate-message',
      id: 'm1',
      digest: 'abc',
    });
    expect(await of({ resources: [resource('p1')] })).toEqual({
      kind: 'version',
      type: 'Patient',
      id: 'p1',
      stored: 1,
    });
    expect(await of({ resources: [resource('p2', { expected: 4 })] })).toMatchObject({ stored: 0 });
    expect(await of({ transitions: [transition('m1', { from: 'processed' })] })).toEqual({
      kind: 'transition',
      id: 'm1',
      state: 'received',
    });
    expect(await of({ transitions: [transition('m9')] })).toMatchObject({ state: null });
  });

  it('refuses a unit whose unchanged resources have changed, writing nothing of it', async () => {
    const tenant = freshTenant();
    await store().commit({ tenant, resources: [resource('seen')] });
    const seen = { type: 'Patient', id: 'seen', version: 1 };
    const unit = (name: string) => ({ tenant, resources: [resource(name)], unchanged: [seen] });
    await store().commit(unit('first'));
    await store().commit({ tenant, resources: [resource('seen', { expected: 1, version: 2 })] });
    const conflict = await conflictOf(store().commit(unit('second')));
    expect(conflict).toEqual({ kind: 'version', type: 'Patient', id: 'seen', stored: 2 });
    const refs = ['first', 'second'].map((id) => ({ type: 'Patient', id }));
    const heads = await store().resources.heads(tenant, refs);
    expect(heads.map((head) => head?.version)).toEqual([1, undefined]);
    const gone = { type: 'Patient', id: 'never', version: 1 };
    expect(await conflictOf(store().commit({ tenant, unchanged: [gone] }))).toMatchObject({
      stored: 0,
    });
  });

  it('checks a unit against its own earlier writes', async () => {
    const tenant = freshTenant();
    await store().commit({
      tenant,
      intake: [message({ id: 'm1' })],
      transitions: [transition('m1', { to: 'set-aside' })],
      resources: [resource('p1'), resource('p1', { expected: 1, tokens: [token('two')] })],
    });
    expect((await store().intake.get(tenant, 'm1'))?.state).toBe('set-aside');
    expect((await store().resources.read(tenant, { type: 'Patient', id: 'p1' }))?.version).toBe(2);
    const twice = [message({ dedupe: 'd' }), message({ dedupe: 'd' })];
    expect(await conflictOf(store().commit({ tenant, intake: twice }))).toMatchObject({
      kind: 'duplicate-message',
    });
  });
}

function concurrency(store: () => Store): void {
  it('lets exactly one of many units in flight win each version', async () => {
    const tenant = freshTenant();
    for (let expected = 0; expected < 3; expected++) {
      const tries = Array.from({ length: 20 }, (_, n) => {
        const body = sealed(`try ${n}`);
        return store().commit(writing(tenant, resource('p1', { expected, body })));
      });
      const results = await Promise.allSettled(tries);
      expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
      const winner = results.findIndex(({ status }) => status === 'fulfilled');
      const row = await store().resources.read(tenant, { type: 'Patient', id: 'p1' });
      expect(row?.version).toBe(expected + 1);
      expect(textOf(row?.body)).toBe(`try ${winner}`);
    }
    expect((await store().audit.head(tenant)).seq).toBe(3);
  });

  it('takes one of many equal messages in flight, and names it to the others', async () => {
    const tenant = freshTenant();
    const rows = Array.from({ length: 10 }, () => message({ dedupe: 'same' }));
    const results = await Promise.allSettled(
      rows.map((row) => store().commit({ tenant, intake: [row] })),
    );
    const winner = rows[results.findIndex(({ status }) => status === 'fulfilled')];
    const refusals = results.flatMap((result) =>
      result.status === 'rejected' ? [(result.reason as CommitConflict).conflict] : [],
    );
    expect(refusals).toHaveLength(9);
    for (const refusal of refusals) expect(refusal).toMatchObject({ id: winner?.id });
  });

  it('does not let a refused unit hurt the units around it', async () => {
    const tenant = freshTenant();
    await store().commit(writing(tenant, resource('taken')));
    const results = await Promise.allSettled(
      Array.from({ length: 30 }, (_, n) =>
        store().commit(writing(tenant, resource(n % 3 === 1 ? 'taken' : `p${n}`))),
      ),
    );
    results.forEach(({ status }, n) => {
      expect(status).toBe(n % 3 === 1 ? 'rejected' : 'fulfilled');
    });
    expect(await store().resources.counts(tenant)).toEqual([{ type: 'Patient', count: 21 }]);
    expect((await store().audit.head(tenant)).seq).toBe(21);
  });

  it('applies the units of one caller in call order', async () => {
    const tenant = freshTenant();
    const versions = Array.from({ length: 40 }, (_, expected) =>
      store().commit(writing(tenant, resource('p1', { expected }))),
    );
    const answers = await Promise.all(versions);
    expect(answers.map(({ auditSeq }) => auditSeq)).toEqual(versions.map((_, n) => n + 1));
  });

  it('shows a unit to every read as soon as it is committed', async () => {
    const tenant = freshTenant();
    const ref = { type: 'Patient', id: 'p1' };
    for (let expected = 0; expected < 20; expected++) {
      const tokens = [token(`v${expected}`)];
      await store().commit(writing(tenant, resource('p1', { expected, tokens })));
      const [heads, found, history] = await Promise.all([
        store().resources.heads(tenant, [ref]),
        store().search.find(plan(tenant, { tokens: [tokens] })),
        store().resources.history(tenant, ref, 1),
      ]);
      expect(heads[0]?.version).toBe(expected + 1);
      expect(found.rows[0]?.version).toBe(expected + 1);
      expect(history[0]?.version).toBe(expected + 1);
    }
  });

  it('keeps units whole when the bytes of their bodies share one buffer', async () => {
    const tenant = freshTenant();
    const pool = new TextEncoder().encode('first|second');
    const body = (from: number, to: number) => ({ keyId: 'k', bytes: pool.subarray(from, to) });
    await Promise.all([
      store().commit(writing(tenant, resource('a', { body: body(0, 5) }))),
      store().commit(writing(tenant, resource('b', { body: body(6, 12) }))),
    ]);
    const refs = ['a', 'b'].map((id) => ({ type: 'Patient', id }));
    const rows = await store().resources.readMany(tenant, refs);
    expect(rows.map((row) => textOf(row?.body))).toEqual(['first', 'second']);
    expect(pool.byteLength).toBe(12);
  });
}
