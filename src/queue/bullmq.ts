// The queue over BullMQ on Redis: one "drain token" per ordering key, for workers in any number of
// processes. Redis holds ids and blind tokens, and nothing that the store does not know: it may be
// flushed, killed or absent at any time, and the sweep of flow/work.ts tells it again.
import { setTimeout as sleep } from 'node:timers/promises';
import { DelayedError, type Job, Queue as TokenQueue, Worker } from 'bullmq';
import { openRedis, type Redis, whenReady } from '../clients/redis.ts';
import type { Telemetry } from '../telemetry/events.ts';
import { type Leases, openLeases } from './lease.ts';
import type { Depth, Drain, Queue, Wake } from './port.ts';
import { openTeller, type Teller } from './teller.ts';

export interface BullQueueOptions {
  url: string;
  telemetry: Telemetry;
  /** Wake-ups on their way to Redis at once; those beyond are dropped. */
  waitingMax: number;
  /** Of all keys in Redis; the braces keep them in one slot of a Redis Cluster. */
  prefix?: string;
  times?: Partial<QueueTimes>;
}

export interface QueueTimes {
  /** The key of a worker that is gone waits so long, and up to as long again. */
  leaseMs: number;
  /** A key that another worker holds is looked at again after it. */
  busyMs: number;
  /** Interval in which depth, age and the watchdog are fed. */
  refreshMs: number;
  /** A worker that takes nothing for so long, while keys wait and it has room, is replaced. */
  idleMs: number;
  /** At start, for the first connection; at the end, for the last words to Redis. */
  patienceMs: number;
}

export interface BullQueue extends Queue {
  /** Redis answers: of readiness. Does no work. */
  ready(): boolean;
}

const TIMES: QueueTimes = {
  leaseMs: 10_000,
  busyMs: 500,
  refreshMs: 2_000,
  idleMs: 10_000,
  patienceMs: 3_000,
};

const NAME = 'drain';
/** BullMQ keeps the time at which a token is due in the upper bits of its score. */
const SCORE_PER_MS = 0x1000;
/** Tokens due last are looked at: those of another time are among them. */
const DELAYED_SEEN_MAX = 64;
/** The clocks of two machines may differ so much without consequence. */
const CLOCK_SLACK_MS = 5_000;
/** BullMQ gives up a token whose worker died so often. Attempts are not counted in Redis. */
const STALLS_MAX = 1_000_000_000;

/** What a token holds: ids only. */
interface Token {
  tenant: string;
  orderingKey: string;
}

interface Hands {
  worker: Worker<Token>;
  leases: Leases;
  redis: Redis;
}

/** Opens the queue; resolves also when Redis does not answer yet. */
export async function openBullQueue(options: BullQueueOptions): Promise<BullQueue> {
  const queue = new RedisQueue(options);
  await queue.opened();
  return queue;
}

class RedisQueue implements BullQueue {
  readonly #options: BullQueueOptions;
  readonly #times: QueueTimes;
  readonly #prefix: string;
  readonly #control: Redis;
  readonly #tokens: TokenQueue<Token>;
  readonly #refresher: NodeJS.Timeout;
  readonly #teller: Teller;
  #drain: Drain | undefined;
  #concurrency = 0;
  #hands: Hands | undefined;
  /** Keys for which this process has a token in hand. */
  readonly #active = new Set<string>();
  #draining = 0;
  #taken = 0;
  #depth: Depth = { waiting: 0, active: 0, oldestMs: 0 };
  #refreshing = false;
  #refreshedAt = Number.NEGATIVE_INFINITY;
  #stuck: { since: number; taken: number } | undefined;
  #unreachable = false;
  #closed = false;
  #whenIdle: (() => void)[] = [];

