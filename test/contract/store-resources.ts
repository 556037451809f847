// Contract of resources by reference: versions, deletion, history and counts.
import { describe, expect, it } from 'vitest';
import type { Store } from '../../src/store/port.ts';
import {
  freshTenant,
  plan,
  resource,
  sealed,
  T0,
  textOf,
  token,
  writing,
} from '../support/store-units.ts';

const P1 = { type: 'Patient', id: 'p1' };

export function resourceContract(store: () => Store): void {
  describe('resources', () => {
    versions(store);
    history(store);
  });
}

function versions(store: () => Store): void {
  it('keeps every field of every version', async () => {
    const tenant = freshTenant();
    const first = resource('p1', { compartment: 'p1', body: sealed('one', 'k1') });
    const second = resource('p1', { expected: 1, lastUpdated: T0 + 9, body: sealed('two', 'k2') });
    await store().commit(writing(tenant, first));
    await store().commit(writing(tenant, second));
    for (const written of [first, second]) {
      const { body, expected: _, tokens: __, ranges: ___, ...fields } = written;
      const row = await store().resources.read(tenant, P1, written.version);
      expect(row).toMatchObject(fields);
      expect([row?.body.keyId, textOf(row?.body)]).toEqual([body.keyId, textOf(body)]);
    }
    expect(await store().resources.read(tenant, P1)).toMatchObject({ version: 2 });
    expect(await store().resources.read(tenant, P1, 3)).toBeUndefined();
    expect(await store().resources.read(tenant, { type: 'Encounter', id: 'p1' })).toBeUndefined();
    expect(await store().resources.read(freshTenant(), P1)).toBeUndefined();
    const { version, deleted, lastUpdated, compartment, fingerprint } = second;
    expect(await store().resources.heads(tenant, [P1])).toEqual([
      { version, deleted, lastUpdated, compartment, fingerprint },
    ]);
  });

  it('answers heads and many reads in the order of the references', async () => {
    const tenant = freshTenant();
    const written = ['a', 'b', 'c'].map((id) => resource(id));
    await store().commit(writing(tenant, ...written, resource('a', { type: 'Encounter' })));
    const refs = ['c', 'none', 'a'].map((id) => ({ type: 'Patient', id }));
    const rows = await store().resources.readMany(tenant, [
      ...refs,
      { type: 'Encounter', id: 'a' },
    ]);
    expect(rows.map((row) => row && `${row.type}/${row.id}`)).toEqual([
      'Patient/c',
      undefined,
      'Patient/a',
      'Encounter/a',
    ]);
    const heads = await store().resources.heads(tenant, refs);
    expect(heads.map((head) => head?.version)).toEqual([1, undefined, 1]);
    expect(await store().resources.readMany(tenant, [])).toEqual([]);
  });

  it('keeps a deletion as a version that no search finds, and lets it return', async () => {
    const tenant = freshTenant();
    const tokens = [token('x')];
    const ranges = [{ param: 'date', low: 1, high: 2 }];
    const search = plan(tenant, { tokens: [tokens] });
    await store().commit(writing(tenant, resource('p1', { tokens, ranges })));
    const gone = resource('p1', { expected: 1, deleted: true, tokens, ranges });
    await store().commit(writing(tenant, gone));
    expect(await store().resources.read(tenant, P1)).toMatchObject({ version: 2, deleted: true });
    expect((await store().resources.heads(tenant, [P1]))[0]?.deleted).toBe(true);
    for (const set of [{}, { tokens: [tokens] }, { ids: ['p1'] }]) {
      expect((await store().search.find(plan(tenant, set))).rows).toEqual([]);
      expect(await store().search.count(plan(tenant, set), 10)).toBe(0);
    }
    expect(await store().resources.counts(tenant)).toEqual([]);
    await store().commit(writing(tenant, resource('p1', { expected: 2, tokens })));
    expect((await store().search.find(search)).rows[0]).toMatchObject({ version: 3 });
    expect(await store().resources.counts(tenant)).toEqual([{ type: 'Patient', count: 1 }]);
  });

  it('keeps tenants apart', async () => {
    const [one, two] = [freshTenant(), freshTenant()];
    const tokens = [token('same')];
    await store().commit(writing(one, resource('p1', { tokens })));
    await store().commit(writing(two, resource('p1', { tokens }), resource('p2', { tokens })));
    const ids = async (tenant: string): Promise<string[]> =>
      (await store().search.find(plan(tenant, { tokens: [tokens] }))).rows.map(({ id }) => id);
    expect(await ids(one)).toEqual(['p1']);
    expect((await ids(two)).sort()).toEqual(['p1', 'p2']);
    expect(await store().resources.history(one, { type: 'Patient' }, 10)).toHaveLength(1);
    expect(await store().resources.counts(one)).toEqual([{ type: 'Patient', count: 1 }]);
    expect(await store().resources.counts(freshTenant())).toEqual([]);
  });

  it('counts by type', async () => {
    const tenant = freshTenant();
    const typed = (type: string, n: number) => resource(`r${n}`, { type });
    await store().commit(
      writing(tenant, typed('Patient', 1), typed('Encounter', 1), typed('Encounter', 2)),
    );
    expect(await store().resources.counts(tenant)).toEqual(
      expect.arrayContaining([
        { type: 'Patient', count: 1 },
        { type: 'Encounter', count: 2 },
      ]),
    );
  });

  it('refuses a write whose version does not follow the expected one', async () => {
    const tenant = freshTenant();
    const skipping = resource('p1', { version: 3 });
    await expect(store().commit(writing(tenant, skipping))).rejects.toMatchObject({
      name: 'EngineError',
    });
    expect(await store().resources.read(tenant, P1)).toBeUndefined();
  });
}

