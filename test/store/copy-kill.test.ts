// A process that moves a store is killed at random moments and started again until it is done:
// the target is equal to the source, in both directions.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openMongoTransfer } from '../../src/store/mongo/transfer.ts';
import { openSqliteStore } from '../../src/store/sqlite/open.ts';
import { openSqliteTransfer } from '../../src/store/sqlite/transfer.ts';
import type { Transfer } from '../../src/store/transfer.ts';
import { type StandIn, startMongoStandIn } from '../support/mongo/server.ts';
import { randomFrom } from '../support/store-units.ts';
import { type Dump, dump, fillStore } from './copy-rows.ts';
import { temporaryFolder } from './folder.ts';

const SEED = Math.floor(Math.random() * 2 ** 31);
const KILLS = 5;
/** As copy-process.ts has it. */
const PAGE_ROWS = 2;
const random = randomFrom(SEED);
const folder = temporaryFolder();
let server: StandIn;
let first: Dump;

beforeAll(async () => {
  server = await startMongoStandIn({ port: 0 });
  const store = await openSqliteStore({ folder: folder.path('first') });
  await fillStore(store, ['default', 'other'], SEED);
  await store.close();
  first = await dumpOf(await openSqliteTransfer(folder.path('first'), 'source'));
});
afterAll(async () => {
  await server.stop();
  expect(server.refused).toEqual([]);
  folder.remove();
});

async function dumpOf(transfer: Transfer): Promise<Dump> {
  try {
    return await dump(transfer);
  } finally {
    await transfer.close();
  }
}

describe(`a move killed ${KILLS} times, seed ${SEED}`, () => {
  it('is whole from SQLite to MongoDB', async () => {
    await moveWithKills(folder.path('first'), 'database:killed');
    const target = { url: server.url, database: 'killed', use: 'source' } as const;
    expect(await dumpOf(await openMongoTransfer(target))).toEqual(first);
  }, 120_000);

  it('is whole from MongoDB to SQLite', async () => {
    await moveWithKills('database:killed', folder.path('back'));
    expect(await dumpOf(await openSqliteTransfer(folder.path('back'), 'source'))).toEqual(first);
  }, 120_000);
});

async function moveWithKills(from: string, to: string): Promise<void> {
  let copied = 0;
  let kills = 0;
  let last = await move(from, to, randomPages());
  while (last.code === null) {
    kills += 1;
    copied += last.pages;
    last = await move(from, to, kills < KILLS ? randomPages() : Number.POSITIVE_INFINITY);
  }
  expect(last.code, last.errors).toBe(0);
  // A fast machine may be done before the last kills.
  expect(kills).toBeGreaterThanOrEqual(2);
  // The last run went on behind what the killed ones had told.
  const lists = Object.values(first);
  const pages = lists.reduce((sum, rows) => sum + Math.ceil(rows.length / PAGE_ROWS), 0);
  expect(last.pages).toBeLessThanOrEqual(pages - copied);
}

function randomPages(): number {
  return 1 + Math.floor(random() * 20);
}

/** Kills it a moment after so many pages. */
async function move(from: string, to: string, pagesMax: number) {
  const script = new URL('./copy-process.ts', import.meta.url).pathname;
  const child = spawn(process.execPath, [script, from, to, server.url]);
  let errors = '';
  child.stderr.on('data', (chunk: Buffer) => {
    errors += chunk.toString('utf8');
  });
  const gone = once(child, 'exit');
  let pages = 0;
  for await (const line of createInterface({ input: child.stdout })) {
    if (line === 'copying') pages += 1;
    if (line !== 'copying' || pages !== pagesMax) continue;
    await wait(random() * 3);
    child.kill('SIGKILL');
  }
  const [code] = await gone;
  return { code: code as number | null, pages, errors };
}
