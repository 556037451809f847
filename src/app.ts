// The composition root: settings -> store -> record -> flow -> sources and api, in the order of a
// message's trip, and the end in reverse. The work role is composed in assembly/work-thread.ts.
import { randomBytes } from 'node:crypto';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { authorize } from './access/authorize.ts';
import { adminApi } from './api/admin/plugin.ts';
import { type Authenticate, createAuthenticate } from './api/authenticate.ts';
import { CallerRate } from './api/caller-rate.ts';
import { fhirApi } from './api/fhir/plugin.ts';
import { createServer } from './api/server.ts';
import { createAdminServices } from './assembly/admin-services.ts';
import { createAnchorDelivery } from './assembly/anchor-delivery.ts';
import { anchorDestinations } from './assembly/anchor-destinations.ts';
import { createBackup } from './assembly/backups.ts';
import { createChannelDoor } from './assembly/channel-door.ts';
import { startCheckpoints } from './assembly/checkpoints.ts';
import { damageWarnings, tellDamage } from './assembly/damage-news.ts';
import { type Engine, mayMakeRootKey, openEngine } from './assembly/engines.ts';
import { createFinishLine } from './assembly/finish-line.ts';
import { loadRootKeys } from './assembly/root-keys.ts';
import { RunningChannels } from './assembly/running-channels.ts';
import { type MapState, openMapState } from './assembly/served-types.ts';
import { probeStore, type StoreProbe } from './assembly/store-probe.ts';
import { startWorkLink, type WorkLink } from './assembly/work-link.ts';
import type { App, OpenOptions } from './commands/context.ts';
import { readVersion } from './commands/version.ts';
import { type LoadedChannels, loadChannels } from './config/channels.ts';
import type { Config } from './config/config.ts';
import { openForgottenFile } from './config/forgotten-file.ts';
import type { Limits } from './config/limits.ts';
import { readPortOwners, writePortOwners } from './config/port-owners.ts';
import { createRecordCheck } from './config/record-check.ts';
import { openRootKey } from './config/root-key.ts';
import { watchChannels, watchFolder } from './config/watch.ts';
import { formatRootKeys, makeRootKeys } from './crypto/keys.ts';
import { uuid7Maker } from './crypto/uuid.ts';
import { countStray, createReceive, type ReceiveOptions, refuseOversize } from './flow/receive.ts';
import { EngineError } from './model/errors.ts';
import type { Depth, Wake } from './queue/port.ts';
import { type ClinicalRecord, openRecord } from './record/context.ts';
import { forgetAgain } from './record/forget.ts';
import { messageHead } from './record/message.ts';
import { httpSource } from './source/http.ts';
import { open as openMllp } from './source/mllp.ts';
import { FrameBytes } from './source/mllp-shares.ts';
import type { Store } from './store/port.ts';
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
  const phase = { draining: false };
  const close = async () => {
    phase.draining = true;
    for (const step of closers.splice(0).reverse()) await step();
  };
  try {
    const base = await openBase(config, options, closers);
    // Closed after the work has drained: until then it tells that this process takes nothing new.
    let surfaces: FastifyInstance | undefined;
    closers.push(() => surfaces?.close());
    const core = await openFlow(config, options, closers, base);
    surfaces = await openSurfaces(config, options, core, phase);
    const fastify = surfaces;
    const address = options.listen ? await listen(fastify, config) : '';
    // Last, so that no message is taken before everything behind it stands.
    await core.running.apply(core.loaded());
    const { telemetry } = core;
    if (address !== '') {
      telemetry.emit('server.started', {
        address: new URL(address).host,
        version: readVersion(),
        channels: core.running.list().length,
        ms: performance.now() - begun,
      });
    }
    return { fastify, address, reload: core.reload, close };
  } catch (thrown) {
    await close();
    throw thrown;
  }
}

/** What stands before a message can come in. */
interface Base {
  telemetry: Telemetry;
  engine: Engine;
  probe: StoreProbe;
  record: ClinicalRecord;
  rootKeys: string;
}

interface Core extends Base {
  running: RunningChannels;
  loaded(): LoadedChannels;
  receive: ReceiveOptions;
  work: WorkLink | undefined;
  maps: MapState;
  wake(wake: Wake): void;
  depth(): Depth;
  reload(): void;
}

