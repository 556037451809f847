// The plan of every hot query: no collection scan, no sort in memory. The commands are those that
// the adapter itself sends, taken from the driver's monitoring; for the stand-in and a real server.
// Manual, "Explain Results": queryPlanner.winningPlan, executionStats.totalDocsExamined.
//
// DocumentDB sorts in memory whatever the index, and tells of a scan of the whole `_id_` index as
// IXSCAN. So there it is checked instead that no more documents are looked at than match.
import { type Db, type Document, MongoClient } from 'mongodb';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Collections, collectionsOf } from '../../src/store/mongo/collections.ts';
import { countMatches, findResources } from '../../src/store/mongo/find.ts';
import * as intake from '../../src/store/mongo/intake-reads.ts';
import * as ledger from '../../src/store/mongo/ledger-reads.ts';
import { loadState } from '../../src/store/mongo/load-state.ts';
import { openMongoStore } from '../../src/store/mongo/open.ts';
import * as resources from '../../src/store/mongo/resource-reads.ts';
import { resourceId, rowId } from '../../src/store/mongo/row-ids.ts';
import type { SearchPlan } from '../../src/store/port.ts';
import {
  credential,
  dataKey,
  freshTenant,
  message,
  plan,
  resource,
  T0,
  token,
  transition,
  writing,
} from '../support/store-units.ts';

const RESOURCES = 1_000;
/** Rows with the same sort value as the last of a page are looked at again. */
const SLACK = 5;
const tenant = freshTenant();

type Ask = (collections: Collections) => Promise<unknown>;

const TOKENS = { tokens: [[token('patient1')]] };
const TWO = { tokens: [[token('patient1')], [token('odd')]] };
const BY_DATE = { sort: { by: { param: 'date' }, descending: true } };
const PLACE = { lastUpdated: T0 + 500, id: 'r500', version: 1 };

const find =
  (set: Partial<SearchPlan>): Ask =>
  (collections) =>
    findResources(collections, plan(tenant, { limit: 20, ...set }));

const HOT: [string, Ask][] = [
  ['a message', (c) => intake.getMessage(c, tenant, 'm1')],
  ['the inbox of a key', (c) => intake.readInbox(c, tenant, 'key-1', 50)],
  ['the keys that wait', (c) => intake.listWaiting(c, 10, 50)],
  ['messages', (c) => intake.listMessages(c, tenant, {}, 50)],
  ['messages, next page', (c) => intake.listMessages(c, tenant, {}, 50, 1e9)],
  ['messages set aside', (c) => intake.listMessages(c, tenant, { state: 'set-aside' }, 50)],
  ['messages of a patient', (c) => intake.listMessages(c, tenant, { compartment: 'p1' }, 50)],
  ['a repeated message', (c) => intake.listMessages(c, tenant, { dedupe: 'd1' }, 50)],
  ['heads', (c) => resources.readHeads(c, tenant, refs('r1', 'r2'))],
  ['a resource', (c) => resources.readVersion(c, tenant, { type: 'Patient', id: 'r1' })],
  ['an older version', (c) => resources.readVersion(c, tenant, { type: 'Patient', id: 'r1' }, 1)],
  ['resources', (c) => resources.readNewest(c, [resourceId(tenant, 'Patient', 'r1')])],
  ['history of one', (c) => resources.listHistory(c, tenant, { type: 'Patient', id: 'r1' }, 20)],
  ['history of a type', (c) => resources.listHistory(c, tenant, { type: 'Patient' }, 20)],
  ['its next page', (c) => resources.listHistory(c, tenant, { type: 'Patient' }, 20, PLACE)],
  ['counts of resources', (c) => resources.countResources(c, tenant)],
  ['the end of the chain', (c) => ledger.auditHead(c, tenant)],
  ['audit entries', (c) => ledger.auditEntries(c, tenant, 10, 100)],
  ['checkpoints', (c) => ledger.auditCheckpoints(c, tenant)],
  ['keys by id', (c) => ledger.readKeys(c, [rowId(tenant, 'k1')])],
  ['keys', (c) => ledger.listKeys(c, tenant, 'data', 50, 'k0')],
  ['a credential', (c) => ledger.credentialByHash(c, 'hash of c1')],
  ['credentials', (c) => ledger.listCredentials(c, tenant)],
  ['search: a type', find({})],
  ['search: a type, oldest first', find({ sort: { by: 'lastUpdated', descending: false } })],
  ['search: a type by id', find({ sort: { by: 'id', descending: false } })],
  ['search: a type by date', find(BY_DATE)],
  ['search: since', find({ lastUpdated: [{ low: T0 + 100, high: Infinity }] })],
  ['search: a token', find(TOKENS)],
  ['search: two tokens', find(TWO)],
  ['search: a token by date', find({ ...TOKENS, ...BY_DATE })],
  ['search: a compartment', find({ compartments: ['p1'] })],
  ['search: a token, next page', findNext(TOKENS)],
  ['search: a token by date, next page', findNext({ ...TOKENS, ...BY_DATE })],
  ['count: a token', (c) => countMatches(c, plan(tenant, TOKENS), 1000)],
];

