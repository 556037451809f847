// The composition root: settings -> store -> record -> flow -> sources and api, in the order of a
// message's trip, and the end in reverse. The work role is composed in assembly/work-thread.ts.
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import { authorize } from './access/authorize.ts';
import { adminApi } from './api/admin/plugin.ts';
import { type Authenticate, createAuthenticate } from './api/authenticate.ts';
import { fhirApi } from './api/fhir/plugin.ts';
import { createServer } from './api/server.ts';
import { createAdminServices } from './assembly/admin-services.ts';
import { createChannelDoor } from './assembly/channel-door.ts';
import { startCheckpoints } from './assembly/checkpoints.ts';
import { createFinishLine } from './assembly/finish-line.ts';
import { RunningChannels } from './assembly/running-channels.ts';
import { startWorkLink, type WorkLink } from './assembly/work-link.ts';
import type { App, OpenOptions } from './commands/context.ts';
import { readVersion } from './commands/version.ts';
import { type LoadedChannels, loadChannels } from './config/channels.ts';
import type { Config } from './config/config.ts';
import { createRecordCheck } from './config/record-check.ts';
import { openRootKey } from './config/root-key.ts';
import { watchChannels, watchFolder } from './config/watch.ts';
import { formatRootKeys, makeRootKeys, parseRootKeys } from './crypto/keys.ts';
import { uuid7Maker } from './crypto/uuid.ts';
import { createReceive, type ReceiveOptions, refuseOversize } from './flow/receive.ts';
import { EngineError } from './model/errors.ts';
import type { Wake } from './queue/port.ts';
import { type ClinicalRecord, openRecord } from './record/context.ts';
import { messageHead } from './record/message.ts';
import { httpSource } from './source/http.ts';
import { open as openMllp } from './source/mllp.ts';
import { openSqliteStore, type SqliteStore } from './store/sqlite/open.ts';
import { createTelemetry, type Telemetry } from './telemetry/events.ts';
import { createLogger } from './telemetry/logger.ts';
import { createMetrics } from './telemetry/metrics.ts';

const TENANT = 'default';
/** An answer of enhanced mode that has not come by then is not sent. */
const APPLICATION_ANSWER_MS = 60_000;

/** Opens everything that the roles need. Throws EngineError: what to do stands in its message. */
export async function openApp(config: Config, options: OpenOptions): Promise<App> {
  const begun = performance.now();
  const closers: (() => unknown)[] = [];
  const close = async () => {
    for (const step of closers.splice(0).reverse()) await step();
  };
  try {
    const engine = await openEngine(config, options, closers);
    const fastify = await openSurfaces(config, options, engine, closers);
    const address = options.listen ? await listen(fastify, config) : '';
    // Last, so that no message is taken before everything behind it stands.
    await engine.running.apply(engine.loaded());
    const { telemetry } = engine;
    if (address !== '') {
      telemetry.emit('server.started', {
        address: new URL(address).host,
        version: readVersion(),
        channels: engine.running.list().length,
        ms: performance.now() - begun,
      });
    }
    return { fastify, address, close };
  } catch (thrown) {
    await close();
    throw thrown;
  }
}

interface Engine {
  telemetry: Telemetry;
  store: SqliteStore;
  record: ClinicalRecord;
  rootKeys: string;
  running: RunningChannels;
  loaded(): LoadedChannels;
  receive: ReceiveOptions;
  work: WorkLink | undefined;
  wake(wake: Wake): void;
}

/** Store, record, work thread and the way in, all but HTTP. */
async function openEngine(
  config: Config,
  options: OpenOptions,
  closers: (() => unknown)[],
): Promise<Engine> {
  const logger = createLogger({ level: config.logLevel });
  const telemetry = createTelemetry(logger, createMetrics());
  closers.push(() => logger.flush());
  const storeFolder = join(config.dataDir, 'store');
  const mayMake = !existsSync(storeFolder);
  const rootKeys = openRootKey(config, () => formatRootKeys(makeRootKeys()), mayMake).text;
  const store = await openSqliteStore({
    folder: storeFolder,
    groupUnitsMax: config.limits.storeBatchMax,
  });
  closers.push(() => store.close());
  const record = openRecord({ store, rootKeys: parseRootKeys(rootKeys), clock: Date.now });
  closers.push(() => record.close());
  // A wrong root key stops the start here, not each message later.
  for (const tenant of await store.audit.tenants()) await record.keyring.tenant(tenant);
  const { dataDir, limits } = config;
  const intervalMs = limits.checkpointIntervalMs;
  const checkpoints = startCheckpoints({ record, dataDir, intervalMs, telemetry });
  closers.push(() => checkpoints.close());
  return openFlow(config, options, closers, { telemetry, store, storeFolder, record, rootKeys });
}

