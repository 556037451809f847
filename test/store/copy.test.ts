// Moving a store on the stand-in: there and back, broken off and gone on with; what may not be
// moved is refused; what is not equal is found.
import { MongoClient } from 'mongodb';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CopyStep, copyRows } from '../../src/store/copy.ts';
import { openMongoStore } from '../../src/store/mongo/open.ts';
import { openMongoTransfer } from '../../src/store/mongo/transfer.ts';
import { openWriter } from '../../src/store/sqlite/connection.ts';
import { openSqliteStore } from '../../src/store/sqlite/open.ts';
import { openSqliteTransfer } from '../../src/store/sqlite/transfer.ts';
import { KINDS, type Transfer } from '../../src/store/transfer.ts';
import { type StandIn, startMongoStandIn } from '../support/mongo/server.ts';
import { resource, writing } from '../support/store-units.ts';
import { roundTripSuite } from './copy-round-trip.ts';
import { type Dump, dump, fillStore, using } from './copy-rows.ts';
import { temporaryFolder } from './folder.ts';

const SEED = Date.now() % 1_000_000;
const TENANTS = ['default', 'a/b%c'];
const folder = temporaryFolder();
let server: StandIn;
let first: Dump;
let databases = 0;

beforeAll(async () => {
  server = await startMongoStandIn({ port: 0 });
  const store = await openSqliteStore({ folder: folder.path('first') });
  await fillStore(store, TENANTS, SEED);
  await store.close();
  first = await using([openSqliteTransfer(folder.path('first'), 'source')], dump);
});
afterAll(async () => {
  await server.stop();
  expect(server.refused).toEqual([]);
  folder.remove();
});

function target(name: string): Promise<Transfer> {
  return openSqliteTransfer(folder.path(name), 'target');
}

function database(use: 'source' | 'target', name?: string): Promise<Transfer> {
  return openMongoTransfer({ url: server.url, database: name ?? `copy${databases}`, use });
}

function newDatabase(): Promise<Transfer> {
  databases += 1;
  return database('target');
}

const source = () => openSqliteTransfer(folder.path('first'), 'source');

async function copyAll(from: Transfer, to: Transfer): Promise<void> {
  await copyRows(from, to, { rowsMax: 7 });
  await to.admit();
}

roundTripSuite(() => ({ url: server.url, database: 'round-trip' }));

describe(`a move that is broken off, seed ${SEED}`, () => {
  it('goes on behind the last page, and no page is written twice', async () => {
    const stops = [1, 2, 9, 17, 40];
    let steps = 0;
    databases += 1;
    for (const stop of stops) {
      const broken = using([source(), database('target')], (from, to) =>
        copyRows(from, to, {
          rowsMax: 5,
          tell: () => {
            steps += 1;
            if (steps === stop) throw new Error('broken off');
          },
        }),
      );
      await expect(broken).rejects.toThrow('broken off');
    }
    const report = await using([source(), database('target')], async (from, to) => {
      const done = await copyRows(from, to, { rowsMax: 5 });
      await to.admit();
      return done;
    });
    for (const kind of KINDS) expect(report[kind].rows).toBe(first[kind].length);
    expect(await using([database('source')], dump)).toEqual(first);
  });

  it.each(['lost-reply', 'not-primary', 'write-conflict'] as const)(
    'by MongoDB (%s at a commit or a write) goes on by itself',
    async (kind) => {
      databases += 1;
      server.resetCounts();
      const on = kind === 'lost-reply' ? 'commitTransaction' : 'insert';
      let pages = 0;
      const tell = ({ phase }: CopyStep) => {
        if (phase === 'comparing') return;
        pages += 1;
        // More often than the driver tries again by itself.
        if (pages === 2 || pages === 12) server.fault({ kind, on, times: 3 });
      };
      const copy = using([source(), database('target')], (from, to) =>
        copyRows(from, to, { rowsMax: 20, tell }).then(() => to.admit()),
      );
      await copy.finally(() => server.clearFaults());
      expect(server.counts()[on]).toBeGreaterThan(pages + 3);
      expect(await using([database('source')], dump)).toEqual(first);
    },
  );

  it.each(['cut', 'not-primary'] as const)('by MongoDB as source (%s) too', async (kind) => {
    await using([source(), newDatabase()], copyAll);
    const few = { url: server.url, database: `copy${databases}`, replyRows: 10 };
    const finds: number[] = [];
    for (const faults of [0, 2]) {
      const place = `from ${kind} ${faults}`;
      server.resetCounts();
      await using([openMongoTransfer({ ...few, use: 'source' }), target(place)], (from, to) => {
        let pages = 0;
        const tell = () => {
          pages += 1;
          if (faults > 0 && (pages === 3 || pages === 9)) server.fault({ kind, on: 'getMore' });
        };
        return copyRows(from, to, { rowsMax: 20, tell }).then(() => to.admit());
      }).finally(() => server.clearFaults());
      finds.push(server.counts().find ?? 0);
      const back = openSqliteTransfer(folder.path(place), 'source');
      expect(await using([back], dump)).toEqual(first);
    }
    // The cursor was lost, and another opened behind what it gave.
    expect(finds[1]).toBe((finds[0] ?? 0) + 2);
  });

  it('leaves a target that cannot be opened as a store, nor moved from', async () => {
    const stop = () => {
      throw new Error('broken off');
    };
    for (const to of [target('half'), newDatabase()]) {
      const broken = using([source(), to], (one, other) =>
        copyRows(one, other, { rowsMax: 5, tell: stop }),
      );
      await expect(broken).rejects.toThrow('broken off');
    }
    const refused = { code: 'STORE_UNFINISHED', message: expect.stringContaining('run the same') };
    const half = { url: server.url, database: `copy${databases}` };
    await expect(openSqliteStore({ folder: folder.path('half') })).rejects.toMatchObject(refused);
    await expect(openMongoStore(half)).rejects.toMatchObject(refused);
    await expect(database('source')).rejects.toMatchObject(refused);
    const nested = openSqliteTransfer(folder.path('half'), 'source');
    await expect(nested).rejects.toMatchObject(refused);
    const forChecks = await openMongoStore({ ...half, admitUnfinished: true });
    await forChecks.close();
  });
});

