// A credential that does not read grants nothing, takes no other one with it, and can be revoked.
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, it } from 'vitest';
import { checkBodies } from '../../src/record/check-bodies.ts';
import {
  createToken,
  listTokens,
  resolveToken,
  revokeToken,
} from '../../src/record/credentials.ts';
import { readScopes } from '../../src/store/port-rules.ts';
import { CLERK, openBench, TENANT } from './open.ts';

it.each(['[', '{}', '[1]', '"x"', ''])(
  'refuses and names one whose scopes are %j',
  async (text) => {
    const { record, folder, again } = await openBench();
    const grant = { tenant: TENANT, scopes: ['system/*.rs'], label: 'x', expiresAt: null };
    const lost = await createToken(record, CLERK, grant);
    const kept = await createToken(record, CLERK, grant);
    const db = new DatabaseSync(join(folder, 'artery.db'));
    db.prepare('UPDATE credentials SET scopes = ? WHERE id = ?').run(text, lost.id);
    db.close();
    const reader = again();
    expect(await resolveToken(reader, lost.token)).toBeUndefined();
    expect(await resolveToken(reader, kept.token)).toMatchObject({ scopes: ['system/*.rs'] });
    expect(reader.damage.count()).toBe(1);
    const listed = await listTokens(reader, TENANT);
    expect(listed.map(({ id, damaged }) => [id, damaged])).toEqual([
      [lost.id, true],
      [kept.id, undefined],
    ]);
    const damaged: string[] = [];
    let next: string | undefined;
    do {
      const page = await checkBodies(reader, TENANT, next);
      damaged.push(...page.damaged);
      next = page.next;
    } while (next !== undefined);
    expect(damaged).toEqual([`credential ${lost.id}`]);
    await revokeToken(reader, CLERK, lost.id);
    expect((await listTokens(reader, TENANT)).every((row) => row.damaged === undefined)).toBe(true);
  },
);

it('takes no stored value for scopes but a list of texts (MongoDB stores values)', () => {
  for (const stored of [undefined, null, 'x', 3, {}, ['a', 1], [null]]) {
    expect(readScopes(stored)).toEqual({ scopes: [], damaged: true });
  }
  expect(readScopes(['a'])).toEqual({ scopes: ['a'] });
});
