// A process that commits is killed at random moments: what was acknowledged is there, whole.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, expect, it } from 'vitest';
import { linkHash, ZERO_HASH } from '../../src/audit/chain.ts';
import type { Store } from '../../src/store/port.ts';
import { openSqliteStore } from '../../src/store/sqlite/open.ts';
import { plan, randomFrom, token } from '../support/store-units.ts';
import { temporaryFolder } from './folder.ts';

const ROUNDS = 10;
const seed = Math.floor(Math.random() * 2 ** 31);
const files = temporaryFolder();
afterAll(() => files.remove());

it(`keeps every acknowledged unit whole through ${ROUNDS} kill -9, seed ${seed}`, async () => {
  const random = randomFrom(seed);
  const folder = files.path('data');
  const acknowledged = new Set<number>();
  for (let round = 0; round < ROUNDS; round++) {
    const child = startWriter(folder, round * 1_000_000);
    const told = readNumbers(child);
    await told.opened;
    await wait(random() * 250);
    child.kill('SIGKILL');
    await once(child, 'close');
    for (const n of told.numbers()) acknowledged.add(n);

    const store = await openSqliteStore({ folder });
    await checkUnits(store, acknowledged);
    await store.close();
  }
  expect(acknowledged.size).toBeGreaterThan(ROUNDS);
}, 120_000);

it('is refused while another process has the folder, and not a moment longer', async () => {
  const folder = files.path('locked');
  const child = startWriter(folder, 0);
  await readNumbers(child).opened;
  await expect(openSqliteStore({ folder })).rejects.toMatchObject({ code: 'STORE_LOCKED' });
  child.kill('SIGKILL');
  await once(child, 'exit');
  const store = await openSqliteStore({ folder });
  await expect(openSqliteStore({ folder })).rejects.toMatchObject({ code: 'STORE_LOCKED' });
  await expect(openSqliteStore({ folder })).rejects.toMatchObject({ code: 'STORE_LOCKED' });
  expect((await store.audit.head('none')).seq).toBe(0);
  await store.close();
}, 60_000);

function startWriter(folder: string, first: number): ChildProcess {
  const script = new URL('./crash-writer.ts', import.meta.url).pathname;
  const stdio: ['ignore', 'pipe', 'inherit'] = ['ignore', 'pipe', 'inherit'];
  return spawn(process.execPath, [script, folder, String(first)], { stdio });
}

/** What the child printed; a line that was cut off by the kill does not count. */
function readNumbers(child: ChildProcess): { opened: Promise<unknown>; numbers(): number[] } {
  let text = '';
  const opened = new Promise((resolve, reject) => {
    child.stdout?.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      if (text.startsWith('open\n')) resolve(undefined);
    });
    child.once('exit', () => reject(new Error('the writer ended before it opened the store')));
  });
  const lines = (): string[] => text.split('\n').slice(1, -1);
  return { opened, numbers: () => lines().map(Number) };
}

async function checkUnits(store: Store, acknowledged: Set<number>): Promise<void> {
  const entries = await store.audit.entries('crash', 1, 10_000_000);
  let hash = ZERO_HASH;
  entries.forEach((row, index) => {
    hash = linkHash(hash, row.seq, row.at, row.entry);
    expect([row.seq, row.hash]).toEqual([index + 1, hash]);
  });
  const committed = new Set(entries.map((row) => (JSON.parse(row.entry) as { n: number }).n));
  expect(entries).toHaveLength(committed.size * 2);
  for (const n of acknowledged) expect(committed.has(n), `unit ${n} is lost`).toBe(true);

  const refs = [...committed]
    .flatMap((n) => [`a${n}`, `b${n}`])
    .map((id) => ({ type: 'Patient', id }));
  const heads = await store.resources.heads('crash', refs);
  expect(heads.every((head) => head?.version === 1)).toBe(true);
  const both = committed.size * 2;
  expect(await store.resources.counts('crash')).toEqual([{ type: 'Patient', count: both }]);
  const tokens = plan('crash', { tokens: [[token('all')]] });
  expect(await store.search.count(tokens, 10_000_000)).toBe(both);
  const ranges = [{ param: 'n', test: 'present' as const, low: 0, high: 0 }];
  expect(await store.search.count(plan('crash', { ranges }), 10_000_000)).toBe(both);
  for (const n of committed) {
    expect(await store.intake.get('crash', `m${n}`), `message ${n} is lost`).toBeDefined();
  }
  const [counts] = await store.intake.counts();
  expect(counts).toMatchObject({ count: committed.size, state: 'received' });
}
