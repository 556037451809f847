// Which real server `npm run test:mongo` uses: the one named in MONGODB_URL, or one that
// mongodb-memory-server downloads. That package is not among ours, as it fetches a binary when it
// is installed; who wants it installs it beside them.
const PACKAGE = 'mongodb-memory-server';

export interface RealServer {
  url: string;
  stop(): Promise<unknown>;
}

interface ReplicaSet {
  create(options: object): Promise<{ getUri(): string; stop(): Promise<unknown> }>;
}

/** undefined = none is named. Throws, and says what to install, where the package is absent. */
export async function realServer(env: NodeJS.ProcessEnv): Promise<RealServer | undefined> {
  const { MONGODB_URL: url = '', ARTERY_TEST_MONGO: mode = '' } = env;
  if (url !== '') return { url, stop: async () => undefined };
  if (mode === '') return undefined;
  if (mode !== 'download') throw new Error('ARTERY_TEST_MONGO is no other than download.');
  const { MongoMemoryReplSet } = await load();
  // One member, with the storage engine that has transactions.
  const replSet = { count: 1, storageEngine: 'wiredTiger' };
  const server = await MongoMemoryReplSet.create({ replSet });
  return { url: server.getUri(), stop: () => server.stop() };
}

async function load(): Promise<{ MongoMemoryReplSet: ReplicaSet }> {
  try {
    return await import(PACKAGE);
  } catch (cause) {
    const todo = `npm install --no-save ${PACKAGE}`;
    throw new Error(`ARTERY_TEST_MONGO=download needs a package that is not here: ${todo}`, {
      cause,
    });
  }
}
