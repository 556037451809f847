// A store moved from SQLite to MongoDB and back gives the first one again, row by row and in use.
// For the stand-in and for a real server.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { copyRows } from '../../src/store/copy.ts';
import { openMongoStore } from '../../src/store/mongo/open.ts';
import { openMongoTransfer } from '../../src/store/mongo/transfer.ts';
import type { Store } from '../../src/store/port.ts';
import { openWriter } from '../../src/store/sqlite/connection.ts';
import { openSqliteStore } from '../../src/store/sqlite/open.ts';
import { openSqliteTransfer } from '../../src/store/sqlite/transfer.ts';
import { KINDS, type Transfer } from '../../src/store/transfer.ts';
import { message, plan, resource, T0, token, writing } from '../support/store-units.ts';
import { type Dump, dump, fillStore, using } from './copy-rows.ts';
import { temporaryFolder } from './folder.ts';

const SEED = Math.floor(Math.random() * 2 ** 31);
const TENANTS = ['default', 'a/b%c'];
/** Beyond the first numbers that MongoDB gives a tenant. */
const HIGH_SEQ = 700_000;

export function roundTripSuite(target: () => { url: string; database: string }): void {
  describe(`SQLite to MongoDB and back, seed ${SEED}`, () => {
    const folder = temporaryFolder();
    let first: Dump;
    let moved: Store;
    let back: Store;

    beforeAll(async () => {
      await fillFirst(folder.path('first'));
      first = await using([openSqliteTransfer(folder.path('first'), 'source')], dump);
      const there = openMongoTransfer({ ...target(), use: 'target' });
      await using([openSqliteTransfer(folder.path('first'), 'source'), there], copyAll);
      const from = openMongoTransfer({ ...target(), use: 'source' });
      await using([from, openSqliteTransfer(folder.path('back'), 'target')], copyAll);
      moved = await openMongoStore(target());
      back = await openSqliteStore({ folder: folder.path('back') });
    });
    afterAll(async () => {
      await moved.close();
      await back.close();
      folder.remove();
    });

    it('has something of every kind to move', () => {
      for (const kind of KINDS) expect(first[kind].length, kind).toBeGreaterThan(3);
      expect(first.keys.join()).toMatch(/"destroyedAt":\d+.*"wrapped":""/);
      expect(first.resources.join()).toContain('"forgotten":true');
      expect(first.resources.join()).toContain('"deleted":true');
      expect(first.intake.join()).toContain(Buffer.from('corrected').toString('hex'));
    });

    it('gives the first store again, row by row', async () => {
      await back.close();
      expect(await using([openSqliteTransfer(folder.path('back'), 'source')], dump)).toEqual(first);
      back = await openSqliteStore({ folder: folder.path('back') });
    });

    it('answers reads, searches and counts as the first store does', async () => {
      const store = await openSqliteStore({ folder: folder.path('first') });
      const expected = await answers(store);
      await store.close();
      expect(await answers(moved)).toEqual(expected);
      expect(await answers(back)).toEqual(expected);
    });

    it.each([
      ['MongoDB', () => moved],
      ['SQLite', () => back],
    ])('goes on where the first store stopped: %s', async (_, opened) => {
      const store = opened();
      const [tenant = ''] = TENANTS;
      const newest = (await store.intake.list(tenant, {}, 1))[0]?.seq ?? 0;
      const head = await store.audit.head(tenant);
      const again = store.commit({ tenant, intake: [message({ id: 'm001', dedupe: 'x' })] });
      await expect(again).rejects.toMatchObject({ conflict: { kind: 'duplicate-message' } });
      const done = await store.commit({
        ...writing(tenant, resource('later', { tokens: [token('later')] })),
        intake: [message({ id: 'later' })],
      });
      expect(done.intakeSeqs[0]).toBeGreaterThan(newest);
      expect(done.auditSeq).toBe(head.seq + 1);
      const found = await store.search.find(plan(tenant, { tokens: [[token('later')]] }));
      expect(found.rows.map(({ id }) => id)).toEqual(['later']);
    });

    it('gives no tenant to come a number that a moved message has', async () => {
      const seqs = first.intake.map((row) => (JSON.parse(row) as { seq: number }).seq);
      const fresh = await moved.commit({ tenant: 'fresh', intake: [message()] });
      expect(fresh.intakeSeqs[0]).toBeGreaterThan(Math.max(...seqs));
    });
  });
}

/** The second tenant's messages have high numbers, as after years of use. */
async function fillFirst(folder: string): Promise<void> {
  for (const tenant of TENANTS) {
    const store = await openSqliteStore({ folder });
    await fillStore(store, [tenant], SEED);
    await store.close();
    const db = openWriter(folder, { checkpointPages: 1_000, pagesMax: 0 });
    db.run("UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = 'intake'", HIGH_SEQ);
    db.close();
  }
}

async function copyAll(from: Transfer, to: Transfer): Promise<void> {
  await copyRows(from, to, { rowsMax: 7 });
  await to.admit();
}

/** What the ports of a store say of both tenants. */
async function answers(store: Store): Promise<unknown[]> {
  const all: unknown[] = [await store.intake.waiting(0, 100), await store.audit.tenants()];
  const counts = await store.intake.counts();
  all.push(counts.map((row) => JSON.stringify(Object.entries(row).sort())).sort());
  for (const tenant of TENANTS) {
    all.push(await store.audit.head(tenant), await store.resources.counts(tenant));
    all.push((await store.intake.inbox(tenant, 'key-4', 10)).map(({ id, seq }) => [id, seq]));
    const ranges = [{ param: 'date', low: T0, high: T0 + 5e5, test: 'overlaps' } as const];
    for (const set of [{ tokens: [[token('all')]] }, { ranges }, { compartments: ['gone', 'p'] }]) {
      const { rows } = await store.search.find(plan(tenant, set));
      all.push(rows.map(({ id, version }) => [id, version]));
    }
  }
  return all;
}
