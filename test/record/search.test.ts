// Search over blind tokens, bearer tokens, and the rule "no access without a log".
import { describe, expect, it } from 'vitest';
import { parseSearch, type SearchQuery } from '../../src/fhir/search.ts';
import { EngineError } from '../../src/model/errors.ts';
import { type ClinicalRecord, openRecord } from '../../src/record/context.ts';
import {
  createToken,
  listTokens,
  resolveToken,
  revokeToken,
} from '../../src/record/credentials.ts';
import { readResource } from '../../src/record/read.ts';
import { searchResources } from '../../src/record/search.ts';
import { updateResource } from '../../src/record/update.ts';
import type { Store } from '../../src/store/port.ts';
import { CLERK, openBench, TENANT } from './open.ts';

const OPTIONS = { countDefault: 10, countMax: 100 };

function read(type: string, text: string): SearchQuery {
  const { query, issues } = parseSearch(type, new URLSearchParams(text), OPTIONS);
  expect(issues).toEqual([]);
  return query;
}

async function idsOf(record: ClinicalRecord, type: string, text: string): Promise<string[]> {
  const { matches } = await searchResources(record, CLERK, read(type, text));
  return matches.map(({ resource }) => resource.id);
}

async function fillPatients(record: ClinicalRecord): Promise<void> {
  const rows = [
    { id: 'a', family: 'Müller', gender: 'male', birthDate: '1970-05-01' },
    { id: 'b', family: 'Müller-Lüdenscheidt', gender: 'female', birthDate: '1980-06-02' },
    { id: 'c', family: 'Klöbner', gender: 'male', birthDate: '1971-01-31' },
  ];
  for (const { id, family, gender, birthDate } of rows) {
    const identifier = [{ system: 'urn:oid:1.2', value: `P-${id}` }];
    const name = [{ family }];
    const resource = { resourceType: 'Patient', id, identifier, name, gender, birthDate };
    await updateResource(record, CLERK, resource);
  }
}

describe('a search', () => {
  it('finds what matches and nothing else', async () => {
    const { record } = await openBench();
    await fillPatients(record);
    const rows: [string, string[]][] = [
      ['identifier=urn:oid:1.2|P-a', ['a']],
      ['identifier=P-b', ['b']],
      ['family=müller', ['a', 'b']],
      ['family=mull', ['a', 'b']],
      ['family:exact=Müller', ['a']],
      ['gender=male', ['a', 'c']],
      ['gender=male,female', ['a', 'b', 'c']],
      ['gender=male&family=kl', ['c']],
      ['birthdate=1970-05-01', ['a']],
      ['birthdate=ge1971&birthdate=lt1981', ['b', 'c']],
      ['_id=a,c', ['a', 'c']],
      ['family=nobody', []],
    ];
    for (const [text, expected] of rows) {
      const found = await idsOf(record, 'Patient', text);
      expect({ text, found: found.toSorted() }).toEqual({ text, found: expected });
    }
  });

  it('pages to the end without repeating', async () => {
    const { record } = await openBench();
    for (let n = 0; n < 7; n += 1) {
      const resource = {
        resourceType: 'Patient',
        id: `p${n}`,
        gender: n === 3 ? 'female' : 'male',
      };
      await updateResource(record, CLERK, resource);
    }
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const query = { ...read('Patient', 'gender=male&_count=2'), ...(cursor ? { cursor } : {}) };
      const page = await searchResources(record, CLERK, query);
      seen.push(...page.matches.map(({ resource }) => resource.id));
      cursor = page.cursor;
    } while (cursor !== undefined);
    expect(seen.toSorted()).toEqual(['p0', 'p1', 'p2', 'p4', 'p5', 'p6']);
  });

  it('fills its page when the check in clear refuses candidates', async () => {
    const { record } = await openBench();
    for (let n = 0; n < 9; n += 1) {
      await updateResource(record, CLERK, { resourceType: 'Patient', id: `p${n}`, gender: 'male' });
    }
    const query = read('Patient', 'gender=male&_count=3');
    const odd = {
      name: 'odd',
      test: ({ id }: { id?: string }) => Number(id?.slice(1)) % 2 === 1,
    };
    const picky = { ...query, exact: false, clauses: [...query.clauses, odd] };
    const page = await searchResources(record, CLERK, { ...picky, total: 'accurate' });
    expect(page.matches.map(({ resource }) => resource.id)).toEqual(['p7', 'p5', 'p3']);
    expect(page.total).toBe(4);
    const rest = await searchResources(record, CLERK, { ...picky, cursor: page.cursor ?? '' });
    expect(rest.matches.map(({ resource }) => resource.id)).toEqual(['p1']);
  });

  it('counts where asked, up to a bound', async () => {
    const { record } = await openBench();
    await fillPatients(record);
    const query = read('Patient', 'gender=male&_summary=count');
    expect(await searchResources(record, CLERK, query)).toEqual({
      matches: [],
      total: 2,
      damaged: [],
    });
    const bounded = await searchResources(record, CLERK, query, { totalMax: 1 });
    expect(bounded.total).toBe(1);
  });

  it('stays inside the given compartments and the tenant', async () => {
    const { record } = await openBench();
    await fillPatients(record);
    const query = read('Patient', 'gender=male');
    const inside = await searchResources(record, CLERK, query, { compartments: ['a', 'b'] });
    expect(inside.matches.map(({ resource }) => resource.id)).toEqual(['a']);
    const other = await searchResources(record, { ...CLERK, tenant: 'other' }, query);
    expect(other.matches).toEqual([]);
  });
});

