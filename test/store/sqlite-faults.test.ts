// What is special to the SQLite store when things go wrong: a full database, a poisoned unit, a
// closed store, a client in another thread, values that must be gone from the disk.
import { spawnSync } from 'node:child_process';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterAll, describe, expect, it } from 'vitest';
import type { AuditDraft } from '../../src/store/port.ts';
import { openSqliteClient } from '../../src/store/sqlite/client.ts';
import { openSqliteStore } from '../../src/store/sqlite/open.ts';
import { dataKey, plan, resource, sealed, token, writing } from '../support/store-units.ts';
import { temporaryFolder } from './folder.ts';

const files = temporaryFolder();
afterAll(() => files.remove());

describe('a group of units', () => {
  it('is not hurt by a unit with a value that cannot be stored', async () => {
    const store = await openSqliteStore({ folder: files.path('poison') });
    const broken = { at: Number.NaN, entry: '{}' } satisfies AuditDraft;
    const results = await Promise.allSettled(
      Array.from({ length: 12 }, (_, n) => {
        const unit = writing('t', resource(`p${n}`, { tokens: [token(`${n}`)] }));
        return store.commit(n === 5 ? { ...unit, audit: [broken] } : unit);
      }),
    );
    const failed = results.flatMap((result, n) => (result.status === 'rejected' ? [n] : []));
    expect(failed).toEqual([5]);
    expect(results[5]).toMatchObject({ reason: { code: 'INTERNAL' } });
    expect(await store.resources.counts('t')).toEqual([{ type: 'Patient', count: 11 }]);
    expect((await store.audit.head('t')).seq).toBe(11);
    expect(await store.search.count(plan('t', { tokens: [[token('5')]] }), 9)).toBe(0);
    await store.close();
  });

  it('acknowledges nothing that does not fit on the disk, and goes on with what does', async () => {
    const folder = files.path('full');
    const store = await openSqliteStore({ folder, pagesMax: 400, groupUnitsMax: 8 });
    const body = { keyId: 'k', bytes: new Uint8Array(20_000) };
    const results = await Promise.allSettled(
      Array.from({ length: 120 }, (_, n) =>
        store.commit(writing('t', resource(`p${n}`, { body }))),
      ),
    );
    const kept = results.filter(({ status }) => status === 'fulfilled').length;
    expect(kept).toBeGreaterThan(10);
    expect(kept).toBeLessThan(120);
    for (const result of results) {
      if (result.status === 'rejected') expect(result.reason.code).toBe('STORE_UNAVAILABLE');
    }
    expect(await store.resources.counts('t')).toEqual([{ type: 'Patient', count: kept }]);
    await store.close();
    const roomier = await openSqliteStore({ folder });
    expect((await roomier.audit.head('t')).seq).toBe(kept);
    await roomier.commit(writing('t', resource('last', { body })));
    await roomier.close();
  });
});

