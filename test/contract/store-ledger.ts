// Contract of the audit chain, of keys and credentials, and of forgetting.
import { describe, expect, it } from 'vitest';
import { linkHash, ZERO_HASH } from '../../src/audit/chain.ts';
import type { Checkpoint, KeyRow, KeyWrite, Store } from '../../src/store/port.ts';
import {
  credential,
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
import { conflictOf } from './store-commit.ts';

export function ledgerContract(store: () => Store): void {
  describe('audit', () => audit(store));
  describe('keys', () => keys(store));
  describe('credentials', () => credentials(store));
  describe('forgetting', () => forgetting(store));
}

function audit(store: () => Store): void {
  it('links every entry to the one before, whoever commits at once', async () => {
    const [tenant, other] = [freshTenant(), freshTenant()];
    expect(await store().audit.head(tenant)).toEqual({ seq: 0, hash: ZERO_HASH });
    await Promise.all(
      Array.from({ length: 60 }, (_, n) => {
        const entries = Array.from({ length: n % 3 }, (_, k) => ({
          at: T0 + n,
          entry: `{"${n}":${k}}`,
        }));
        return store().commit({ tenant: n % 4 ? tenant : other, audit: entries });
      }),
    );
    for (const chain of [tenant, other]) {
      const rows = await store().audit.entries(chain, 1, 1000);
      let hash = ZERO_HASH;
      rows.forEach((row, index) => {
        expect(row.seq).toBe(index + 1);
        hash = linkHash(hash, row.seq, row.at, row.entry);
        expect(row.hash).toBe(hash);
      });
      expect(await store().audit.head(chain)).toEqual({ seq: rows.length, hash });
    }
    expect(await store().audit.tenants()).toEqual(expect.arrayContaining([tenant, other]));
  });

  it('pages through entries, and keeps checkpoints in order', async () => {
    const tenant = freshTenant();
    const entries = Array.from({ length: 5 }, (_, n) => ({ at: T0, entry: `{"n":${n}}` }));
    await store().commit({ tenant, audit: entries });
    const page = await store().audit.entries(tenant, 3, 2);
    expect(page.map(({ seq }) => seq)).toEqual([3, 4]);
    expect(page[0]?.entry).toBe('{"n":2}');
    const mark = (seq: number): Checkpoint => {
      return { seq, hash: 'ab', at: T0 + seq, signature: `s${seq}`, keyId: 'sign-1' };
    };
    await store().commit({ tenant, checkpoint: mark(3) });
    await store().commit({ tenant, checkpoint: mark(5) });
    expect(await store().audit.checkpoints(tenant)).toEqual([mark(3), mark(5)]);
    expect(await store().audit.checkpoints(freshTenant())).toEqual([]);
  });
}

function keys(store: () => Store): void {
  it('keeps every field of a key, and lists by kind in pages', async () => {
    const tenant = freshTenant();
    const ids = ['k3', 'k1', 'k2'];
    const index = dataKey('i1', { kind: 'index', compartment: null });
    await store().commit({
      tenant,
      keys: [...ids.map((id) => dataKey(id, { compartment: `of ${id}` })), index],
    });
    const row = await store().keys.get(tenant, 'k1');
    const { rewrap: _, wrapped, ...fields } = dataKey('k1', { compartment: 'of k1' });
    expect(row).toMatchObject({ ...fields, tenant, destroyedAt: null });
    expect(textOf({ keyId: '', bytes: row?.wrapped ?? new Uint8Array() })).toBe('wrapped k1');
    expect(wrapped.byteLength).toBeGreaterThan(0);
    const list = async (limit: number, after?: string): Promise<string[]> =>
      (await store().keys.list(tenant, 'data', limit, after)).map(({ id }) => id);
    expect(await list(10)).toEqual(['k1', 'k2', 'k3']);
    expect(await list(2)).toEqual(['k1', 'k2']);
    expect(await list(2, 'k2')).toEqual(['k3']);
    expect(await store().keys.get(freshTenant(), 'k1')).toBeUndefined();
  });

  it('replaces a wrapping only when told to, and only of a key that exists', async () => {
    const tenant = freshTenant();
    await store().commit({ tenant, keys: [dataKey('k1')] });
    const again = store().commit({ tenant, keys: [dataKey('k1')] });
    expect(await conflictOf(again)).toEqual({ kind: 'key-exists', id: 'k1' });
    const wrapped = sealed('another length of wrapping').bytes;
    const rewrap: Partial<KeyWrite> = { rewrap: true, wrapped, wrappedBy: 'newer' };
    await store().commit({ tenant, keys: [dataKey('k1', rewrap)] });
    const row = await store().keys.get(tenant, 'k1');
    expect(row).toMatchObject({ wrappedBy: 'newer', createdAt: T0, kind: 'data' });
    expect(new Uint8Array(row?.wrapped ?? [])).toEqual(new Uint8Array(wrapped));
    await expect(
      store().commit({ tenant, keys: [dataKey('k9', { rewrap: true })] }),
    ).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
}

function credentials(store: () => Store): void {
  it('finds a credential by its hash, and takes its newest form', async () => {
    const tenant = freshTenant();
    const hash = `hash ${tenant}`;
    const written = credential('c1', { tokenHash: hash, scopes: ['a', 'b'], expiresAt: T0 + 9 });
    const second = credential('c2', { tokenHash: `${hash} 2` });
    await store().commit({ tenant, credentials: [second, written] });
    expect(await store().keys.credentialByHash(hash)).toEqual({ ...written, tenant });
    const revoked = { ...written, revokedAt: T0 + 1 };
    await store().commit({ tenant, credentials: [revoked] });
    expect(await store().keys.credentialByHash(hash)).toMatchObject({ revokedAt: T0 + 1 });
    expect(await store().keys.credentials(tenant)).toEqual([
      { ...revoked, tenant },
      { ...second, tenant },
    ]);
    expect(await store().keys.credentialByHash('no such hash')).toBeUndefined();
  });
}

function forgetting(store: () => Store): void {
  const forget = { compartment: 'p1', keyIds: ['k1'] };
  async function fill(tenant: string): Promise<void> {
    const set = { tokens: [token('x')], ranges: [{ param: 'date', low: 1, high: 1 }] };
    const own = { ...set, compartment: 'p1', body: sealed('secret', 'k1') };
    const foreign = { ...set, compartment: 'p2', body: sealed('kept', 'k2') };
    await store().commit({
      ...writing(tenant, resource('r1', own), resource('r2', foreign)),
      keys: [dataKey('k1', { compartment: 'p1' }), dataKey('k2', { compartment: 'p2' })],
    });
  }

  it('destroys the keys named and finds nothing of the compartment any more', async () => {
    const [tenant, other] = [freshTenant(), freshTenant()];
    await fill(tenant);
    await fill(other);
    await store().commit({ tenant, forget, audit: [{ at: T0, entry: '{}' }] });
    const destroyed = (await store().keys.get(tenant, 'k1')) as KeyRow;
    expect(destroyed.wrapped).toHaveLength(0);
    expect(destroyed.destroyedAt).toBeGreaterThan(T0 - 1);
    expect(await store().keys.get(tenant, 'k2')).toMatchObject({ destroyedAt: null });
    for (const set of [{}, { tokens: [[token('x')]] }, { compartments: ['p1', 'p2'] }]) {
      const { rows } = await store().search.find(plan(tenant, set));
      expect(rows.map(({ id }) => id)).toEqual(['r2']);
    }
    expect(await store().resources.counts(tenant)).toEqual([{ type: 'Patient', count: 1 }]);
    const ref = { type: 'Patient', id: 'r1' };
    expect((await store().resources.heads(tenant, [ref]))[0]?.version).toBe(1);
    expect(await store().search.count(plan(other), 9)).toBe(2);
    expect(await store().keys.get(other, 'k1')).toMatchObject({ destroyedAt: null });
  });

  it('may be repeated, but refuses a key that is not stored', async () => {
    const tenant = freshTenant();
    await fill(tenant);
    await store().commit({ tenant, forget });
    const first = await store().keys.get(tenant, 'k1');
    await store().commit({ tenant, forget });
    expect(await store().keys.get(tenant, 'k1')).toEqual(first);
    await expect(
      store().commit({ tenant, forget: { compartment: 'p2', keyIds: ['k2', 'k9'] } }),
    ).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect(await store().keys.get(tenant, 'k2')).toMatchObject({ destroyedAt: null });
  });

  it('takes nothing more that uses a destroyed key', async () => {
    const tenant = freshTenant();
    await fill(tenant);
    await store().commit({ tenant, intake: [message({ id: 'm1' })], forget });
    const body = sealed('late', 'k1');
    const units = [
      { keys: [dataKey('k1')] },
      { keys: [dataKey('k1', { rewrap: true })] },
      { resources: [resource('late', { body })] },
      { intake: [message({ body })] },
      { transitions: [transition('m1', { detail: body })] },
    ];
    for (const unit of units) {
      expect(await conflictOf(store().commit({ tenant, ...unit }))).toEqual({
        kind: 'key-destroyed',
        id: 'k1',
      });
    }
    expect(await store().resources.counts(tenant)).toEqual([{ type: 'Patient', count: 1 }]);
  });

  it('finds a forgotten resource again once it is written anew', async () => {
    const tenant = freshTenant();
    await fill(tenant);
    await store().commit({ tenant, forget });
    const set = { expected: 1, compartment: 'p1', tokens: [token('x')], body: sealed('', 'k3') };
    await store().commit(writing(tenant, resource('r1', set)));
    const { rows } = await store().search.find(plan(tenant, { tokens: [[token('x')]] }));
    expect(rows.map(({ id }) => id).sort()).toEqual(['r1', 'r2']);
  });
}
