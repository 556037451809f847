// Readiness tells why the store takes no writes, and that it takes them again, by itself.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, describe, expect, it } from 'vitest';
import { probeStore } from '../../src/assembly/store-probe.ts';
import { openMongoStore } from '../../src/store/mongo/open.ts';
import type { Store, StoreCondition } from '../../src/store/port.ts';
import { openSqliteStore } from '../../src/store/sqlite/open.ts';
import type { EventName } from '../../src/telemetry/events.ts';
import { fillDisk, mountSmallDisk } from '../faults/disk.ts';
import { newFolder, removeFolders } from '../support/engine.ts';
import { startMongoStandIn } from '../support/mongo/server.ts';
import { resource, writing } from '../support/store-units.ts';

afterAll(removeFolders);

const disk = mountSmallDisk(16);
afterAll(() => disk?.remove());

interface Watched {
  events: EventName[];
  until(wanted: StoreCondition): Promise<void>;
  close(): void;
}

function watch(store: Parameters<typeof probeStore>[0]): Watched {
  const events: EventName[] = [];
  const probe = probeStore(store, { emit: (name) => void events.push(name) }, 20);
  return {
    events,
    async until(wanted) {
      while (probe.condition() !== wanted) await sleep(10);
    },
    close: () => probe.close(),
  };
}

const BODY = { keyId: 'k', bytes: new Uint8Array(100_000) };

/** Commits bodies of that size until one is refused. */
async function fill(store: Pick<Store, 'commit'>, bytes: number): Promise<void> {
  const body = { keyId: 'k', bytes: new Uint8Array(bytes) };
  for (let n = 0; ; n += 1) {
    const done = await store.commit(writing('t', resource(`p${bytes}-${n}`, { body }))).then(
      () => true,
      () => false,
    );
    if (!done) return;
  }
}

describe('SQLite', () => {
  it('is not ready when the database may not grow', async () => {
    const store = await openSqliteStore({ folder: newFolder(), pagesMax: 300 });
    const watched = watch(store);
    await watched.until('ok');
    for (const bytes of [100_000, 10_000]) await fill(store, bytes);
    await watched.until('disk full');
    expect(watched.events).toEqual(['store.unwritable']);
    watched.close();
    await store.close();
  });

  it.skipIf(disk === undefined)('is ready again when a full disk has room (tmpfs)', async () => {
    if (disk === undefined) return;
    const store = await openSqliteStore({ folder: `${disk.folder}/store` });
    const watched = watch(store);
    await store.commit(writing('t', resource('first', { body: BODY })));
    const filler = fillDisk(disk.folder);
    await watched.until('disk full');
    filler.free();
    await watched.until('ok');
    await store.commit(writing('t', resource('second', { body: BODY })));
    expect(watched.events).toEqual(['store.unwritable', 'store.writable']);
    watched.close();
    await store.close();
  });
});

describe('MongoDB (stand-in)', () => {
  it('is not ready without a server, and ready again when it is back', async () => {
    const server = await startMongoStandIn({ port: 0, majorityCommits: true });
    const store = await openMongoStore({
      ...{ url: server.url, database: 'probe', selectionTimeoutMs: 200, replyTimeoutMs: 200 },
    });
    const watched = watch(store);
    await watched.until('ok');
    await server.down();
    await watched.until('no answer');
    await server.up();
    await watched.until('ok');
    expect(watched.events).toEqual(['store.unwritable', 'store.writable']);
    watched.close();
    await store.close();
    await server.stop();
  });
});
