// The MongoDB store over a network that fails: whatever is lost on the way, a unit is applied
// exactly once, or not at all and the caller is told. For the stand-in and for a real server.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type MongoOptions, openMongoStore } from '../../src/store/mongo/open.ts';
import type { Store } from '../../src/store/port.ts';
import { type MongoProxy, startMongoProxy } from '../support/mongo/proxy.ts';
import { freshTenant, randomFrom } from '../support/store-units.ts';
import { expectWhole, wholeUnit } from './mongo-processes.ts';

/** A reply that takes longer is lost: tried again, so that a slow machine costs only time. */
const TUNING = { selectionTimeoutMs: 3_000, replyTimeoutMs: 2_000, commitWaitMs: 60_000 };
const PATIENCE = { timeout: 20_000 };
/** A commit of one unit over all parts is of ten requests. */
const REQUESTS = Array.from({ length: 11 }, (_, n) => n + 1);
const ROWS = [
  ...REQUESTS.flatMap((nth) => (['cut', 'lost-reply'] as const).map((kind) => ({ kind, nth }))),
  ...[1, 6, 10].map((nth) => ({ kind: 'half-open', nth }) as const),
];
const UNITS = 200;
/** Writing to a socket that has just been closed, it waits for its drain, without a time limit. */
const POLLED = 'driver 7.9 may never look again for a server whose hello has no topologyVersion';
/** Set to a printed seed to replay it. */
const SEED: number | undefined = undefined;

export function networkSuite(target: () => { url: string; database: string }): void {
  describe('a network that fails', () => {
    let proxy: MongoProxy;
    let store: Store;
    let polled: boolean;
    const open = (set: Partial<MongoOptions> = {}): Promise<Store> =>
      openMongoStore({ ...target(), url: proxy.url, ...TUNING, ...set });

    beforeAll(async () => {
      // Indexes may take longer than a reply.
      await (await openMongoStore(target())).close();
      proxy = await startMongoProxy(target().url);
      polled = proxy.polled;
      store = await open();
    });
    afterEach(() => proxy.clearFaults());
    afterAll(async () => {
      await store.close();
      await proxy.close();
    });

    it.each(ROWS)('applies the unit once: $kind at request $nth', async ({ kind, nth }) => {
      const tenant = freshTenant();
      await store.commit(wholeUnit(tenant));
      proxy.fault(kind, nth);
      expect(await store.commit(wholeUnit(tenant, 1))).toMatchObject({ auditSeq: 2 });
      await expectWhole(store, tenant, 2);
    });

    it('loses and doubles nothing when the server is away for a moment', async ({ skip }) => {
      skip(polled, POLLED);
      const tenant = freshTenant();
      await store.commit(wholeUnit(tenant));
      const commits: Promise<unknown>[] = [];
      for (let n = 1; n <= 60; n++) {
        commits.push(store.commit(wholeUnit(tenant, n)));
        if (n === 20) await proxy.down();
        if (n === 40) await proxy.up();
        await sleep(2);
      }
      await Promise.all(commits);
      await expectWhole(store, tenant, 61);
    });

    it('answers STORE_UNAVAILABLE while it is away, and goes on by itself', async ({ skip }) => {
      skip(polled, POLLED);
      const hasty = await open({ selectionTimeoutMs: 300, commitWaitMs: 300 });
      const tenant = freshTenant();
      await store.commit(wholeUnit(tenant));
      await proxy.down();
      const away = { code: 'STORE_UNAVAILABLE' };
      await expect(hasty.commit(wholeUnit(tenant, 1))).rejects.toMatchObject(away);
      await expect(hasty.intake.get(tenant, 'm0')).rejects.toMatchObject(away);
      await proxy.up();
      await expect.poll(() => hasty.intake.get(tenant, 'm0'), PATIENCE).toBeDefined();
      await store.commit(wholeUnit(tenant, 2));
      await expectWhole(store, tenant, 2);
      await hasty.close();
    });

    const seed = SEED ?? Math.floor(Math.random() * 2 ** 31);
    it(`loses and doubles nothing: three processes, seed ${seed}`, {
      timeout: 120_000,
    }, async () => {
      const random = randomFrom(seed);
      const stores = await Promise.all([open(), open(), open()]);
      const tenant = freshTenant();
      const commits: Promise<unknown>[] = [];
      for (let n = 0; n < UNITS; n++) {
        if (random() < 0.15) proxy.fault(random() < 0.5 ? 'cut' : 'lost-reply', 1 + (n % 7));
        if (random() < 0.01) proxy.fault('half-open');
        commits.push((stores[n % 3] as Store).commit(wholeUnit(tenant, n)));
        if (random() < 0.3) await sleep(3);
      }
      const answers = await Promise.allSettled(commits);
      proxy.clearFaults();
      expect(answers.filter(({ status }) => status === 'rejected')).toEqual([]);
      await expectWhole(store, tenant, UNITS);
      await Promise.all(stores.map((opened) => opened.close()));
    });
  });
}