describe('threads', () => {
  it('commits from another thread through the same writer', async () => {
    const folder = files.path('threads');
    const store = await openSqliteStore({ folder });
    const port = store.connect();
    const client = new Worker(new URL('./client-thread.ts', import.meta.url), {
      workerData: { folder, port },
      transferList: [port],
    });
    const told = new Promise<number>((resolve, reject) => {
      client.once('message', resolve);
      client.once('error', reject);
    });
    const own = Array.from({ length: 100 }, (_, n) =>
      store.commit(writing('t', resource(`own${n}`))),
    );
    await Promise.all(own);
    expect(await told).toBe(100);
    expect(await store.resources.counts('t')).toEqual([{ type: 'Patient', count: 200 }]);
    expect((await store.audit.head('t')).seq).toBe(200);
    await store.close();
  });

  it('refuses commits of a client whose store was closed', async () => {
    const folder = files.path('gone');
    const store = await openSqliteStore({ folder });
    const client = openSqliteClient({ folder, port: store.connect() });
    await client.commit(writing('t', resource('p1')));
    await store.close();
    await expect(client.commit(writing('t', resource('p2')))).rejects.toMatchObject({
      code: 'STORE_UNAVAILABLE',
    });
    await client.close();
    await expect(client.commit({ tenant: 't' })).rejects.toMatchObject({ code: 'CLOSING' });
  });

  it('takes no more calls at once than it was told', async () => {
    const store = await openSqliteStore({ folder: files.path('bounded'), callsMax: 3 });
    const results = await Promise.allSettled(
      Array.from({ length: 5 }, (_, n) => store.commit(writing('t', resource(`p${n}`)))),
    );
    expect(results.map(({ status }) => status === 'fulfilled')).toEqual([
      true,
      true,
      true,
      false,
      false,
    ]);
    expect(results[4]).toMatchObject({ reason: { code: 'OVERLOADED' } });
    await store.commit(writing('t', resource('later')));
    await store.close();
  });

  it('takes no more bytes at once than it was told, but any single unit', async () => {
    const store = await openSqliteStore({ folder: files.path('heavy'), bytesMax: 1000 });
    const body = { keyId: 'k', bytes: new Uint8Array(600) };
    const write = (id: string) => store.commit(writing('t', resource(id, { body })));
    const results = await Promise.allSettled([write('p1'), write('p2')]);
    expect(results[1]).toMatchObject({ reason: { code: 'OVERLOADED' } });
    await write('p3');
    const huge = { keyId: 'k', bytes: new Uint8Array(5000) };
    await store.commit(writing('t', resource('p4', { body: huge })));
    expect(await store.resources.counts('t')).toEqual([{ type: 'Patient', count: 3 }]);
    await store.close();
  });
});

describe('files', () => {
  it('are readable by their owner only', async () => {
    const folder = files.path('modes');
    const store = await openSqliteStore({ folder });
    await store.commit(writing('t', resource('p1')));
    const copy = files.path('modes-backup');
    await store.backup(copy);
    for (const path of [folder, copy]) {
      expect(statSync(path).mode & 0o777).toBe(0o700);
      for (const name of readdirSync(path)) {
        expect(statSync(join(path, name)).mode & 0o777, name).toBe(0o600);
      }
    }
    await store.close();
  });

  it('hold nothing of a wrapped key after it is destroyed or wrapped anew', async () => {
    const folder = files.path('erased');
    const store = await openSqliteStore({ folder });
    const secret = (n: number): string => `wrapped-secret-${String(n).padStart(45, '0')}`;
    const key = (n: number) =>
      dataKey(`k${n}`, { compartment: `p${n}`, wrapped: sealed(secret(n)).bytes });
    for (let n = 0; n < 1000; n += 50) {
      await store.commit({ tenant: 't', keys: Array.from({ length: 50 }, (_, k) => key(n + k)) });
    }
    await store.backup(files.path('before'));
    expect(found(files.path('before'), secret(500))).toBe(true);
    const rewrapped = { ...key(7), rewrap: true, wrapped: sealed(secret(9007)).bytes };
    await store.commit({ tenant: 't', keys: [rewrapped] });
    const victims = [0, 63, 500, 501, 999];
    for (const n of victims) {
      await store.commit({ tenant: 't', forget: { compartment: `p${n}`, keyIds: [`k${n}`] } });
    }
    // Looked for while the store is open: the last commit's resolution is the promise.
    for (const n of [...victims, 7]) expect(found(folder, secret(n)), `key ${n}`).toBe(false);
    expect(found(folder, secret(502))).toBe(true);
    expect(found(folder, secret(9007))).toBe(true);
    await store.backup(files.path('afterwards'));
    expect(found(files.path('afterwards'), secret(500))).toBe(false);
    await store.close();
  });
});

/** Searched by another process: a handle closed in this one would drop SQLite's file locks. */
function found(folder: string, text: string): boolean {
  const grep = spawnSync('grep', ['-r', '-a', '-q', '-F', text, folder]);
  if (grep.status !== 0 && grep.status !== 1) throw new Error(`grep ended with ${grep.status}`);
  return grep.status === 0;
}