function refs(...ids: string[]): { type: string; id: string }[] {
  return ids.map((id) => ({ type: 'Patient', id }));
}

function findNext(set: Partial<SearchPlan>): Ask {
  return async (collections) => {
    const first = plan(tenant, { limit: 20, ...set });
    const { cursor = '' } = await findResources(collections, first);
    return findResources(collections, { ...first, after: cursor });
  };
}

export function plansSuite(target: () => { url: string; database: string }): void {
  describe('plans', () => {
    let client: MongoClient;
    let db: Db;
    let compatible: boolean;
    const sent: Document[] = [];

    beforeAll(async () => {
      await fill(target());
      client = new MongoClient(target().url, { monitorCommands: true, promoteBuffers: true });
      client.on('commandStarted', ({ commandName, command }) => {
        if (commandName === 'find' || commandName === 'aggregate') sent.push(command);
      });
      db = client.db(target().database);
      // The hello of DocumentDB has a field that the manual does not have.
      compatible = 'internal' in (await db.admin().command({ hello: 1 }));
    });
    afterAll(() => client.close());

    /** Answers how many queries there were. */
    async function expectPlans(ask: Ask): Promise<number> {
      sent.length = 0;
      await ask(collectionsOf(db));
      const commands = [...sent];
      expect(commands.length).toBeGreaterThan(0);
      for (const command of commands) {
        const explained = await db.command({ explain: bare(command), verbosity: 'executionStats' });
        const stages = stagesOf(explained);
        const told = JSON.stringify([bare(command), stages]);
        expect(stages.length, told).toBeGreaterThan(0);
        expect(stages, told).not.toContain('COLLSCAN');
        if (!compatible) expect(stages, told).not.toContain('SORT');
        else {
          const most = (await matching(command)) + SLACK;
          expect(examined(explained), told).toBeLessThanOrEqual(most);
        }
      }
      return commands.length;
    }

    /** Documents that match a command, whatever its limit. */
    async function matching({ find, aggregate, filter, pipeline }: Document): Promise<number> {
      return db.collection(find ?? aggregate).countDocuments(filter ?? pipeline[0].$match);
    }

    it.each(HOT)('%s: by an index, in its order', async (_, ask) => {
      await expectPlans(ask);
    });

    it('the checks of a commit: by an index', async () => {
      const unit = {
        tenant,
        intake: [message({ id: 'm1', dedupe: 'd1' })],
        transitions: [transition('m2')],
        resources: [resource('r1')],
        unchanged: [{ type: 'Patient', id: 'r2', version: 1 }],
      };
      const queries = await expectPlans(async (collections) => {
        const head = await collections.tenants.findOne({ _id: tenant });
        if (!head) throw new Error('there is no tenant');
        const session = client.startSession();
        await loadState({ collections, session }, head, [unit]);
        await session.endSession();
      });
      expect(queries).toBe(6);
    });
  });
}

async function fill(target: { url: string; database: string }): Promise<void> {
  const store = await openMongoStore(target);
  const rows = Array.from({ length: RESOURCES }, (_, n) =>
    resource(`r${n}`, {
      lastUpdated: T0 + n,
      compartment: `p${n % 10}`,
      tokens: [token(`patient${n % 10}`), token(n % 2 ? 'odd' : 'even')],
      ranges: n % 3 ? [{ param: 'date', low: T0 - n, high: T0 - n }] : [],
    }),
  );
  await store.commit(writing(tenant, ...rows));
  await store.commit(writing(tenant, resource('r1', { expected: 1, lastUpdated: T0 + 2000 })));
  const intakeRows = Array.from({ length: RESOURCES }, (_, n) =>
    message({ id: `m${n}`, dedupe: `d${n}`, orderingKey: `key-${n % 100}` }),
  );
  await store.commit({ tenant, intake: intakeRows });
  await store.commit({
    tenant,
    keys: Array.from({ length: 200 }, (_, n) => dataKey(`k${n}`)),
    credentials: [credential('c1')],
  });
  await store.close();
}

/** The command without what the driver adds to it. */
function bare(command: Document): Document {
  const { lsid: _, $db: __, $clusterTime: ___, readConcern: ____, ...rest } = command;
  const { $readPreference: _____, txnNumber: ______, ...query } = rest;
  return query;
}

/** All `stage` names of the winning plans, however deep they stand in the answer. */
function stagesOf(explained: unknown): string[] {
  if (typeof explained !== 'object' || explained === null) return [];
  return Object.entries(explained).flatMap(([name, value]) => {
    if (name === 'rejectedPlans' || name === 'command') return [];
    if (name === 'stage' && typeof value === 'string') return [value];
    return stagesOf(value);
  });
}

/** The most documents that any stage of the executed plan looked at. */
function examined(explained: unknown): number {
  if (typeof explained !== 'object' || explained === null) return 0;
  const numbers = Object.entries(explained).map(([name, value]) =>
    name === 'totalDocsExamined' ? Number(value) : examined(value),
  );
  return Math.max(0, ...numbers);
}
