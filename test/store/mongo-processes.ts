// Several stores on one MongoDB database, as processes of a cluster have them; for the stand-in and
// for a real server. Also the unit that goes through all collections, and the check that it did.
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { MongoClient } from 'mongodb';
import { describe, expect, it } from 'vitest';
import { linkHash, ZERO_HASH } from '../../src/audit/chain.ts';
import { type MongoOptions, openMongoStore } from '../../src/store/mongo/open.ts';
import type { Store, Unit } from '../../src/store/port.ts';
import { freshTenant, message, resource, T0, token } from '../support/store-units.ts';

/** A unit over all parts; unit `n` of a tenant. */
export function wholeUnit(tenant: string, n = 0): Unit {
  return {
    tenant,
    intake: [message({ id: `m${n}`, dedupe: `d${n}` })],
    resources: [resource(`p${n}`, { tokens: [token('x')] })],
    audit: [{ at: T0, entry: `{"n":${n}}` }],
  };
}

/** Nothing of the units is missing, nothing is there twice, and the chain holds. */
export async function expectWhole(opened: Store, tenant: string, units: number): Promise<void> {
  const entries = await opened.audit.entries(tenant, 1, 10_000);
  let hash = ZERO_HASH;
  for (const [index, { seq, at, entry, hash: kept }] of entries.entries()) {
    hash = linkHash(hash, index + 1, at, entry);
    expect([seq, kept]).toEqual([index + 1, hash]);
  }
  expect(await opened.audit.head(tenant)).toEqual({ seq: units, hash });
  const texts = new Set(entries.map(({ entry }) => entry));
  expect(texts.size).toBe(units);
  expect(await opened.resources.counts(tenant)).toEqual([{ type: 'Patient', count: units }]);
  const rows = await opened.intake.list(tenant, {}, 10_000);
  expect(new Set(rows.map(({ id }) => id)).size).toBe(units);
  expect(rows).toHaveLength(units);
  const counts = (await opened.intake.counts()).filter((row) => row.tenant === tenant);
  expect(counts.map(({ count }) => count)).toEqual([units]);
}

export function processesSuite(target: () => MongoOptions & { database: string }): void {
  const open = (): Promise<Store> => openMongoStore(target());
  const close = (stores: Store[]): Promise<unknown> =>
    Promise.all(stores.map((store) => store.close()));

  describe('several processes', () => {
    it('open a new database at once', async () => {
      const database = `fresh-${randomUUID()}`;
      const openFresh = (): Promise<Store> => openMongoStore({ ...target(), database });
      const stores = await Promise.all(Array.from({ length: 4 }, openFresh));
      const tenant = freshTenant();
      await Promise.all(stores.map((store, n) => store.commit(wholeUnit(tenant, n))));
      await expectWhole(stores[0] as Store, tenant, 4);
      await close(stores);
      const client = new MongoClient(target().url);
      await client.db(database).dropDatabase();
      await client.close();
    });

    it('share a tenant: one chain, one order, nothing twice', async () => {
      const tenant = freshTenant();
      const stores = await Promise.all([open(), open(), open()]);
      const commits = Array.from({ length: 300 }, (_, n) =>
        (stores[n % 3] as Store).commit(wholeUnit(tenant, n)),
      );
      const answers = await Promise.all(commits);
      expect(new Set(answers.map(({ auditSeq }) => auditSeq)).size).toBe(300);
      expect(new Set(answers.flatMap(({ intakeSeqs }) => intakeSeqs)).size).toBe(300);
      await expectWhole(stores[0] as Store, tenant, 300);
      await close(stores);
    });

    it('let exactly one of them take a message, and one write a version', async () => {
      const tenant = freshTenant();
      const stores = await Promise.all([open(), open(), open()]);
      for (let n = 0; n < 10; n++) {
        const tries = stores.map((store) => store.commit(wholeUnit(tenant, n)));
        const results = await Promise.allSettled(tries);
        expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
      }
      await expectWhole(stores[0] as Store, tenant, 10);
      await close(stores);
    });

    it('take a tenant from one that died in the middle of a commit', async () => {
      const tenant = freshTenant();
      const store = await openMongoStore({ ...target(), stuckMs: 400 });
      await store.commit(wholeUnit(tenant));
      const dying = await holdTenant(target(), tenant);
      await store.commit(wholeUnit(tenant, 1));
      await expectWhole(store, tenant, 2);
      await store.close();
      await dying.client.close();
    });

    it('end no session once the tenant is free', async () => {
      const [tenant, other] = [freshTenant(), freshTenant()];
      const store = await openMongoStore({ ...target(), stuckMs: 400 });
      await store.commit(wholeUnit(tenant));
      await store.commit(wholeUnit(other));
      const dying = await holdTenant(target(), tenant);
      // It holds something else, and stands behind the dead one in the list.
      const living = await holdTenant(target(), other, `${tenant}/living`);
      await store.commit(wholeUnit(tenant, 1));
      await living.session.commitTransaction();
      await store.commit(wholeUnit(other, 1));
      await expectWhole(store, tenant, 2);
      await store.close();
      await Promise.all([dying.client.close(), living.client.close()]);
    });

    it('wait for one whose transaction lasts, as long as it shows signs of life', async () => {
      const tenant = freshTenant();
      const store = await openMongoStore({ ...target(), stuckMs: 200 });
      await store.commit(wholeUnit(tenant));
      const slow = await holdTenant(target(), tenant);
      const waiting = store.commit(wholeUnit(tenant, 1));
      for (let n = 0; n < 30; n++) {
        await slow.beat();
        await sleep(50);
      }
      await slow.session.commitTransaction();
      await waiting;
      await expectWhole(store, tenant, 2);
      await store.close();
      await slow.client.close();
    });
  });
}

/** What a process leaves behind that is killed after it took the tenant. */
async function holdTenant(
  { url, database }: { url: string; database: string },
  tenant: string,
  registration = `${tenant}/dead`,
) {
  const client = new MongoClient(url);
  const db = client.db(database);
  const writers = db.collection<{ _id: string; beats?: number }>('writers');
  const session = client.startSession();
  session.startTransaction({ writeConcern: { w: 'majority' } });
  const hold = { $inc: { commits: 1 } };
  await db.collection<{ _id: string }>('tenants').updateOne({ _id: tenant }, hold, { session });
  await writers.insertOne({
    _id: registration,
    ...{ tenant, session: session.id?.id.buffer, at: Date.now() },
  });
  const beat = () => writers.updateOne({ _id: registration }, { $inc: { beats: 1 } });
  return { client, session, beat };
}