/** Store, queue and record. */
async function openBase(
  config: Config,
  options: OpenOptions,
  closers: (() => unknown)[],
): Promise<Base> {
  const logger = createLogger({ level: config.logLevel });
  const telemetry = createTelemetry(logger, createMetrics());
  closers.push(() => logger.flush());
  const mayMake = mayMakeRootKey(config);
  const rootKeys = openRootKey(config, () => formatRootKeys(makeRootKeys()), mayMake).text;
  const engine = await openEngine(config, telemetry);
  closers.push(() => engine.close());
  const { store } = engine;
  const record = openRecord({
    store,
    rootKeys: loadRootKeys(config, rootKeys),
    readRootKeys: () => loadRootKeys(config),
    forgotten: openForgottenFile(config),
    clock: Date.now,
    damaged: tellDamage(telemetry),
  });
  telemetry.metrics.gauge('records_damaged', () => record.damage.count());
  closers.push(() => record.close());
  // A wrong root key stops the start here, not each message later.
  for (const tenant of await store.audit.tenants()) {
    await record.keyring.tenant(tenant);
    for (const id of await forgetAgain(record, tenant)) telemetry.emit('patient.forgotten', { id });
  }
  const { dataDir, limits } = config;
  const intervalMs = limits.checkpointIntervalMs;
  const entriesMax = limits.checkpointEntriesMax;
  // Of many processes, those that work sign; a process alone signs whatever it does.
  if (config.cluster === null || options.roles.includes('work')) {
    const destinations = anchorDestinations(config.anchorsTo);
    const delivery = createAnchorDelivery({ dataDir, destinations, telemetry });
    const checkpoints = startCheckpoints({
      ...{ record, dataDir, intervalMs, entriesMax, telemetry, delivery },
    });
    closers.push(() => checkpoints.close());
  }
  const probe = probeStore(store, telemetry);
  closers.push(() => probe.close());
  return { telemetry, engine, probe, record, rootKeys };
}

/** The work thread and the way in, all but HTTP. */
async function openFlow(
  config: Config,
  options: OpenOptions,
  closers: (() => unknown)[],
  base: Base,
): Promise<Core> {
  const { telemetry, engine, record, rootKeys } = base;
  const { limits } = config;
  const context = { ...config, portOwners: () => portOwners() };
  let portOwners = () => readPortOwners(config.dataDir);
  let loaded = loadChannels(config.channelsDir, context);
  const line = await createFinishLine({
    count: () => countWaiting(engine.store),
    timeoutMs: APPLICATION_ANSWER_MS,
    now: Date.now,
    head: (id) => messageHead(record, TENANT, id),
    shared: config.cluster !== null,
  });
  closers.push(() => line.close());
  let reload: () => void = () => undefined;
  let work: WorkLink | undefined;
  if (options.roles.includes('work')) {
    work = await startWorkLink({
      ...{ config, rootKeys, channels: loaded.channels, telemetry },
      seat: () => engine.seat(),
      finished: line.finished,
      died: () => process.kill(process.pid, 'SIGTERM'),
    });
    closers.push(() => work?.close());
  }
  const maps = openMapState(config.mappingsDir, work);
  const wake = (target: Wake) => {
    line.accepted();
    (engine.queue ?? work)?.wake(target);
  };
  const receive: ReceiveOptions = {
    ...{ record, telemetry, limits, queue: { wake } },
    channel: (name) => running.find(name),
    serves: maps.serves,
    newId: uuid7Maker(randomBytes),
    checkRecord: createRecordCheck(),
    waiting: line.waiting,
    finished: line.end,
  };
  const running = openChannels(receive, options, limits, config.dataDir);
  closers.push(() => running.close());
  if (options.listen) {
    // From the first start on the running channels are what holds a port.
    portOwners = () => running.portOwners();
    const watched = watchFiles(
      { ...config, portOwners: context.portOwners },
      running,
      work,
      maps,
      (next) => {
        loaded = next;
      },
    );
    closers.push(watched.close);
    reload = watched.reload;
  }
  const { metrics } = telemetry;
  metrics.gauge('intake_waiting', line.waiting);
  metrics.gauge('intake_oldest_ms', line.oldestMs);
  const depth = () => (engine.queue ?? work)?.depth() ?? { waiting: 0, active: 0 };
  metrics.gauge('queue_waiting', () => depth().waiting);
  metrics.gauge('queue_active', () => depth().active);
  metrics.gauge('queue_oldest_ms', () => depth().oldestMs ?? 0);
  metrics.gauge('channels', () => running.list().length);
  metrics.gauge('resident_bytes', () => process.memoryUsage.rss());
  return { ...base, running, receive, work, maps, wake, depth, reload, loaded: () => loaded };
}

