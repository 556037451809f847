// The MongoDB stand-in of the tests in a process of its own, for a bench without a MongoDB server.
// It tells its url, and how often each command came whenever it is asked (any message).
import { startMongoStandIn } from '../test/support/mongo/server.ts';

const standIn = await startMongoStandIn({ port: 0 });
process.send?.({ url: standIn.url });
process.on('message', () => process.send?.(standIn.counts()));
process.on('disconnect', async () => {
  await standIn.stop();
  process.exit(0);
});