describe('a bearer token', () => {
  const grant = { tenant: TENANT, scopes: ['system/*.rs'], label: 'lab', expiresAt: null };

  it('stands for its scopes until it is revoked', async () => {
    const { record, again, advance } = await openBench({ bearerRecheckMs: 1_000 });
    const other = again();
    const { id, token } = await createToken(record, CLERK, grant);
    expect(token).toMatch(/^artery_[\w-]{43}$/);
    const principal = { tenant: TENANT, id, scopes: grant.scopes, peer: '', patient: null };
    expect(await resolveToken(record, token)).toEqual(principal);
    expect(await resolveToken(other, token)).toEqual(principal);
    await revokeToken(record, CLERK, id);
    await revokeToken(record, CLERK, id);
    expect(await resolveToken(record, token)).toBeUndefined();
    advance(1_001);
    expect(await resolveToken(other, token)).toBeUndefined();
    expect(await listTokens(record, TENANT)).toMatchObject([{ id, label: 'lab' }]);
    expect(JSON.stringify(await listTokens(record, TENANT))).not.toContain('Hash');
  });

  it('expires, also from the cache', async () => {
    const { record, advance } = await openBench({ bearerRecheckMs: 60_000 });
    const expiresAt = record.clock() + 5_000;
    const { token } = await createToken(record, CLERK, { ...grant, expiresAt });
    expect(await resolveToken(record, token)).toBeDefined();
    advance(5_001);
    expect(await resolveToken(record, token)).toBeUndefined();
  });

  it.each(['', 'x', `artery_${'A'.repeat(43)}`, `artery_${'A'.repeat(99_999)}`])(
    'is not %#',
    async (token) => {
      const { record } = await openBench();
      expect(await resolveToken(record, token)).toBeUndefined();
    },
  );

  it('is not revoked under an unknown id', async () => {
    const { record } = await openBench();
    await expect(revokeToken(record, CLERK, 'x')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});

describe('no access without a log', () => {
  it('goes on while entries can be held, then shows nothing until they are kept', async () => {
    const { record, store, rootKeys } = await openBench();
    await updateResource(record, CLERK, { resourceType: 'Patient', id: 'a' });
    let broken = false;
    const { intake, resources, search, audit, keys } = store;
    const breaking: Store = {
      ...{ intake, resources, search, audit, keys },
      commit: async (unit) => {
        if (broken) throw new EngineError('STORE_UNAVAILABLE');
        return store.commit(unit);
      },
      probe: () => store.probe(),
      backup: (folder) => store.backup(folder),
      close: async () => undefined,
    };
    const limits = { auditBacklogMax: 3 };
    const reader = openRecord({ store: breaking, rootKeys, clock: Date.now, limits });
    const ref = { type: 'Patient', id: 'a' };
    const entries = async () => (await store.audit.head(TENANT)).seq;
    await readResource(reader, CLERK, ref);
    await reader.close();
    const before = await entries();
    broken = true;
    for (let n = 0; n < 3; n += 1) await readResource(reader, CLERK, ref);
    await expect(reader.close()).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    const refused = [1, 2, 3].map(() => readResource(reader, CLERK, ref));
    for (const each of refused) {
      await expect(each).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    }
    broken = false;
    await readResource(reader, CLERK, ref);
    await readResource(reader, CLERK, ref);
    await reader.close();
    expect(await entries()).toBe(before + 5);
  });

  it('waits for the log when too many entries are under way', async () => {
    const { record, store } = await openBench({ auditBacklogMax: 2 });
    await updateResource(record, CLERK, { resourceType: 'Patient', id: 'a' });
    const ref = { type: 'Patient', id: 'a' };
    await Promise.all(Array.from({ length: 50 }, () => readResource(record, CLERK, ref)));
    await record.close();
    expect((await store.audit.head(TENANT)).seq).toBe(2 + 50);
  });
});