/** `oldest` 0 = nothing waits. */
async function countWaiting({ intake }: Store): Promise<{ waiting: number; oldest: number }> {
  const rows = (await intake.counts()).filter(({ state }) => state === 'received');
  const waiting = rows.reduce((sum, { count }) => sum + count, 0);
  return { waiting, oldest: waiting === 0 ? 0 : await intake.oldestWaiting() };
}

function openChannels(
  receive: ReceiveOptions,
  options: OpenOptions,
  limits: Limits,
  dataDir: string,
): RunningChannels {
  const { telemetry } = receive;
  const take = createReceive(receive);
  const refuse = refuseOversize(receive);
  const noise = countStray(receive);
  const frameBytes = new FrameBytes(limits);
  return new RunningChannels({
    telemetry,
    drainTimeoutMs: limits.drainTimeoutMs,
    listens: options.roles.includes('receive'),
    holds: (owners) => writePortOwners(dataDir, owners),
    async open({ name, source }) {
      if (source.kind !== 'mllp') throw new EngineError('CONFIG_INVALID', 'It is no MLLP channel.');
      return openMllp(source, {
        ...{ channel: name, receive: take, refuseOversize: refuse, noise, telemetry },
        ...{ limits, frameBytes },
        now: Date.now,
      });
    },
  });
}

/** Changed channel files are applied, changed mappings compiled, at once in both threads. */
function watchFiles(
  config: Config & { portOwners(): ReadonlyMap<number, string> },
  running: RunningChannels,
  work: WorkLink | undefined,
  maps: MapState,
  changed: (loaded: LoadedChannels) => void,
): { reload(): void; close(): void } {
  const channels = watchChannels(config.channelsDir, config, (loaded) => {
    changed(loaded);
    // A refused file leaves its channel running: the work thread must know it as long. And it must
    // know a new channel before its first message.
    const kept = () => running.list().map(({ channel }) => channel);
    work?.order({ kind: 'channels', channels: [...kept(), ...loaded.channels] });
    const applied = running.apply(loaded);
    void applied.then(() => work?.order({ kind: 'channels', channels: kept() }));
  });
  const mappings = watchFolder(config.mappingsDir, config.limits, () => {
    work?.order({ kind: 'load-mappings' });
    maps.reload();
  });
  return {
    reload() {
      channels.reload();
      mappings.reload();
      void running.reloadCertificates();
    },
    close() {
      channels.close();
      mappings.close();
    },
  };
}

/** Everything that is spoken over HTTP. */
async function openSurfaces(
  config: Config,
  options: OpenOptions,
  core: Core,
  phase: { draining: boolean },
): Promise<FastifyInstance> {
  const { telemetry, record, engine, running, receive, work, wake, depth, loaded } = core;
  const { limits } = config;
  const { operatorSecret } = options;
  const version = readVersion();
  const rate = new CallerRate(limits, () => performance.now());
  const authenticate = createAuthenticate({ record, operatorSecret, tenant: TENANT, rate });
  const fastify = createServer({
    ...{ telemetry, limits, version, rate },
    ready: () => readiness(core, options, phase),
    admitMetrics: async (request) => admitMetrics(request, authenticate),
  });
  fastify.addHook('onRequest', async (request) => {
    if (phase.draining && !isHealthPage(request)) throw new EngineError('CLOSING');
  });
  if (options.roles.includes('api')) {
    await fastify.register(fhirApi, {
      ...{ prefix: '/fhir/R4', record, authenticate, limits, telemetry, version, rate },
      baseUrl: config.publicUrl === '' ? '' : `${config.publicUrl}/fhir/R4`,
    });
  }
  const admin = createAdminServices({
    ...{ config, record, telemetry, authenticate, wake, depth, running, loaded, work },
    backup: createBackup({ config, record, copy: (folder) => engine.store.backup(folder) }),
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

/** `serving` is false from the first word of a stop on; the others say who is missing. */
function readiness(core: Core, options: OpenOptions, phase: { draining: boolean }) {
  const { engine, probe, running, record, work } = core;
  const store = probe.condition();
  const checks: Record<string, boolean | string> = {
    serving: !phase.draining,
    store: store === 'ok' || store,
  };
  if (engine.queue !== undefined) checks.queue = engine.queue.ready();
  if (options.roles.includes('receive')) {
    checks.mappings = !core.maps.faulty();
    checks.channels = running.list().every(({ fault }) => fault === '');
  }
  const warnings = damageWarnings(record.damage.count() + (work?.damaged() ?? 0));
  return { ready: Object.values(checks).every((check) => check === true), checks, warnings };
}

function isHealthPage(request: FastifyRequest): boolean {
  return ['/livez', '/readyz', '/health', '/metrics'].includes(request.routeOptions.url ?? '');
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
