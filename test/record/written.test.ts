// What the log says was written must be stored: whatever is taken away, put back or changed in the
// database is found by the verification and named.
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, it } from 'vitest';
import { acceptMessages } from '../../src/record/accept.ts';
import { type Anchor, checkpointAudit, verifyAudit } from '../../src/record/audit.ts';
import { createToken, revokeToken } from '../../src/record/credentials.ts';
import { forgetPatient } from '../../src/record/forget.ts';
import { setAside } from '../../src/record/message.ts';
import { updateResource } from '../../src/record/update.ts';
import { writeMapped } from '../../src/record/write.ts';
import {
  arrival,
  type Bench,
  CLERK,
  mapped,
  openBench,
  output,
  PATIENT_ID,
  patient,
  provenance,
  receive,
  TENANT,
} from './open.ts';

const GRANT = { tenant: TENANT, scopes: ['system/*.rs'], label: 'a test', expiresAt: null };

interface Filled extends Bench {
  ids: { done: string; aside: string; waiting: string; token: string; revoked: string };
  anchors: Anchor[];
}

/** Two processed messages, one set aside, one that waits, a flag, two tokens, two checkpoints. */
async function fill(): Promise<Filled> {
  const bench = await openBench();
  const { record } = bench;
  const anchors: Anchor[] = [];
  const sign = async () => {
    const anchor = await checkpointAudit(record, TENANT);
    if (anchor !== undefined) anchors.push(anchor);
  };
  let done = '';
  for (const gender of ['male', 'female', 'other']) {
    const message = await receive(record, arrival(`raw ${gender}`));
    done = message.row.id;
    const resources = [mapped(patient({ gender })), provenance(done)];
    await writeMapped(record, message, () => output(...resources), 1);
  }
  await sign();
  const failed = await receive(record, arrival('failed'));
  await setAside(record, failed.row, { issues: [], attempts: 8 });
  const waits = arrival('waits', { orderingKey: 'other' });
  await acceptMessages(record, CLERK, [waits]);
  const subject = { reference: `Patient/${PATIENT_ID}` };
  const flag = { resourceType: 'Flag', id: 'flag', status: 'active', code: { text: 'x' }, subject };
  await updateResource(record, CLERK, flag);
  const token = await createToken(record, CLERK, GRANT);
  const revoked = await createToken(record, CLERK, GRANT);
  await revokeToken(record, CLERK, revoked.id);
  await sign();
  const ids = { done, aside: failed.row.id, waiting: waits.envelope.id };
  return { ...bench, ids: { ...ids, token: token.id, revoked: revoked.id }, anchors };
}

function tamper({ folder }: Bench, sql: string): void {
  const db = new DatabaseSync(join(folder, 'artery.db'));
  db.exec(sql);
  db.close();
}

const RID = `(SELECT rid FROM resources WHERE id = '${PATIENT_ID}')`;
const COLUMNS = ['last_updated', 'compartment', 'fingerprint'];
const FROM_FIRST = COLUMNS.map(
  (name) => `${name} = (SELECT ${name} FROM versions WHERE rid = ${RID} AND version = 1)`,
).join(', ');
const FIRST = `vid = (SELECT vid FROM versions WHERE rid = ${RID} AND version = 1), ${FROM_FIRST}`;
const NEWER = `DELETE FROM versions WHERE rid = ${RID} AND version > 1`;

