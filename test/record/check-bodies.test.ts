// The check of all bodies finds and names every damaged record, over any number of pages, on both
// engines; a table that cannot be read does not end it.
import { afterAll, describe, expect, it } from 'vitest';
import { makeRootKeys } from '../../src/crypto/keys.ts';
import { EngineError } from '../../src/model/errors.ts';
import { acceptMessages } from '../../src/record/accept.ts';
import { type BodiesPage, checkBodies } from '../../src/record/check-bodies.ts';
import { type ClinicalRecord, openRecord } from '../../src/record/context.ts';
import { forgetPatient } from '../../src/record/forget.ts';
import { updateResource } from '../../src/record/update.ts';
import { openMongoStore } from '../../src/store/mongo/open.ts';
import type { Store } from '../../src/store/port.ts';
import { openSqliteStore } from '../../src/store/sqlite/open.ts';
import { newFolder, removeFolders } from '../support/engine.ts';
import { startMongoStandIn } from '../support/mongo/server.ts';
import { arrival, CLERK, TENANT } from './open.ts';

afterAll(removeFolders);

type Sealed = { bytes: Uint8Array };

function flip<T extends Sealed>(body: T): T {
  const bytes = Uint8Array.from(body.bytes);
  bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
  return { ...body, bytes };
}

/** `target` with some methods replaced. */
function overriding<T extends object>(target: T, methods: Partial<T>): T {
  return new Proxy(target, {
    get(whole, name) {
      const own: unknown = Reflect.get(methods, name) ?? Reflect.get(whole, name);
      return typeof own === 'function' ? own.bind(whole) : own;
    },
  });
}

/** The store as it is read with these records damaged, and one type's table unreadable. */
function damagedStore(store: Store, names: Set<string>, unreadable: string): Store {
  const { resources, intake, audit, keys } = store;
  return overriding(store, {
    resources: overriding(resources, {
      async history(tenant, of, ...rest) {
        if (of.type === unreadable) {
          throw new EngineError('STORE_CORRUPT', 'The database file is damaged: malformed.');
        }
        const rows = await resources.history(tenant, of, ...rest);
        return rows.map((row) => {
          const name = `${row.type}/${row.id}/_history/${row.version}`;
          return names.has(name) ? { ...row, body: flip(row.body) } : row;
        });
      },
    }),
    intake: overriding(intake, {
      async list(...given) {
        const rows = await intake.list(...given);
        return rows.map((row) =>
          names.has(`message/${row.id}`) ? { ...row, body: flip(row.body) } : row,
        );
      },
    }),
    audit: overriding(audit, {
      async entries(...given) {
        const rows = await audit.entries(...given);
        return rows.map((row) =>
          names.has(`audit entry ${row.seq}`) ? { ...row, entry: row.entry.slice(1) } : row,
        );
      },
    }),
    keys: overriding(keys, {
      async list(...given) {
        const rows = await keys.list(...given);
        return rows.map((row) =>
          names.has(`key ${row.id}`)
            ? { ...row, wrapped: flip({ bytes: row.wrapped }).bytes }
            : row,
        );
      },
    }),
  });
}

async function checkAll(record: ClinicalRecord): Promise<BodiesPage & { pages: number }> {
  const all = { checked: 0, forgotten: 0, damaged: [] as string[], pages: 0 };
  let next: string | undefined;
  do {
    const page = await checkBodies(record, TENANT, next);
    all.checked += page.checked;
    all.forgotten += page.forgotten;
    all.damaged.push(...page.damaged);
    all.pages += 1;
    next = page.next;
  } while (next !== undefined);
  return all;
}

const PATIENTS = 230;

function suite(open: () => Promise<Store>): void {
  it('names each damaged record and goes on behind it', async () => {
    const store = await open();
    const rootKeys = makeRootKeys();
    const clean = openRecord({ store, rootKeys, clock: Date.now });
    const ids = Array.from({ length: PATIENTS }, (_, n) => `p${n}`);
    await Promise.all(
      ids.map((id) => updateResource(clean, CLERK, { resourceType: 'Patient', id })),
    );
    const body = { resourceType: 'Patient', id: 'p0', gender: 'male' };
    await updateResource(clean, CLERK, body);
    const items = [arrival('one'), arrival('two')];
    await acceptMessages(clean, CLERK, items);
    await forgetPatient(clean, CLERK, 'p1');
    expect(await checkAll(clean)).toMatchObject({ damaged: [], forgotten: 1 });

    const message = `message/${items[1]?.envelope.id}`;
    const names = new Set([
      'Patient/p0/_history/1',
      `Patient/p${PATIENTS - 1}/_history/1`,
      'Patient/p7/_history/1',
      'audit entry 3',
      'key d/p5/0',
      message,
    ]);
    const damaged = damagedStore(store, names, 'Observation');
    const found = await checkAll(openRecord({ store: damaged, rootKeys, clock: Date.now }));
    const unreadable = found.damaged.filter((name) => name.startsWith('resources of type'));
    expect(unreadable).toEqual([expect.stringContaining('Observation, from here on')]);
    const records = found.damaged.filter((name) => !unreadable.includes(name));
    expect(records.sort()).toEqual([...names].sort());
    expect(found.pages).toBeGreaterThan(1);
    expect(found.checked).toBeGreaterThan(2 * PATIENTS);
    await clean.close();
    await store.close();
  });
}

describe('on SQLite', () => suite(() => openSqliteStore({ folder: newFolder() })));

describe('on MongoDB (stand-in)', () => {
  const standIn = startMongoStandIn({ port: 0 });
  afterAll(async () => (await standIn).stop());
  suite(async () => openMongoStore({ url: (await standIn).url }));
});

it('refuses a place that no page gave', async () => {
  const store = await openSqliteStore({ folder: newFolder() });
  const record = openRecord({ store, rootKeys: makeRootKeys(), clock: Date.now });
  const torn = Buffer.from('[1,2]').toString('base64url');
  for (const after of ['x', torn]) {
    await expect(checkBodies(record, TENANT, after)).rejects.toMatchObject({ code: 'BAD_REQUEST' });
  }
  await store.close();
});
