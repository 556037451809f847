// What the log says was written must be stored, on MongoDB: documents are changed by hand.
import { type Db, MongoClient } from 'mongodb';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeRootKeys } from '../../src/crypto/keys.ts';
import { checkpointAudit, verifyAudit } from '../../src/record/audit.ts';
import { type ClinicalRecord, openRecord } from '../../src/record/context.ts';
import { createToken } from '../../src/record/credentials.ts';
import { updateResource } from '../../src/record/update.ts';
import { writeMapped } from '../../src/record/write.ts';
import { openMongoStore } from '../../src/store/mongo/open.ts';
import { startMongoStandIn } from '../support/mongo/server.ts';
import {
  arrival,
  CLERK,
  mapped,
  output,
  PATIENT_ID,
  patient,
  provenance,
  receive,
  TENANT,
} from './open.ts';

type Row = Record<string, unknown> & { _id: string };

let stand: Awaited<ReturnType<typeof startMongoStandIn>>;
let client: MongoClient;
let databases = 0;

beforeAll(async () => {
  stand = await startMongoStandIn({ port: 0 });
  client = await new MongoClient(stand.url).connect();
});

afterAll(async () => {
  await client.close();
  await stand.stop();
});

/** A patient in two versions, from messages, and a token; then a change by hand; the report. */
async function verified(change: (db: Db, record: ClinicalRecord) => Promise<unknown>) {
  databases += 1;
  const url = new URL(stand.url);
  url.pathname = `/written${databases}`;
  const store = await openMongoStore({ url: url.href });
  const rootKeys = makeRootKeys();
  const open = () => openRecord({ store, rootKeys, clock: Date.now });
  const record = open();
  for (const gender of ['male', 'female']) {
    const message = await receive(record, arrival(gender));
    const resources = [mapped(patient({ gender })), provenance(message.row.id)];
    await writeMapped(record, message, () => output(...resources), 1);
  }
  const scopes = ['system/*.rs'];
  await createToken(record, CLERK, { tenant: TENANT, scopes, label: '', expiresAt: null });
  await updateResource(record, CLERK, { resourceType: 'Basic', id: 'b', code: { text: 'x' } });
  await checkpointAudit(record, TENANT);
  await change(client.db(`written${databases}`), record);
  const report = await verifyAudit(open(), TENANT);
  await store.close();
  return { ...report, text: report.faults.map(({ reason }) => reason).join('\n') };
}

const rows = (db: Db, name: string) => db.collection<Row>(name);

/** The first version takes the place of the newest. */
async function rollBack(db: Db): Promise<void> {
  const old = await rows(db, 'versions').findOne({ id: PATIENT_ID, version: 1 });
  if (old === null) throw new Error('there is no first version');
  const { _id, ...fields } = old;
  await rows(db, 'resources').updateOne({ id: PATIENT_ID }, { $set: fields });
  await rows(db, 'versions').deleteOne({ _id });
}

describe('a MongoDB store that contradicts its log', () => {
  it('is whole as it was left', async () => {
    const report = await verified(async () => undefined);
    expect(report).toMatchObject({ verdict: 'whole', faults: [] });
  });

  it.each([
    { name: 'rolled back', change: rollBack, names: /Patient\/.* rolled back to version 1/ },
    {
      name: 'deleted patient',
      change: (db: Db) => rows(db, 'resources').deleteOne({ id: PATIENT_ID }),
      names: /Patient\/.* deleted/,
    },
    {
      name: 'deleted version',
      change: (db: Db) => rows(db, 'versions').deleteOne({ id: PATIENT_ID }),
      names: /Patient\/.* version 1 was written and is not stored/,
    },
    {
      name: 'changed time',
      change: (db: Db) => {
        return rows(db, 'resources').updateOne({ id: PATIENT_ID }, { $set: { lastUpdated: 7 } });
      },
      names: /Patient\/.* version 2 was changed/,
    },
    {
      name: 'deleted message',
      change: (db: Db) => rows(db, 'intake').deleteOne({}),
      names: /message .* was taken and is not stored/,
    },
    {
      name: 'message put back to waiting',
      change: (db: Db) => rows(db, 'intake').updateOne({}, { $set: { state: 'received' } }),
      names: /was left processed and is stored as received/,
    },
    {
      name: 'inserted credential',
      change: async (db: Db) => {
        const one = await rows(db, 'credentials').findOne({});
        const forged = { ...one, _id: `${TENANT}/intruder`, id: 'intruder', tokenHash: 'h' };
        return rows(db, 'credentials').insertOne(forged);
      },
      names: /credential intruder is stored, but no entry granted it/,
    },
    {
      name: 'credential with more scopes',
      change: (db: Db) => {
        return rows(db, 'credentials').updateOne({}, { $set: { scopes: ['admin/*.cruds'] } });
      },
      names: /credential .* was changed/,
    },
  ])('is found out, and what is wrong is named: $name', async ({ change, names }) => {
    const report = await verified(change);
    expect(report.verdict).toBe('broken');
    expect(report.text).toMatch(names);
  });
});
