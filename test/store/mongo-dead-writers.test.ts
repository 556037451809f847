// Whose session is ended when a tenant is held and nothing is committed: who shows no sign of life.
import { setTimeout as sleep } from 'node:timers/promises';
import { type CommandStartedEvent, MongoClient } from 'mongodb';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { collectionsOf } from '../../src/store/mongo/collections.ts';
import { DeadWriters } from '../../src/store/mongo/dead-writers.ts';
import { openMongoStore } from '../../src/store/mongo/open.ts';
import { type StandIn, startMongoStandIn } from '../support/mongo/server.ts';
import { freshTenant } from '../support/store-units.ts';
import { wholeUnit } from './mongo-processes.ts';

const STUCK_MS = 300;
const DATABASE = 'artery';

let server: StandIn;
let client: MongoClient;
beforeAll(async () => {
  server = await startMongoStandIn({ port: 0 });
  client = new MongoClient(server.url, { monitorCommands: true, promoteBuffers: true });
});
afterAll(async () => {
  await client.close();
  await server.stop();
});

it('spares those that wait as well', async () => {
  const tenant = freshTenant();
  const store = await openMongoStore({ url: server.url, database: DATABASE });
  await store.commit(wholeUnit(tenant));
  await store.close();
  // Those that wait stand before it in the list.
  const [waiting, looking, dead] = [joined(tenant, 'a'), joined(tenant, 'b'), joined(tenant, 'c')];
  for (const { writer } of [dead, waiting, looking]) await writer.join();
  const ended: string[][] = [];
  client.on('commandStarted', ({ commandName, command }: CommandStartedEvent) => {
    if (commandName !== 'killSessions') return;
    ended.push(command.killSessions.map(({ id }: { id: { toString(): string } }) => `${id}`));
  });
  while (ended.length === 0) {
    await waiting.writer.notice(true);
    await looking.writer.notice(true);
    await sleep(10);
  }
  expect(ended[0]).toEqual([`${dead.session.id?.id}`]);
  for (const { session } of [dead, waiting, looking]) await session.endSession();
});

function joined(tenant: string, name: string) {
  const session = client.startSession({ causalConsistency: false });
  const options = {
    ...{ client, collections: collectionsOf(client.db(DATABASE)), writer: name },
    ...{ commitWaitMs: 10_000, stuckMs: STUCK_MS, takeTurn: undefined },
  };
  return { session, writer: new DeadWriters(options, tenant, session) };
}