  constructor(options: BullQueueOptions) {
    this.#options = options;
    this.#times = { ...TIMES, ...options.times };
    this.#prefix = options.prefix ?? '{artery}';
    const fault = (code: string) => this.#reportFault(code);
    this.#control = openRedis({ url: options.url, use: 'control', fault });
    this.#control.on('ready', () => this.#reportReady());
    this.#tokens = new TokenQueue<Token>(NAME, {
      connection: this.#control,
      prefix: this.#prefix,
      skipVersionCheck: true,
      streams: { events: { maxLen: 100 } },
    });
    // The connection's own faults are reported above; each failed call is handled where it is made.
    this.#tokens.on('error', () => undefined);
    this.#teller = openTeller({
      waitingMax: options.waitingMax,
      reachable: () => this.#control.status === 'ready',
      send: (tokens) => this.#send(tokens),
      dropped: (count) => this.#drop(count),
    });
    this.#refresher = setInterval(() => void this.#refresh(), this.#times.refreshMs);
    this.#refresher.unref();
  }

  async opened(): Promise<void> {
    if (await whenReady(this.#control, this.#times.patienceMs)) await this.#refresh();
  }

  ready(): boolean {
    const age = performance.now() - this.#refreshedAt;
    return this.#control.status === 'ready' && age < this.#times.refreshMs * 3;
  }

  wake({ tenant, orderingKey }: Wake): void {
    if (this.#closed) return;
    this.#teller.tell(keyOf({ tenant, orderingKey }), { tenant, orderingKey });
  }

  async claimSweep(intervalMs: number): Promise<boolean> {
    if (this.#control.status !== 'ready') return false;
    const ms = Math.max(1, Math.round(intervalMs));
    const claimed = this.#control.set(`${this.#prefix}:sweep`, '1', 'PX', ms, 'NX');
    return (await claimed.catch(() => null)) === 'OK';
  }

  process(drain: Drain, concurrency: number): void {
    this.#drain = drain;
    this.#concurrency = concurrency;
    this.#startWorker();
  }

  depth(): Depth {
    return this.#depth;
  }

  async close(): Promise<void> {
    const told = this.#teller.finish();
    this.#closed = true;
    clearInterval(this.#refresher);
    const finished = this.#hands?.worker.close().catch(() => undefined);
    if (this.#draining > 0) await new Promise<void>((resolve) => this.#whenIdle.push(resolve));
    // The drains have ended; what Redis is not told now, it finds out by the leases.
    await atMost(this.#times.patienceMs, [finished, told]);
    if (this.#hands) await this.#letGo(this.#hands);
    await atMost(this.#times.patienceMs, [this.#tokens.close().catch(() => undefined)]);
    this.#control.disconnect();
  }

  // ---- telling

  /** A token of a key that waits is dropped by Redis; one of a key that is drained waits behind. */
  async #send(tokens: [string, Token][]): Promise<void> {
    await this.#tokens.addBulk(
      tokens.map(([id, data]) => ({
        name: NAME,
        data,
        opts: {
          deduplication: { id, keepLastIfActive: true },
          removeOnComplete: true,
          removeOnFail: true,
        },
      })),
    );
  }

  #drop(count: number): void {
    for (let n = 0; n < count; n++) this.#options.telemetry.emit('queue.wake-dropped', {});
  }

  #reportFault(code: string): void {
    if (this.#unreachable || this.#closed) return;
    this.#unreachable = true;
    this.#options.telemetry.emit('queue.unreachable', { code });
  }

  #reportReady(): void {
    if (this.#unreachable) this.#options.telemetry.emit('queue.reachable', {});
    this.#unreachable = false;
  }

  // ---- working

  #startWorker(): void {
    const { leaseMs } = this.#times;
    const fault = (code: string) => this.#reportFault(code);
    const redis = openRedis({ url: this.#options.url, use: 'worker', fault });
    redis.on('ready', () => this.#reportReady());
    const leases = openLeases(redis, this.#prefix, leaseMs);
    const worker = new Worker<Token>(NAME, (job, id) => this.#take(job, id ?? '', leases), {
      connection: redis,
      prefix: this.#prefix,
      concurrency: this.#concurrency,
      lockDuration: leaseMs,
      stalledInterval: leaseMs / 2,
      maxStalledCount: STALLS_MAX,
      runRetryDelay: this.#times.busyMs,
      removeOnComplete: { count: 0 },
      removeOnFail: { count: 0 },
    });
    // The end of a token that was lost (flushed, or taken over after a stall): nothing is to do.
    worker.on('error', () => undefined);
    this.#hands = { worker, leases, redis };
  }

  async #take(job: Job<Token>, lock: string, leases: Leases): Promise<void> {
    this.#taken += 1;
    const key = keyOf(job.data);
    if (this.#active.has(key)) return postpone(job, this.#times.busyMs, lock);
    this.#active.add(key);
    let againInMs: number | undefined;
    try {
      againInMs = await this.#drainUnderLease(job, leases);
    } finally {
      this.#active.delete(key);
    }
    if (againInMs !== undefined) await postpone(job, againInMs, lock);
  }

  async #drainUnderLease(job: Job<Token>, leases: Leases): Promise<number | undefined> {
    const wake: Wake = job.data;
    const lease = await leases.acquire(keyOf(wake));
    if (lease === undefined || this.#drain === undefined) return this.#times.busyMs;
    this.#draining += 1;
    const mayGoOn = () => !this.#closed && lease.held();
    // BullMQ counts how often it took the token from a worker that had lost its lock.
    const draining = this.#drain(wake, mayGoOn, job.stalledCounter > 0);
    // A drain that rejects is a broken invariant of flow/work.ts: unhandled, it stops the process.
    void draining.then(() => undefined);
    try {
      return (await draining).againInMs;
    } finally {
      // On the connection on which the token's end follows: Redis hears of them in this order.
      lease.release();
      this.#draining -= 1;
      if (this.#draining === 0) for (const resolve of this.#whenIdle.splice(0)) resolve();
    }
  }

  // ---- watching

  /** Feeds depth and age, and looks whether the worker still takes what waits. */
  async #refresh(): Promise<void> {
    if (this.#refreshing || this.#closed || this.#control.status !== 'ready') return;
    this.#refreshing = true;
    try {
      const {
        wait = 0,
        active = 0,
        delayed = 0,
      } = await this.#tokens.getJobCounts(...(['wait', 'active', 'delayed'] as const));
      const [oldest] = wait > 0 ? await this.#tokens.getJobs(['wait'], 0, 0, true) : [];
      const oldestMs = oldest === undefined ? 0 : Math.max(0, Date.now() - oldest.timestamp);
      this.#depth = { waiting: wait + delayed, active, oldestMs };
      this.#refreshedAt = performance.now();
      if (delayed > 0) await this.#hasten();
      this.#watch(wait > 0 || (delayed > 0 && (await this.#isOverdue())), wait + delayed);
    } catch {
      this.#stuck = undefined;
    } finally {
      this.#refreshing = false;
    }
  }

  /** Only a worker that fetches moves a delayed token that is due into the line. */
  async #isOverdue(): Promise<boolean> {
    const until = (Date.now() - this.#times.refreshMs) * SCORE_PER_MS;
    return (await this.#control.zcount(this.#tokens.toKey('delayed'), '-inf', until)) > 0;
  }

  /** A token that is due later than its delay allows: the clock was set back while it waited. */
  async #hasten(): Promise<void> {
    const tokens = await this.#tokens.getJobs(['delayed'], 0, DELAYED_SEEN_MAX - 1, false);
    const scores = await Promise.all(
      tokens.map(({ id = '' }) => this.#control.zscore(this.#tokens.toKey('delayed'), id)),
    );
    for (const [at, token] of tokens.entries()) {
      const dueInMs = Number(scores[at] ?? 0) / SCORE_PER_MS - Date.now();
      if (dueInMs <= token.delay + CLOCK_SLACK_MS) continue;
      // Another process may have been faster, or the token has gone into work.
      await token.promote().catch(() => undefined);
    }
  }

  /** Workers were seen to hang after a reconnect (BullMQ #2466, #2565, #3185). */
  #watch(waits: boolean, waiting: number): void {
    const free = this.#hands !== undefined && this.#active.size < this.#concurrency;
    if (!waits || !free || this.#closed) {
      this.#stuck = undefined;
    } else if (this.#stuck?.taken !== this.#taken) {
      this.#stuck = { since: performance.now(), taken: this.#taken };
    } else if (performance.now() - this.#stuck.since >= this.#times.idleMs) {
      this.#stuck = undefined;
      this.#options.telemetry.emit('queue.worker-replaced', { waiting });
      const old = this.#hands;
      this.#startWorker();
      if (old) void this.#letGo(old);
    }
  }

  /** Running drains of it go on until their lease is out; their tokens are found by the others. */
  async #letGo({ worker, leases, redis }: Hands): Promise<void> {
    leases.close();
    await atMost(this.#times.patienceMs, [worker.close(true).catch(() => undefined)]);
    redis.disconnect();
  }
}

function keyOf({ tenant, orderingKey }: Wake): string {
  return `${tenant} ${orderingKey}`;
}

/** The token stays that of its key meanwhile: wake-ups find it, and the delay is kept. */
async function postpone(job: Job<Token>, ms: number, lock: string): Promise<never> {
  await job.moveToDelayed(Date.now() + ms, lock);
  throw new DelayedError();
}

async function atMost(ms: number, promises: (Promise<unknown> | undefined)[]): Promise<void> {
  const stop = new AbortController();
  const timeout = sleep(ms, undefined, { signal: stop.signal }).catch(() => undefined);
  await Promise.race([Promise.all(promises), timeout]);
  stop.abort();
}
