// What every store adapter must do. An adapter's test calls storeContract with a way to open it;
// nothing here knows which adapter runs. Each test works in a tenant of its own.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Store } from '../../src/store/port.ts';
import { freshTenant, resource, writing } from '../support/store-units.ts';
import { commitContract } from './store-commit.ts';
import { intakeContract } from './store-intake.ts';
import { ledgerContract } from './store-ledger.ts';
import { resourceContract } from './store-resources.ts';
import { searchContract } from './store-search.ts';
import { searchModelContract } from './store-search-model.ts';

export interface StoreHarness {
  /** Opens the store; called again after close, it opens the same data. */
  open(): Promise<Store>;
  /** A name for `store.backup` that is not used yet. */
  newBackupFolder(): Promise<string>;
  openBackup(folder: string): Promise<Store>;
  /** Removes everything. */
  clean(): Promise<void>;
}

export function storeContract(name: string, harness: StoreHarness): void {
  describe(`store contract: ${name}`, () => {
    let store: Store;
    const current = (): Store => store;
    beforeAll(async () => {
      store = await harness.open();
    });
    afterAll(async () => {
      await store.close();
      await harness.clean();
    });
    commitContract(current);
    intakeContract(current);
    resourceContract(current);
    searchContract(current);
    searchModelContract(current);
    ledgerContract(current);
    lifeContract(current, harness, (opened) => {
      store = opened;
    });
  });
}

function lifeContract(
  store: () => Store,
  harness: StoreHarness,
  replace: (opened: Store) => void,
): void {
  describe('backup and close', () => {
    it('copies a consistent state while units are committed', async () => {
      const tenant = freshTenant();
      const commits: Promise<unknown>[] = [];
      const write = (n: number): void => {
        const pair = [resource(`a${n}`), resource(`b${n}`)];
        commits.push(store().commit(writing(tenant, ...pair)));
      };
      for (let n = 0; n < 50; n++) write(n);
      await Promise.all(commits);
      const folder = await harness.newBackupFolder();
      const copied = store().backup(folder);
      for (let n = 50; n < 300; n++) write(n);
      await Promise.all([copied, ...commits]);

      const backup = await harness.openBackup(folder);
      const [row] = await backup.resources.counts(tenant);
      expect(row?.count).toBeGreaterThanOrEqual(100);
      expect(row?.count).toBeLessThanOrEqual(600);
      expect((row?.count ?? 1) % 2).toBe(0);
      expect((await backup.audit.head(tenant)).seq).toBe(row?.count);
      await backup.commit(writing(tenant, resource('after-restore')));
      await backup.close();
    });

    it('refuses to write a backup over a folder that exists', async () => {
      const folder = await harness.newBackupFolder();
      await store().backup(folder);
      await expect(store().backup(folder)).rejects.toMatchObject({ name: 'EngineError' });
    });

    it('finishes what was taken, then answers CLOSING, and keeps the data', async () => {
      const tenant = freshTenant();
      const taken = Array.from({ length: 50 }, (_, n) =>
        store().commit(writing(tenant, resource(`r${n}`))),
      );
      const closed = store().close();
      await expect(store().commit({ tenant })).rejects.toMatchObject({ code: 'CLOSING' });
      await expect(store().audit.head(tenant)).rejects.toMatchObject({ code: 'CLOSING' });
      await expect(store().audit.tenants()).rejects.toMatchObject({ code: 'CLOSING' });
      await Promise.all(taken);
      await closed;
      await store().close();
      replace(await harness.open());
      expect(await store().resources.counts(tenant)).toEqual([{ type: 'Patient', count: 50 }]);
    });
  });
}