const CASES: { name: string; sql: (ids: Filled['ids']) => string; names: RegExp }[] = [
  {
    name: 'a patient rolled back, head only',
    sql: () => `UPDATE resources SET version = 1, ${FIRST} WHERE rid = ${RID}`,
    names: new RegExp(`Patient/${PATIENT_ID} version 3 .*rolled back to version 1`),
  },
  {
    name: 'a patient rolled back, only the pointer to the version that is served',
    sql: () => `UPDATE resources SET ${FIRST} WHERE rid = ${RID}`,
    names: new RegExp(`Patient/${PATIENT_ID} version 3 .*rolled back to version 1`),
  },
  {
    name: 'a patient rolled back, head and versions',
    sql: () => `UPDATE resources SET version = 1, ${FIRST} WHERE rid = ${RID}; ${NEWER}`,
    names: new RegExp(`Patient/${PATIENT_ID} version 2 .*rolled back to version 1`),
  },
  {
    name: 'a deleted patient',
    sql: () => `DELETE FROM versions WHERE rid = ${RID}; DELETE FROM resources WHERE rid = ${RID}`,
    names: new RegExp(`Patient/${PATIENT_ID} version 1 .*deleted`),
  },
  {
    name: 'a deleted version in the middle',
    sql: () => `DELETE FROM versions WHERE rid = ${RID} AND version = 2`,
    names: new RegExp(`Patient/${PATIENT_ID} version 2 .*not stored`),
  },
  {
    name: 'a changed body',
    sql: () => `UPDATE versions SET body = x'00' || substr(body, 2) WHERE rid = ${RID}
      AND version = 2`,
    names: new RegExp(`Patient/${PATIENT_ID} version 2 was changed`),
  },
  {
    name: 'a changed time of a version',
    sql: () => `UPDATE versions SET last_updated = 7 WHERE rid = ${RID} AND version = 1`,
    names: new RegExp(`Patient/${PATIENT_ID} version 1 was changed`),
  },
  {
    name: 'a head in another compartment',
    sql: () => `UPDATE resources SET compartment = 'x' WHERE rid = ${RID}`,
    names: /head that was changed/,
  },
  {
    name: 'a deleted flag',
    sql: () => `DELETE FROM versions WHERE rid = (SELECT rid FROM resources WHERE id = 'flag');
      DELETE FROM resources WHERE id = 'flag'`,
    names: /Flag\/flag version 1 .*deleted/,
  },
  ...(['done', 'aside', 'waiting'] as const).map((which) => ({
    name: `a deleted message: ${which}`,
    sql: (ids: Filled['ids']) => `DELETE FROM intake WHERE id = '${ids[which]}'`,
    names: /message [0-9a-f-]+ was taken and is not stored/,
  })),
  {
    name: 'a message that was set aside, put to processed',
    sql: ({ aside }) => `UPDATE intake SET state = 1 WHERE id = '${aside}'`,
    names: /was left set-aside and is stored as processed/,
  },
  {
    name: 'a message that waits, put to processed',
    sql: ({ waiting }) => `UPDATE intake SET state = 1 WHERE id = '${waiting}'`,
    names: /was left received and is stored as processed/,
  },
  {
    name: 'an inserted credential',
    sql: () => `INSERT INTO credentials SELECT tenant, 'intruder', 'h', label, scopes, created_at,
      expires_at, NULL, mac FROM credentials LIMIT 1`,
    names: /credential intruder is stored, but no entry granted it/,
  },
  {
    name: 'a credential with more scopes',
    sql: ({ token }) => `UPDATE credentials SET scopes = '["admin/*.cruds"]' WHERE id = '${token}'`,
    names: /credential [0-9a-f-]+ was changed/,
  },
  {
    name: 'a deleted credential',
    sql: ({ token }) => `DELETE FROM credentials WHERE id = '${token}'`,
    names: /credential [0-9a-f-]+ is not stored any more/,
  },
  {
    name: 'a revocation that was taken back',
    sql: ({ revoked }) => `UPDATE credentials SET revoked_at = NULL WHERE id = '${revoked}'`,
    names: /was revoked, and is stored as if it were not/,
  },
];

describe('a store that contradicts its log', () => {
  it.each(CASES)('is found out, and what is wrong is named: $name', async ({ sql, names }) => {
    const filled = await fill();
    tamper(filled, sql(filled.ids));
    const report = await verifyAudit(filled.again(), TENANT);
    expect(report).toMatchObject({ verdict: 'broken', ok: false });
    expect(report.fault?.seq).toBeGreaterThan(1);
    expect(report.faults.map(({ reason }) => reason).join('\n')).toMatch(names);
  });

  it.each(['DELETE FROM checkpoints', 'DELETE FROM checkpoints WHERE rowid = 1'])(
    'has lost a checkpoint that is kept outside: %s',
    async (sql) => {
      const filled = await fill();
      tamper(filled, sql);
      const { anchors } = filled;
      const report = await verifyAudit(filled.again(), TENANT, { anchors });
      expect(report).toMatchObject({ verdict: 'broken', fault: { seq: anchors[0]?.seq } });
      expect(report.fault?.reason).toMatch(/checkpoint at entry \d+ is not stored/);
    },
  );
});

describe('a store as it was left', () => {
  it('is whole, with and without the checkpoints that are kept outside', async () => {
    const { record, anchors } = await fill();
    const whole = { verdict: 'whole', ok: true, faults: [], contradicted: 0 };
    expect(await verifyAudit(record, TENANT)).toMatchObject(whole);
    expect(await verifyAudit(record, TENANT, { anchors })).toMatchObject(whole);
  });

  it('is whole after a patient was forgotten', async () => {
    const { record } = await fill();
    await forgetPatient(record, CLERK, PATIENT_ID);
    expect(await verifyAudit(record, TENANT)).toMatchObject({ verdict: 'whole', faults: [] });
  });

  it('cannot be vouched for when there is no checkpoint and there should be one', async () => {
    const filled = await fill();
    tamper(filled, 'DELETE FROM checkpoints');
    const report = async () => {
      const { verdict } = await verifyAudit(filled.again(), TENANT, {
        checkpointIntervalMs: 1_000,
      });
      return verdict;
    };
    expect(await report()).toBe('whole');
    filled.advance(3_000);
    expect(await report()).toBe('unknown');
  });

  it('cannot be vouched for where entries of an older release name no digest', async () => {
    const { record } = await fill();
    const entry = JSON.stringify({
      ...{ action: 'update', outcome: 'success', who: 'clerk' },
      resources: [`Patient/${PATIENT_ID}/_history/3`],
    });
    await record.store.commit({ tenant: TENANT, audit: [{ at: record.clock(), entry }] });
    const report = await verifyAudit(record, TENANT);
    expect(report).toMatchObject({ verdict: 'unknown', ok: true });
    expect(report.doubt).toMatch(/1 entries of an older release/);
  });
});