async function openFlow(
  config: Config,
  options: OpenOptions,
  closers: (() => unknown)[],
  base: Pick<Engine, 'telemetry' | 'store' | 'record' | 'rootKeys'> & { storeFolder: string },
): Promise<Engine> {
  const { telemetry, store, record, rootKeys, storeFolder } = base;
  const { limits } = config;
  let loaded = loadChannels(config.channelsDir, config);
  const line = createFinishLine({
    waiting: await countWaiting(store),
    timeoutMs: APPLICATION_ANSWER_MS,
    head: (id) => messageHead(record, TENANT, id),
  });
  let work: WorkLink | undefined;
  if (options.roles.includes('work')) {
    work = await startWorkLink({
      ...{ config, rootKeys, channels: loaded.channels, storeFolder, telemetry },
      storePort: store.connect(),
      finished: line.finished,
      died: () => process.kill(process.pid, 'SIGTERM'),
    });
    closers.push(() => work?.close());
  }
  const wake = (target: Wake) => {
    line.accepted();
    work?.wake(target);
  };
  const receive: ReceiveOptions = {
    ...{ record, telemetry, limits, queue: { wake } },
    channel: (name) => running.find(name),
    newId: uuid7Maker(randomBytes),
    checkRecord: createRecordCheck(),
    waiting: line.waiting,
    finished: line.end,
  };
  const running = openChannels(receive, options, limits.drainTimeoutMs);
  closers.push(() => running.close());
  if (options.listen) {
    const follow = watchFiles(config, running, work, (next) => {
      loaded = next;
    });
    closers.push(follow);
  }
  const { metrics } = telemetry;
  metrics.gauge('intake_waiting', line.waiting);
  metrics.gauge('queue_waiting', () => work?.depth().waiting ?? 0);
  metrics.gauge('queue_active', () => work?.depth().active ?? 0);
  metrics.gauge('channels', () => running.list().length);
  metrics.gauge('resident_bytes', () => process.memoryUsage.rss());
  return { telemetry, store, record, rootKeys, running, receive, work, wake, loaded: () => loaded };
}

async function countWaiting(store: SqliteStore): Promise<number> {
  const counts = await store.intake.counts();
  return counts
    .filter(({ state }) => state === 'received')
    .reduce((sum, { count }) => sum + count, 0);
}

function openChannels(
  receive: ReceiveOptions,
  options: OpenOptions,
  drainTimeoutMs: number,
): RunningChannels {
  const { telemetry } = receive;
  const take = createReceive(receive);
  const refuse = refuseOversize(receive);
  return new RunningChannels({
    telemetry,
    drainTimeoutMs,
    listens: options.roles.includes('receive'),
    async open({ name, source }) {
      if (source.kind !== 'mllp') throw new EngineError('CONFIG_INVALID', 'It is no MLLP channel.');
      return openMllp(source, {
        ...{ channel: name, receive: take, refuseOversize: refuse, telemetry },
        now: Date.now,
      });
    },
  });
}

/** Changed channel files are applied, changed mappings compiled, at once in both threads. */
function watchFiles(
  config: Config,
  running: RunningChannels,
  work: WorkLink | undefined,
  changed: (loaded: LoadedChannels) => void,
): () => void {
  const channels = watchChannels(config.channelsDir, config, (loaded) => {
    changed(loaded);
    // A refused file leaves its channel running: the work thread must know it as long. And it must
    // know a new channel before its first message.
    const kept = () => running.list().map(({ channel }) => channel);
    work?.order({ kind: 'channels', channels: [...kept(), ...loaded.channels] });
    const applied = running.apply(loaded);
    void applied.then(() => work?.order({ kind: 'channels', channels: kept() }));
  });
  const mappings = watchFolder(config.mappingsDir, config.limits, () =>
    work?.order({ kind: 'load-mappings' }),
  );
  return () => {
    channels.close();
    mappings.close();
  };
}

/** Everything that is spoken over HTTP. */
async function openSurfaces(
  config: Config,
  options: OpenOptions,
  engine: Engine,
  closers: (() => unknown)[],
): Promise<FastifyInstance> {
  const { telemetry, record, store, running, receive, work, wake, loaded } = engine;
  const { limits } = config;
  const { operatorSecret } = options;
  const version = readVersion();
  const authenticate = createAuthenticate({ record, operatorSecret, tenant: TENANT });
  const fastify = createServer({
    ...{ telemetry, limits, version },
    ready: () => readiness(engine, options),
    admitMetrics: async (request) => admitMetrics(request, authenticate),
  });
  closers.push(() => fastify.close());
  await fastify.register(fhirApi, {
    ...{ prefix: '/fhir/R4', record, authenticate, limits, telemetry, version },
  });
  const admin = createAdminServices({
    ...{ config, record, telemetry, authenticate, wake, running, loaded, work },
    backup: (folder) => store.backup(folder),
  });
  await fastify.register(adminApi, { prefix: '/admin', ...admin });
  if (options.roles.includes('receive')) {
    await fastify.register(httpSource, {
      ...createChannelDoor(record, authenticate),
      receive: createReceive(receive),
      channel: (name: string) => httpChannel(running, name),
      bodyBytesMax: limits.bodyBytesMax,
      now: Date.now,
    });
  }
  return fastify;
}

function httpChannel(running: RunningChannels, name: string) {
  const channel = running.find(name);
  return channel?.source.kind === 'http' ? channel : undefined;
}

function readiness({ running }: Engine, options: OpenOptions) {
  const receives = options.roles.includes('receive');
  const channels = running.list().every(({ fault }) => fault === '');
  const checks: Record<string, boolean> = receives ? { channels } : {};
  return { ready: Object.values(checks).every(Boolean), checks };
}

async function admitMetrics(
  request: Parameters<Authenticate>[0],
  authenticate: Authenticate,
): Promise<void> {
  const principal = await authenticate(request);
  const decision = authorize(principal, { kind: 'admin', verb: 'r', area: 'metrics' });
  if (!decision.allowed) throw new EngineError('FORBIDDEN', decision.reason);
}

async function listen(fastify: FastifyInstance, config: Config): Promise<string> {
  const { host, httpPort: port } = config;
  try {
    return await fastify.listen({ host, port });
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? 'unknown';
    const text = `HTTP cannot listen on ${host}:${port} (${code}): set ARTERY_HTTP_PORT.`;
    throw new EngineError('CONFIG_INVALID', text, { cause });
  }
}
