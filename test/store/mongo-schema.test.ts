// The schema of the MongoDB store: what the database itself refuses, what an opening repairs, and
// that docs/reference/mongodb.md names every collection and index.
import { readFileSync } from 'node:fs';
import { type Document, MongoClient } from 'mongodb';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { COLLECTION_NAMES, INDEXES } from '../../src/store/mongo/collections.ts';
import { openMongoStore } from '../../src/store/mongo/open.ts';
import { SCHEMA_VERSION } from '../../src/store/mongo/schema.ts';
import type { Store } from '../../src/store/port.ts';
import { type StandIn, startMongoStandIn } from '../support/mongo/server.ts';
import { credential, dataKey, freshTenant, message, resource, T0 } from '../support/store-units.ts';

const DATABASE = 'schema';
let server: StandIn;
let store: Store;
let client: MongoClient;

const open = (): Promise<Store> => openMongoStore({ url: server.url, database: DATABASE });
const rows = (name: string) => client.db(DATABASE).collection<Document & { _id: string }>(name);

beforeAll(async () => {
  server = await startMongoStandIn({ port: 0 });
  client = new MongoClient(server.url);
  store = await open();
});
afterAll(async () => {
  await store.close();
  await client.close();
  await server.stop();
});

describe('the database refuses, whatever the program does,', () => {
  const tenant = freshTenant();
  beforeAll(async () => {
    await store.commit({
      tenant,
      intake: [message({ id: 'm1', dedupe: 'd1' })],
      resources: [resource('p1')],
      keys: [dataKey('k1')],
      credentials: [credential('c1')],
      audit: [{ at: T0, entry: '{}' }],
    });
  });

  const copies: [string, string, Document][] = [
    ['a second message of one dedupe token', 'intake', { _id: 'other', id: 'other' }],
    ['a second message of one id', 'intake', { once: 'other' }],
    ['a second resource of one id', 'resources', { compartment: 'other' }],
    ['a second key of one id', 'keys', { kind: 'other' }],
    ['a second credential of one token', 'credentials', { _id: 'other', id: 'other' }],
    ['a second audit entry of one number', 'audit', { entry: 'other' }],
    ['a second document of one tenant', 'tenants', { number: 99 }],
  ];
  it.each(copies)('%s', async (_, name, change) => {
    const stored = await rows(name).findOne(name === 'tenants' ? { _id: tenant } : { tenant });
    const copy = { ...stored, ...change } as Document & { _id: string };
    await expect(rows(name).insertOne(copy)).rejects.toMatchObject({ code: 11_000 });
  });
});

describe('an opening', () => {
  it('makes an index again that is missing, and keeps the version', async () => {
    await rows('intake').dropIndex('once');
    await (await open()).close();
    const names = (await rows('intake').indexes()).map(({ name }) => name);
    expect(names.sort()).toEqual(
      ['_id_', ...(INDEXES.intake ?? []).map(({ name }) => name)].sort(),
    );
    expect(await rows('meta').findOne({ _id: 'schema' })).toMatchObject({
      version: SCHEMA_VERSION,
    });
  });

  it('leaves nothing of its process behind when the store is closed', async () => {
    const tenant = freshTenant();
    const other = await open();
    await other.commit({ tenant, intake: [message()] });
    expect(await rows('writers').countDocuments({ tenant })).toBe(1);
    await other.close();
    expect(await rows('writers').countDocuments({ tenant })).toBe(0);
  });

  it('gives every tenant a number of its own', async () => {
    const stores = await Promise.all([open(), open()]);
    const tenants = Array.from({ length: 10 }, freshTenant);
    await Promise.all(
      tenants.flatMap((tenant) =>
        stores.map((opened) => opened.commit({ tenant, intake: [message()] })),
      ),
    );
    const found = await rows('tenants').find({}).toArray();
    expect(new Set(found.map(({ number }) => number)).size).toBe(found.length);
    await Promise.all(stores.map((opened) => opened.close()));
  });
});

describe('docs/reference/mongodb.md', () => {
  const text = readFileSync('docs/reference/mongodb.md', 'utf8');
  const page = text.slice(text.indexOf('## Collections'), text.indexOf('## Retention'));

  it('names every collection', () => {
    const named = [...page.matchAll(/^### `(\w+)`/gm)].map((match) => match[1]);
    expect(named.sort()).toEqual([...COLLECTION_NAMES].sort());
  });

  it('names every index with its fields, and no other', () => {
    const named = [...page.matchAll(/^\| `(\w+)` \| `([^`]+)`( unique)? \|/gm)].map(
      ([, name, fields, unique]) => `${name} ${fields}${unique ?? ''}`,
    );
    const made = Object.values(INDEXES).flatMap((indexes) =>
      indexes.map(({ name, key, unique }) => {
        const fields = Object.entries(key as Record<string, number>);
        const told = fields.map(([field, way]) => (way < 0 ? `${field} desc` : field)).join(', ');
        return `${name} ${told}${unique ? ' unique' : ''}`;
      }),
    );
    expect(named.sort()).toEqual(made.sort());
  });
});