function history(store: () => Store): void {
  it('lists the versions of one resource, newest first, page by page', async () => {
    const tenant = freshTenant();
    for (let expected = 0; expected < 5; expected++) {
      await store().commit(writing(tenant, resource('p1', { expected }), resource(`x${expected}`)));
    }
    const whole = await store().resources.history(tenant, P1, 10);
    expect(whole.map(({ version }) => version)).toEqual([5, 4, 3, 2, 1]);
    expect(textOf(whole[4]?.body)).toBe('Patient/p1 version 1');
    const page = await store().resources.history(tenant, P1, 2, whole[1]);
    expect(page.map(({ version }) => version)).toEqual([3, 2]);
    expect(await store().resources.history(tenant, { type: 'Patient', id: 'none' }, 9)).toEqual([]);
  });

  it('lists the versions of a type without gaps or repeats where times are equal', async () => {
    const tenant = freshTenant();
    for (let expected = 0; expected < 3; expected++) {
      const lastUpdated = T0 + Math.floor(expected / 2);
      const rows = ['a', 'b', 'c'].map((id) => resource(id, { expected, lastUpdated }));
      await store().commit(
        writing(tenant, ...rows, resource(`e${expected}`, { type: 'Encounter' })),
      );
    }
    const whole = await store().resources.history(tenant, { type: 'Patient' }, 100);
    expect(whole).toHaveLength(9);
    expect(whole.slice(0, 3).map(({ lastUpdated }) => lastUpdated)).toEqual([
      T0 + 1,
      T0 + 1,
      T0 + 1,
    ]);
    const name = (row: { id: string; version: number }): string => `${row.id} ${row.version}`;
    const paged: string[] = [];
    for (let last: (typeof whole)[number] | undefined; ; ) {
      const page = await store().resources.history(tenant, { type: 'Patient' }, 2, last);
      if (page.length === 0) break;
      paged.push(...page.map(name));
      last = page.at(-1);
    }
    expect(paged).toEqual(whole.map(name));
    expect(new Set(paged).size).toBe(9);
  });
}
