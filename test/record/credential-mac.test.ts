// A credential that was written, changed or moved by somebody with the database alone.
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, it } from 'vitest';
import { checkBodies } from '../../src/record/check-bodies.ts';
import type { ClinicalRecord } from '../../src/record/context.ts';
import {
  createToken,
  listTokens,
  resolveToken,
  revokeToken,
} from '../../src/record/credentials.ts';
import { rotateTenantKey } from '../../src/record/rotate.ts';
import { CLERK, openBench, TENANT } from './open.ts';

const GRANT = { tenant: TENANT, scopes: ['system/*.rs'], label: 'x', expiresAt: Date.now() + 1e9 };

async function damagedOf(record: ClinicalRecord, tenant: string): Promise<string[]> {
  const damaged: string[] = [];
  let next: string | undefined;
  do {
    const page = await checkBodies(record, tenant, next);
    damaged.push(...page.damaged);
    next = page.next;
  } while (next !== undefined);
  return damaged;
}

const CHANGES: [string, string][] = [
  ['wider scopes', `scopes = '["system/*.cruds","admin/*.cruds"]'`],
  ['a later expiry', 'expires_at = expires_at + 1'],
  ['no expiry', 'expires_at = NULL'],
  ['another label', `label = 'y'`],
  ['another time of making', 'created_at = created_at - 1'],
  ['a row of before there was a MAC', `mac = ''`],
  ['another tenant', `tenant = (SELECT nid FROM names WHERE name = 'other')`],
];

describe('a changed credential is refused and named:', () => {
  it.each(CHANGES)('%s', async (_, change) => {
    const { record, folder, again } = await openBench();
    const lost = await createToken(record, CLERK, GRANT);
    const kept = await createToken(record, CLERK, GRANT);
    await createToken(record, CLERK, { ...GRANT, tenant: 'other' });
    const db = new DatabaseSync(join(folder, 'artery.db'));
    db.prepare(`UPDATE credentials SET ${change} WHERE id = ?`).run(lost.id);
    db.close();
    const reader = again();
    expect(await resolveToken(reader, lost.token)).toBeUndefined();
    expect(await resolveToken(reader, kept.token)).toMatchObject({ tenant: TENANT });
    const tenant = change.startsWith('tenant') ? 'other' : TENANT;
    expect(await damagedOf(reader, tenant)).toEqual([`credential ${lost.id}`]);
  });

  it('a revocation taken back', async () => {
    const { record, folder, again } = await openBench();
    const { id, token } = await createToken(record, CLERK, GRANT);
    await revokeToken(record, CLERK, id);
    expect(await damagedOf(record, TENANT)).toEqual([]);
    const db = new DatabaseSync(join(folder, 'artery.db'));
    db.exec('UPDATE credentials SET revoked_at = NULL');
    db.close();
    expect(await resolveToken(again(), token)).toBeUndefined();
    expect(await damagedOf(again(), TENANT)).toEqual([`credential ${id}`]);
  });

  it('one that a stranger made for a token of his own', async () => {
    const { record, folder, again } = await openBench();
    const mine = await createToken(record, CLERK, GRANT);
    const other = await openBench();
    const { token } = await createToken(other.record, CLERK, GRANT);
    const [theirs] = await other.store.keys.credentials(TENANT);
    const db = new DatabaseSync(join(folder, 'artery.db'));
    db.prepare(
      `INSERT INTO credentials SELECT tenant, 'forged', ?, label, scopes, created_at, expires_at,
        revoked_at, mac FROM credentials WHERE id = ?`,
    ).run(theirs?.tokenHash ?? '', mine.id);
    db.close();
    expect(await resolveToken(again(), token)).toBeUndefined();
    expect(await damagedOf(again(), TENANT)).toEqual(['credential forged']);
  });
});

it('holds after a rotation of the tenant key, and its MAC is shown to nobody', async () => {
  const { record, again } = await openBench();
  const { token } = await createToken(record, CLERK, GRANT);
  await rotateTenantKey(record, CLERK);
  expect(await resolveToken(again(), token)).toBeDefined();
  expect(Object.keys((await listTokens(record, TENANT))[0] ?? {})).not.toContain('mac');
});
