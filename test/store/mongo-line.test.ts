// The MongoDB store stands in line where it is given a line: before each group, and with all that
// came in meanwhile. The line itself is queue/line.ts; here it is the test that lets it go on.
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { openMongoStore } from '../../src/store/mongo/open.ts';
import type { Store } from '../../src/store/port.ts';
import { pause } from '../support/child.ts';
import { type StandIn, startMongoStandIn } from '../support/mongo/server.ts';
import { freshTenant } from '../support/store-units.ts';
import { expectWhole, wholeUnit } from './mongo-processes.ts';

interface Asked {
  tenant: string;
  give(): void;
}

describe('a store in a line', () => {
  let server: StandIn;
  let store: Store;
  const asked: Asked[] = [];
  const ended: string[] = [];
  const takeTurn = (tenant: string) =>
    new Promise<() => void>((resolve) => {
      asked.push({ tenant, give: () => resolve(() => void ended.push(tenant)) });
    });
  const next = async (): Promise<Asked> => {
    await expect.poll(() => asked.length).toBeGreaterThan(0);
    return asked.shift() as Asked;
  };

  beforeAll(async () => {
    server = await startMongoStandIn({ port: 0 });
    const times = { commitWaitMs: 300, selectionTimeoutMs: 200 };
    store = await openMongoStore({ url: server.url, database: 'turns', takeTurn, ...times });
  });
  afterEach(() => void ended.splice(0));
  afterAll(async () => {
    await store.close();
    await server.stop();
  });

  it('writes nothing before its turn, and what came meanwhile in one transaction', async () => {
    const tenant = freshTenant();
    const first = store.commit(wholeUnit(tenant));
    const turn = await next();
    expect(turn.tenant).toBe(tenant);
    server.resetCounts();
    const others = [1, 2, 3].map((n) => store.commit(wholeUnit(tenant, n)));
    await pause(50);
    expect(server.counts().findAndModify).toBeUndefined();
    turn.give();
    await Promise.all([first, ...others]);
    expect(server.counts().commitTransaction).toBe(1);
    expect(ended).toEqual([tenant]);
    await expectWhole(store, tenant, 4);
  });

  it('asks for a turn of each tenant, and for each group', async () => {
    const [one, other] = [freshTenant(), freshTenant()];
    const commits = [one, other].map((tenant) => store.commit(wholeUnit(tenant)));
    const turns = [await next(), await next()];
    expect(turns.map(({ tenant }) => tenant)).toEqual([one, other]);
    for (const { give } of turns.reverse()) give();
    await Promise.all(commits);
    expect(ended.toSorted()).toEqual([one, other].toSorted());
    const again = store.commit(wholeUnit(one, 1));
    (await next()).give();
    await again;
    expect(ended).toHaveLength(3);
  });

  it('ends its turn when the server is away', async () => {
    const tenant = freshTenant();
    await server.down();
    const commit = store.commit(wholeUnit(tenant));
    commit.catch(() => undefined);
    (await next()).give();
    await expect(commit).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
    expect(ended).toEqual([tenant]);
    await server.up();
  });
});
