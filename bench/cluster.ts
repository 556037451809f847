// The cluster engine: whole trip through Redis and MongoDB, with the embedded engine in the same
// run. What each figure is compared with, and how commands are counted, stands in README.md.
import { setTimeout as sleep } from 'node:timers/promises';
import { formatRootKeys, makeRootKeys } from '../src/crypto/keys.ts';
import { openMongoStore } from '../src/store/mongo/open.ts';
import { type Backends, type Counts, openBackends, sentBetween } from './backends.ts';
import { measureLatency } from './latency.ts';
import { runLoad, type Server, startServer } from './processes.ts';
import { ADT, CONNECTIONS, type Context, type Row, WARMUP_NEW } from './scenarios.ts';

const CHANNEL = 'adt-inbound';
const PATIENTS = 1_000;
const WARMUP = 500;
const SETTLE_MS = 6_000;
/** Long enough for what is asked every five and every ten seconds. */
const IDLE_S = 30;
const LATENCY_RATE = 100;

const COMMANDS_PER_MESSAGE = 4;
const COMMANDS_PER_IDLE_SECOND = 2;

/** Where messages go in, where they are read, and what still waits. */
interface Site {
  port: number;
  reader: Server;
  waiting(): Promise<number>;
}

/** Yields the rows of each step as soon as they are there. */
export async function* clusterEngine(
  context: Context,
  echo: Record<string, number>,
): AsyncGenerator<Row[]> {
  const echoRate = echo[ADT] ?? Number.NaN;
  const embedded = await embeddedTrip(context);
  yield [rateRow('embedded, one process', embedded, { echo: echoRate }), ...embedded.latency];
  const backends = await openBackends(process.env);
  const bench = new ClusterBench(context, backends);
  try {
    yield* bench.oneProcess(embedded.rate, echoRate);
    yield* bench.rolesApart(embedded.rate, echoRate);
  } finally {
    await bench.stop();
    await backends.close();
  }
}

class ClusterBench {
  readonly #context: Context;
  readonly #backends: Backends;
  readonly #settings: Record<string, string>;
  readonly #open = new Set<Server>();
  /** Behind the name of every figure. */
  readonly #mark: string;

