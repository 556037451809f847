// A store with something of every kind in it, and all rows of a store as plain values.
import type { Store } from '../../src/store/port.ts';
import { KINDS, type Kind, type Transfer } from '../../src/store/transfer.ts';
import {
  credential,
  dataKey,
  message,
  randomFrom,
  resource,
  sealed,
  T0,
  token,
  transition,
  writing,
} from '../support/store-units.ts';

const CHECKPOINT = { hash: 'ab'.repeat(32), at: T0, signature: 'signed', keyId: 'sign' };

/** Tenants whose rows have every field set to something in one of them. */
export async function fillStore(store: Store, tenants: string[], seed: number): Promise<void> {
  const random = randomFrom(seed);
  for (const tenant of tenants) {
    await fillKeys(store, tenant);
    await fillMessages(store, tenant, random);
    await fillResources(store, tenant, random);
    const { seq } = await store.audit.head(tenant);
    await store.commit({ tenant, checkpoint: { ...CHECKPOINT, seq } });
    await store.commit({ tenant, checkpoint: { ...CHECKPOINT, seq, at: T0 + 1 } });
    await store.commit({ tenant, forget: { compartment: 'gone', keyIds: ['d/gone/0'] } });
  }
}

async function fillKeys(store: Store, tenant: string): Promise<void> {
  const keys = [
    dataKey('t0001', { kind: 'tenant', wrappedBy: 'root' }),
    dataKey('d/gone/0', { compartment: 'gone' }),
    dataKey('d/p/0', { compartment: 'p' }),
  ];
  const credentials = [
    credential(`a ${tenant}`, { revokedAt: T0 + 1 }),
    credential(`b ${tenant}`, { expiresAt: T0 + 2, scopes: ['admin/*.r', 'system/*.rs'] }),
  ];
  await store.commit({ tenant, keys, credentials, audit: [{ at: T0, entry: '{"a":1}' }] });
  const wrapped = new TextEncoder().encode('wrapped anew!');
  await store.commit({ tenant, keys: [dataKey('d/p/0', { wrapped, rewrap: true })] });
}

async function fillMessages(store: Store, tenant: string, random: () => number): Promise<void> {
  const commits: Promise<unknown>[] = [];
  for (let n = 0; n < 40; n++) {
    const bytes = new Uint8Array(Array.from({ length: 50 }, () => Math.floor(random() * 256)));
    const id = `m${String(n).padStart(3, '0')}`;
    const row = message({
      id,
      channel: n % 2 === 0 ? 'adt' : 'lab',
      orderingKey: `key-${n % 7}`,
      dedupe: n % 3 === 0 ? null : `dedupe ${n}`,
      body: { keyId: 'd/p/0', bytes },
      ...(n % 5 === 0 ? { state: 'set-aside', detail: sealed('why not') } : {}),
    });
    commits.push(store.commit({ tenant, intake: [row] }));
    if (n % 5 === 0 || n % 4 === 0) continue;
    const body = n % 6 === 0 ? { body: sealed('corrected', 'd/p/0') } : {};
    const move = transition(id, { attempts: n, compartment: 'p', detail: sealed('done'), ...body });
    const audit = [{ at: T0 + n, entry: `${n}` }];
    commits.push(store.commit({ tenant, transitions: [move], audit }));
  }
  await Promise.all(commits);
}

async function fillResources(store: Store, tenant: string, random: () => number): Promise<void> {
  const commits: Promise<unknown>[] = [];
  for (let n = 0; n < 60; n++) {
    const type = n % 3 === 0 ? 'Observation' : 'Patient';
    const compartment = n % 4 === 0 ? 'gone' : n % 4 === 1 ? 'p' : null;
    const versions = 1 + Math.floor(random() * 4);
    for (let expected = 0; expected < versions; expected++) {
      const deleted = n % 10 === 7 && expected === versions - 1;
      const at = T0 + random() * 1e6;
      const ranges = [
        { param: 'date', low: Math.floor(at), high: Math.floor(at) + 1000 },
        { param: 'value-quantity', low: random(), high: 1.5 },
      ];
      const tokens = [token('all'), token(`n${n}`), token(`v${expected}`)];
      const body = sealed(`${type} ${n} ${expected} ${random()}`, 'd/p/0');
      const set = { type, expected, compartment, deleted, tokens, ranges, body };
      commits.push(store.commit(writing(tenant, resource(`r-${n}`, set))));
    }
  }
  await Promise.all(commits);
}

export type Dump = Record<Kind, string[]>;

/** Every row as JSON, bytes in hex, sorted: equal stores have equal dumps. */
export async function dump(transfer: Transfer): Promise<Dump> {
  const lists: Partial<Dump> = {};
  for (const kind of KINDS) {
    const rows: string[] = [];
    for await (const { row } of transfer.rows(kind, null)) rows.push(plain(row));
    lists[kind] = rows.sort();
  }
  return lists as Dump;
}

function plain(row: object): string {
  return JSON.stringify(row, (_, value) => {
    if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
    if (value === null || typeof value !== 'object' || Array.isArray(value)) return value;
    // Buffer has a toJSON of its own, which ran already.
    if (value.type === 'Buffer') return Buffer.from(value.data).toString('hex');
    return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}

/** Opens, uses and closes. */
export async function using<T>(
  opening: Promise<Transfer>[],
  use: (...opened: [Transfer, Transfer]) => Promise<T>,
): Promise<T> {
  const opened: Transfer[] = [];
  try {
    for (const one of opening) opened.push(await one);
    return await use(...(opened as [Transfer, Transfer]));
  } finally {
    for (const one of opened) await one.close();
  }
}
