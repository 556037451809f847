// The MongoDB store over a network that fails: whatever is lost on the way, a unit is applied
// exactly once, or not at all and the caller is told. For the stand-in and for a real server.
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type MongoOptions, openMongoStore } from '../../src/store/mongo/open.ts';
import type { Store } from '../../src/store/port.ts';
import { type MongoProxy, startMongoProxy } from '../support/mongo/proxy.ts';
import { freshTenant, message, randomFrom } from '../support/store-units.ts';
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
/** More than the machines at both ends keep of a request that nobody reads. */
const LARGE_BYTES = 8 * 1024 * 1024;
/** The request that carries the message, of those of a commit. */
const MESSAGE_REQUEST = 6;
/** The driver looks for a server at once, but for half a second after it looked. */
const CHECK_PAUSE_MS = 700;
/** Set to a printed seed to replay it. */
const SEED: number | undefined = undefined;

export function networkSuite(target: () => { url: string; database: string }): void {
  describe('a network that fails', () => {
    let proxy: MongoProxy;
    let store: Store;
    const open = (set: Partial<MongoOptions> = {}): Promise<Store> =>
      openMongoStore({ ...target(), url: proxy.url, ...TUNING, ...set });

    beforeAll(async () => {
      // Indexes may take longer than a reply.
      await (await openMongoStore(target())).close();
      proxy = await startMongoProxy(target().url);
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

    it('applies the unit once: half-open in the middle of a large request', async () => {
      const tenant = freshTenant();
      await store.commit(wholeUnit(tenant));
      proxy.fault('half-open', MESSAGE_REQUEST);
      const body = { keyId: 'key-1', bytes: new Uint8Array(LARGE_BYTES) };
      const intake = [message({ id: 'm1', dedupe: 'd1', body })];
      const answer = await store.commit({ ...wholeUnit(tenant, 1), intake });
      expect(answer).toMatchObject({ auditSeq: 2 });
      await expectWhole(store, tenant, 2);
    });

    it('finds the server again when all connections closed in one moment', async () => {
      const tenant = freshTenant();
      await store.commit(wholeUnit(tenant));
      await sleep(CHECK_PAUSE_MS);
      proxy.fault('half-open');
      const commit = store.commit(wholeUnit(tenant, 1));
      await sleep(50);
      await proxy.down();
      await proxy.up();
      await commit;
      await expectWhole(store, tenant, 2);
    });

    it('answers the calls that begin while their connection closes', async () => {
      const tenant = freshTenant();
      const sockets: Socket[] = [];
      const onSocket = (connection: unknown): void => {
        sockets.push((connection as { socket: Socket }).socket);
      };
      subscribe('net.client.socket', onSocket);
      const opened = await open();
      await opened.commit(wholeUnit(tenant));
      unsubscribe('net.client.socket', onSocket);
      const calls: Promise<unknown>[] = [];
      for (const socket of sockets) {
        socket.once('end', () => {
          calls.push(opened.commit(wholeUnit(tenant, calls.length + 1)));
        });
      }
      await proxy.down();
      await proxy.up();
      await expect.poll(() => calls.length, PATIENCE).toBeGreaterThan(0);
      await Promise.all(calls);
      await expectWhole(opened, tenant, calls.length + 1);
      await opened.close();
    });

    it('loses and doubles nothing when the server is away for a moment', async () => {
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

    it('answers STORE_UNAVAILABLE while it is away, and goes on by itself', async () => {
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