  constructor(context: Context, backends: Backends) {
    this.#context = context;
    this.#backends = backends;
    this.#mark = backends.standIn ? ' (stand-in)' : '';
    this.#settings = {
      MONGODB_URL: backends.mongodbUrl,
      REDIS_URL: backends.redisUrl,
      ARTERY_ROOT_KEY: formatRootKeys(makeRootKeys()),
    };
  }

  async stop(): Promise<void> {
    for (const server of this.#open) await server.stop();
    this.#open.clear();
  }

  /** All roles in one process, as the embedded engine has them. */
  async *oneProcess(embedded: number, echo: number): AsyncGenerator<Row[]> {
    const server = await this.#start('receive,work,api');
    const site = { port: portOf(server), reader: server };
    const name = `cluster${this.#mark}, one process`;
    yield await this.#tripRows(name, site, { embedded, echo });
    yield await this.#idleRows(name);
    yield await this.#latencyRows(name, site);
    await this.stop();
  }

  /** One process receives and serves; first one works, then two. */
  async *rolesApart(embedded: number, echo: number): AsyncGenerator<Row[]> {
    const server = await this.#start('receive,api');
    const site = { port: portOf(server), reader: server };
    const rates: number[] = [];
    for (const workers of ['1 worker', '2 workers']) {
      await this.#start('work');
      const name = `cluster${this.#mark}, receiver and ${workers}`;
      const rows = await this.#tripRows(name, site, { embedded, echo });
      rates.push(rows[0]?.value ?? Number.NaN);
      yield rows;
    }
    const [one = Number.NaN, two = Number.NaN] = rates;
    yield [
      {
        scenario: `cluster${this.#mark}, what the second worker adds`,
        value: two - one,
        unit: 'msg/s',
        note: `${(two / one).toFixed(2)} of one worker`,
      },
    ];
    yield await this.#idleRows(`cluster${this.#mark}, three processes`);
    await this.stop();
  }

  async #start(roles: string): Promise<Server> {
    const server = await startServer(roles, this.#settings);
    this.#open.add(server);
    return server;
  }

  async #tripRows(
    name: string,
    at: Omit<Site, 'waiting'>,
    { embedded, echo }: { embedded: number; echo: number },
  ): Promise<Row[]> {
    const store = await openMongoStore({ url: this.#backends.mongodbUrl });
    const waiting = async () => sumOf(await store.intake.counts(), 'received');
    const site = { ...at, waiting };
    try {
      const ready = await warmUp(this.#context, site);
      const before = await this.#counts();
      const trip = await runTrip(this.#context, site, ready);
      const after = await this.#counts();
      const setAside = sumOf(await store.intake.counts(), 'set-aside');
      const first = rateRow(name, { ...trip, setAside }, { echo, embedded });
      return [first, ...this.#commandRows('  commands to', before, after, trip.count)];
    } finally {
      await store.close();
    }
  }

  async #idleRows(name: string): Promise<Row[]> {
    await sleep(SETTLE_MS);
    const before = await this.#counts();
    await sleep(IDLE_S * 1_000);
    const after = await this.#counts();
    return this.#commandRows(`${name}, idle: commands/s to`, before, after, undefined);
  }

  #commandRows(
    name: string,
    before: AllCounts,
    after: AllCounts,
    messages: number | undefined,
  ): Row[] {
    const per = messages ?? IDLE_S * this.#open.size;
    const unit = messages === undefined ? '/s/process' : 'per message';
    const mongoAim = messages === undefined ? COMMANDS_PER_IDLE_SECOND : COMMANDS_PER_MESSAGE;
    return (['mongo', 'redis'] as const).map((server) => {
      const label = server === 'mongo' ? `MongoDB${this.#mark}` : 'Redis';
      const scenario = `${name} ${label}`;
      const [from, to] = [before[server], after[server]];
      if (from === undefined || to === undefined) {
        return { scenario, value: Number.NaN, unit, note: 'the server does not tell' };
      }
      const { total, most } = sentBetween(from, to);
      const aim = server === 'mongo' ? { aim: mongoAim } : {};
      return { scenario, value: total / per, unit, note: most, ...aim };
    });
  }

  async #latencyRows(name: string, site: { port: number; reader: Server }): Promise<Row[]> {
    return latencyRows(this.#context, name, site);
  }

  async #counts(): Promise<AllCounts> {
    const mongo = await this.#backends.mongoCommands();
    return { mongo, redis: await this.#backends.redisCommands() };
  }
}

interface AllCounts {
  mongo: Counts | undefined;
  redis: Counts | undefined;
}

interface Trip {
  rate: number;
  count: number;
  p50: number;
  p99: number;
  refused: number;
  setAside?: number;
}

async function embeddedTrip(context: Context): Promise<Trip & { latency: Row[] }> {
  const server = await startServer('receive,work,api');
  const site = { port: portOf(server), reader: server, waiting: () => server.waiting() };
  const trip = await runTrip(context, site, await warmUp(context, site));
  const latency = await latencyRows(context, 'embedded, one process', site);
  await server.stop();
  return { ...trip, latency };
}

/** Other patients first, not counted. Answers how many messages fill the time of the run. */
async function warmUp({ tools, seconds }: Context, site: Site): Promise<number> {
  const shape = { port: site.port, file: ADT, connections: CONNECTIONS, seconds: 600 };
  const runs = [
    { patients: WARMUP_NEW, count: WARMUP },
    { patients: PATIENTS, count: WARMUP },
  ];
  let rate = 0;
  for (const run of runs) {
    const begun = performance.now();
    await runLoad(tools, { ...shape, ...run });
    await drained(site);
    rate = (run.count / (performance.now() - begun)) * 1_000;
  }
  return Math.max(WARMUP, Math.round(rate * seconds));
}

/** From the first byte sent until no message waits. */
async function runTrip({ tools }: Context, site: Site, count: number): Promise<Trip> {
  const shape = { port: site.port, file: ADT, connections: CONNECTIONS, seconds: 600 };
  const begun = performance.now();
  const { p50, p99, refused } = await runLoad(tools, { ...shape, patients: PATIENTS, count });
  await drained(site);
  const rate = (count / (performance.now() - begun)) * 1_000;
  return { rate, count, p50, p99, refused };
}

async function drained(site: Site): Promise<void> {
  while ((await site.waiting()) > 0) await sleep(100);
}

function rateRow(
  name: string,
  trip: Trip,
  { echo, embedded }: { echo: number; embedded?: number },
): Row {
  const { rate, count, p50, p99, refused, setAside = 0 } = trip;
  const ratio = embedded === undefined ? [] : [`${(rate / embedded).toFixed(3)} of embedded`];
  const parts = [...ratio, `${count} messages`, `ACK p50 ${p50} ms, p99 ${p99} ms`];
  const note = [...parts, `refused ${refused}, set aside ${setAside}`].join(', ');
  return { scenario: `${name}: whole trip, ${ADT}`, value: rate, unit: 'msg/s', echo, note };
}

async function latencyRows(
  { tools, seconds }: Context,
  name: string,
  from: { port: number; reader: Server },
): Promise<Row[]> {
  const shape = { ratePerS: LATENCY_RATE, seconds: seconds * 3 };
  const { p50, p99, samples, unseen, refused } = await measureLatency(tools, from, shape);
  const scenario = `${name}: ACK to readable at ${LATENCY_RATE} msg/s`;
  const late = unseen > 0 ? `, ${unseen} not readable in time` : '';
  const note = `${samples} samples${late}, refused ${refused}`;
  return [
    { scenario: `${scenario}, p50`, value: p50, unit: 'ms' },
    { scenario: `${scenario}, p99`, value: p99, unit: 'ms', note },
  ];
}

function portOf(server: Server): number {
  return server.ports[CHANNEL] ?? 0;
}

function sumOf(rows: { state: string; count: number }[], state: string): number {
  return rows.filter((row) => row.state === state).reduce((sum, { count }) => sum + count, 0);
}
