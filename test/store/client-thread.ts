// A thread that writes a hundred resources through a store it was connected to.
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { openSqliteClient } from '../../src/store/sqlite/client.ts';
import { resource, writing } from '../support/store-units.ts';

const { folder, port } = workerData as { folder: string; port: MessagePort };
const store = openSqliteClient({ folder, port });
const written = Array.from({ length: 100 }, async (_, n) => {
  await store.commit(writing('t', resource(`thread${n}`)));
  const ref = { type: 'Patient', id: `thread${n}` };
  const page = await store.resources.history('t', ref, 1);
  return page.length === 1 && (await store.resources.read('t', ref))?.version === 1;
});
const good = (await Promise.all(written)).filter(Boolean).length;
await store.close();
parentPort?.postMessage(good);
