// Units with every kind of write that a commit can make, over a network that fails at each of its
// requests in turn: a write that is not in the transaction stays behind when that is run again. For
// the stand-in and for a real server.
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { openMongoStore } from '../../src/store/mongo/open.ts';
import type { Store, Unit } from '../../src/store/port.ts';
import { type MongoProxy, startMongoProxy } from '../support/mongo/proxy.ts';
import {
  credential,
  dataKey,
  freshTenant,
  message,
  plan,
  resource,
  sealed,
  T0,
  token,
  transition,
} from '../support/store-units.ts';

const TUNING = { selectionTimeoutMs: 3_000, replyTimeoutMs: 2_000, commitWaitMs: 60_000 };
/** So many requests has a unit that changes, and one that forgets. */
const REQUESTS = { changes: 18, forgets: 8 };
const FAULTS = ['cut', 'lost-reply'] as const;

/** Every kind of write; unit `n` changes what unit `n - 1` wrote, so they go in sequence. */
function chained(tenant: string, n: number): Unit {
  const first: Unit = {
    tenant,
    intake: [message({ id: `m${n}`, dedupe: `d${n}` })],
    resources: [
      resource(`p${n}`, { compartment: 'a', tokens: [token('x')] }),
      resource(`moved${n}`, { compartment: 'a' }),
    ],
    keys: [dataKey(`k${n}`)],
    credentials: [credential(`c${n}`, { tokenHash: `${tenant} ${n}` })],
    audit: [{ at: T0, entry: `{"n":${n}}` }],
    checkpoint: { seq: n + 1, hash: 'h', at: T0, signature: 's', keyId: 'k' },
  };
  if (n === 0) return first;
  const before = n - 1;
  return {
    ...first,
    transitions: [transition(`m${before}`, { detail: sealed('an outcome', `k${before}`) })],
    resources: [
      ...(first.resources ?? []),
      resource(`p${before}`, { expected: 1, compartment: 'a' }),
      resource(`moved${before}`, { expected: 1, compartment: 'b', tokens: [token('moved')] }),
    ],
    keys: [dataKey(`k${n}`), dataKey(`k${before}`, { rewrap: true, wrapped: new Uint8Array([n]) })],
  };
}

/** What units 0 and 1 leave behind, each of their writes once. */
async function expectBoth(store: Store, tenant: string): Promise<void> {
  const rows = await store.intake.list(tenant, {}, 10);
  expect(rows.map(({ id, state }) => [id, state])).toEqual([
    ['m1', 'received'],
    ['m0', 'processed'],
  ]);
  for (const [id, versions] of [
    ['p0', [2, 1]],
    ['moved0', [2, 1]],
    ['p1', [1]],
    ['moved1', [1]],
  ] as const) {
    const history = await store.resources.history(tenant, { type: 'Patient', id }, 10);
    expect(history.map(({ version }) => version)).toEqual(versions);
  }
  expect(await store.resources.counts(tenant)).toEqual([{ type: 'Patient', count: 4 }]);
  const keys = await store.keys.list(tenant, 'data', 10);
  expect(keys.map(({ id, wrapped }) => [id, wrapped.byteLength])).toEqual([
    ['k0', 1],
    ['k1', 10],
  ]);
  expect(await store.keys.credentials(tenant)).toHaveLength(2);
  expect(await store.audit.checkpoints(tenant)).toHaveLength(2);
  expect((await store.audit.head(tenant)).seq).toBe(2);
}

async function expectForgotten(store: Store, tenant: string): Promise<void> {
  const { rows } = await store.search.find(plan(tenant, { tokens: [[token('moved')]] }));
  expect(rows).toEqual([]);
  expect((await store.keys.get(tenant, 'k0'))?.wrapped.byteLength).toBe(0);
  expect(await store.resources.counts(tenant)).toEqual([{ type: 'Patient', count: 3 }]);
  expect((await store.audit.head(tenant)).seq).toBe(3);
}

export function everyWriteSuite(target: () => { url: string; database: string }): void {
  describe('every write of a commit is in its transaction', () => {
    let proxy: MongoProxy;
    let store: Store;
    beforeAll(async () => {
      await (await openMongoStore(target())).close();
      proxy = await startMongoProxy(target().url);
      store = await openMongoStore({ ...target(), url: proxy.url, ...TUNING });
    });
    afterEach(() => proxy.clearFaults());
    afterAll(async () => {
      await store.close();
      await proxy.close();
    });

    const rows = (requests: number) =>
      FAULTS.flatMap((kind) => Array.from({ length: requests }, (_, n) => ({ kind, nth: n + 1 })));

    it.each(rows(REQUESTS.changes))('that changes: $kind at request $nth', async (row) => {
      const tenant = freshTenant();
      await store.commit(chained(tenant, 0));
      proxy.fault(row.kind, row.nth);
      await store.commit(chained(tenant, 1));
      await expectBoth(store, tenant);
    });

    it.each(rows(REQUESTS.forgets))('that forgets: $kind at request $nth', async (row) => {
      const tenant = freshTenant();
      await store.commit(chained(tenant, 0));
      await store.commit(chained(tenant, 1));
      const audit = [{ at: T0, entry: '{}' }];
      proxy.fault(row.kind, row.nth);
      await store.commit({ tenant, audit, forget: { compartment: 'b', keyIds: ['k0'] } });
      await expectForgotten(store, tenant);
    });
  });
}