describe('a target or source is refused', () => {
  it('that holds data', async () => {
    for (const opening of [target('used'), newDatabase()]) {
      await using([source(), opening], copyAll);
    }
    for (const opening of [target('used'), database('target')]) {
      const again = using([source(), opening], copyAll);
      await expect(again).rejects.toMatchObject({ code: 'PRECONDITION_FAILED' });
    }
  });

  it('that is the unfinished copy of another store', async () => {
    const store = await openSqliteStore({ folder: folder.path('other') });
    await fillStore(store, ['default'], SEED + 1);
    await store.close();
    await using([source(), target('begun')], async (from, to) => {
      const tell = () => {
        throw new Error('broken off');
      };
      await expect(copyRows(from, to, { rowsMax: 5, tell })).rejects.toThrow('broken off');
    });
    const other = openSqliteTransfer(folder.path('other'), 'source');
    const mixed = using([other, target('begun')], copyAll);
    await expect(mixed).rejects.toMatchObject({
      code: 'PRECONDITION_FAILED',
      message: expect.stringContaining('is another or has changed'),
    });
  });

  it('that is not there, or in use', async () => {
    const none = openSqliteTransfer(folder.path('nothing'), 'source');
    await expect(none).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(database('source', 'nothing')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    const running = await openSqliteStore({ folder: folder.path('running') });
    for (const use of ['source', 'target'] as const) {
      const opening = openSqliteTransfer(folder.path('running'), use);
      await expect(opening).rejects.toMatchObject({ code: 'STORE_LOCKED' });
    }
    await running.close();
  });

  it('while processes have signed in as writers of the database', async () => {
    const store = await openMongoStore({ url: server.url, database: 'signed-in' });
    await store.commit(writing('default', resource('one')));
    const refused = { code: 'STORE_LOCKED', message: expect.stringContaining('--stopped') };
    await expect(database('source', 'signed-in')).rejects.toMatchObject(refused);
    const options = { url: server.url, database: 'signed-in', use: 'source' } as const;
    await (await openMongoTransfer({ ...options, stopped: true })).close();
    await store.close();
    await (await openMongoTransfer(options)).close();
  });

  it('when the source is written to meanwhile', async () => {
    databases += 1;
    await using([source(), database('target')], copyAll);
    const writer = await openMongoStore({ url: server.url, database: `copy${databases}` });
    let wrote: Promise<unknown> | undefined;
    const busy = using([database('source'), target('busy')], (from, to) =>
      copyRows(from, to, {
        rowsMax: 50,
        tell: () => {
          wrote ??= writer.commit(writing('default', resource('meanwhile')));
        },
      }).finally(() => wrote),
    );
    await expect(busy).rejects.toMatchObject({
      code: expect.stringMatching(/PRECONDITION_FAILED|STORE_CORRUPT/),
    });
    await writer.close();
  });
});

describe('what is not equal', () => {
  const damages: [string, string][] = [
    ['a body', "UPDATE versions SET body = x'00' || substr(body, 2) WHERE vid = 3"],
    ['a message', "UPDATE intake_bodies SET body = x'00' || substr(body, 2) WHERE seq = 5"],
    ['a wrapped key', "UPDATE wrappings SET wrapped = x'00' || substr(wrapped, 2) WHERE kid = 3"],
    ['a range', 'UPDATE ranges SET high = high + 1 WHERE rid = (SELECT min(rid) FROM ranges)'],
    ['a token', 'DELETE FROM tokens WHERE rowid = (SELECT min(rowid) FROM tokens_docsize)'],
    ['an entry', 'UPDATE audit SET at = at + 1 WHERE seq = 2'],
    ['a lost checkpoint', 'DELETE FROM checkpoints WHERE rowid = 1'],
  ];
  it.each(damages)('is found in SQLite: %s', async (name, sql) => {
    const place = `damaged ${name}`;
    await using([source(), target(place)], (from, to) => copyRows(from, to));
    const db = openWriter(folder.path(place), { checkpointPages: 1_000, pagesMax: 0 });
    expect(db.db.prepare(sql).run().changes).toBeGreaterThan(0);
    db.close();
    // All pages are there: what is left to do is to compare.
    const again = using([source(), target(place)], (from, to) => copyRows(from, to));
    await expect(again).rejects.toMatchObject({ code: 'STORE_CORRUPT' });
    const opening = openSqliteStore({ folder: folder.path(place) });
    await expect(opening).rejects.toMatchObject({ code: 'STORE_UNFINISHED' });
  });

  it('is found in MongoDB: one flipped byte', async () => {
    await using([source(), newDatabase()], (from, to) => copyRows(from, to));
    const client = await new MongoClient(server.url).connect();
    const rows = client.db(`copy${databases}`).collection<{ body: unknown }>('versions');
    const one = await rows.findOne({}, { promoteBuffers: true });
    const body = Buffer.from(one?.body as Uint8Array);
    body.writeUInt8(body.readUInt8(0) ^ 1, 0);
    await rows.updateOne({ _id: one?._id }, { $set: { body } });
    await client.close();
    const again = using([source(), database('target')], (from, to) => copyRows(from, to));
    await expect(again).rejects.toMatchObject({
      code: 'STORE_CORRUPT',
      message: expect.stringContaining('versions'),
    });
  });
});

it('knows every column of the embedded store', () => {
  const db = openWriter(folder.path('first'), { checkpointPages: 1_000, pagesMax: 0 });
  const found = db.all<{ name: string; columns: string }>(
    `SELECT m.name, group_concat(c.name, ' ') AS columns FROM sqlite_master m
      JOIN pragma_table_info(m.name) c WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%'
      AND m.name NOT LIKE 'tokens_%' GROUP BY m.name`,
  );
  db.close();
  // A new column must be moved (transfer-read.ts, transfer-write.ts) or be made anew with the row.
  expect(Object.fromEntries(found.map(({ name, columns }) => [name, columns]))).toEqual(COLUMNS);
});

const COLUMNS = {
  audit: 'tenant seq at hash entry',
  checkpoints: 'tenant seq hash at signature key_id',
  collections: 'cid tenant type live',
  credentials: 'tenant id token_hash label scopes created_at expires_at revoked_at mac',
  fields: 'fid cid param',
  intake:
    'seq tenant id channel format received_at state ordering_key dedupe digest attempts ' +
    'changed_at compartment',
  intake_bodies: 'seq key_id body',
  intake_details: 'seq key_id detail',
  intake_tallies: 'tenant channel state count',
  keys: 'kid tenant id kind compartment wrapped_by created_at destroyed_at',
  names: 'nid name',
  ranges: 'rid fid low high span',
  resources: 'rid cid id vid version last_updated state compartment fingerprint',
  schema_versions: 'version applied_at',
  tokens: 't',
  versions: 'vid rid cid version last_updated deleted compartment fingerprint key_id body',
  wrappings: 'kid wrapped',
};
