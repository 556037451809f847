// A line in Redis before something that one of several writers can have at a time (a tenant of the
// MongoDB store). It is a courtesy: it spares tries that would find it taken. Who has it is decided
// where it is, so a line that forgets, or does not answer, costs time and nothing else.
import { randomUUID } from 'node:crypto';
import { openRedis, type Redis } from '../clients/redis.ts';

export interface LineOptions {
  url: string;
  /** Of all keys in Redis; the braces keep them in one slot of a Redis Cluster. */
  prefix?: string;
  times?: Partial<LineTimes>;
}

export interface LineTimes {
  /** A turn that is not given back ends after it. */
  leaseMs: number;
  /** Who waits asks again after it: the word that it is next may be lost, or its place. */
  askAgainMs: number;
  /** Redis answers within it, or is not asked for `sulkMs`. */
  answerMs: number;
  sulkMs: number;
  /** Nobody waits longer. */
  waitMsMax: number;
}

export interface Line {
  /**
   * Resolves when it is the caller's turn at `name`, or when nobody can tell whose it is; never
   * rejects. Turns are given in the order of asking. The answer ends the turn: to be called once.
   */
  take(name: string): Promise<() => void>;
  /** Waits for nothing: who has a turn finishes it. */
  close(): void;
}

const TIMES: LineTimes = {
  leaseMs: 2_000,
  askAgainMs: 500,
  answerMs: 500,
  sulkMs: 3_000,
  waitMsMax: 10_000,
};

/** A line that nobody has joined for so long belongs to writers that are gone. */
const LINE_KEPT_MS = 60_000;

/** Whose turn is it? Joins the line where it has no place, and lets the first in where none is. */
const ASK = `
local holder = redis.call('GET', KEYS[1])
if holder == ARGV[1] then return 1 end
if not redis.call('LPOS', KEYS[2], ARGV[1]) then redis.call('RPUSH', KEYS[2], ARGV[1]) end
redis.call('PEXPIRE', KEYS[2], ARGV[3])
if holder then return 0 end
local first = redis.call('LPOP', KEYS[2])
redis.call('SET', KEYS[1], first, 'PX', ARGV[2])
if first == ARGV[1] then return 1 end
redis.call('PUBLISH', ARGV[4] .. string.sub(first, 1, 36), first)
return 0`;

/** Gives the turn to the next, or leaves the line. */
const LEAVE = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return redis.call('LREM', KEYS[2], 1, ARGV[1]) end
local next = redis.call('LPOP', KEYS[2])
if not next then return redis.call('DEL', KEYS[1]) end
redis.call('SET', KEYS[1], next, 'PX', ARGV[2])
return redis.call('PUBLISH', ARGV[3] .. string.sub(next, 1, 36), next)`;

/** Begins to connect; without Redis every turn is given at once. */
export function openLine(options: LineOptions): Line {
  return new RedisLine(options);
}

class RedisLine implements Line {
  readonly #times: LineTimes;
  readonly #prefix: string;
  /** A UUID: 36 characters, with which each of its places in a line begins. */
  readonly #me = randomUUID();
  readonly #control: Redis;
  readonly #ear: Redis;
  readonly #called = new Map<string, () => void>();
  #places = 0;
  #sulksUntil = 0;

  constructor({ url, prefix = '{artery}', times }: LineOptions) {
    this.#times = { ...TIMES, ...times };
    this.#prefix = `${prefix}:turn:`;
    // The queue reports the faults of the same server.
    const fault = () => undefined;
    this.#control = openRedis({ url, use: 'control', fault });
    this.#ear = openRedis({ url, use: 'worker', fault });
    this.#ear.on('message', (_channel: string, place: string) => this.#called.get(place)?.());
    this.#ear.subscribe(`${this.#prefix}${this.#me}`).catch(() => undefined);
  }

  async take(name: string): Promise<() => void> {
    this.#places += 1;
    const place = `${this.#me}.${this.#places}`;
    const until = performance.now() + this.#times.waitMsMax;
    let asked = 0;
    while (this.#isWilling() && performance.now() < until) {
      const word = this.#listenFor(place);
      asked += 1;
      const mine = await this.#ask(name, place);
      // It had its turn and was not told: the connection may have gone silent.
      if (mine === true && asked > 1) this.#ear.ping().catch(() => undefined);
      if (mine !== false || (await inTime(word, this.#times.askAgainMs))) break;
    }
    this.#called.delete(place);
    return asked === 0 ? () => undefined : () => this.#leave(name, place);
  }

  close(): void {
    this.#control.disconnect();
    this.#ear.disconnect();
  }

  #isWilling(): boolean {
    return this.#control.status === 'ready' && performance.now() >= this.#sulksUntil;
  }

  #listenFor(place: string): Promise<true> {
    return new Promise((resolve) => this.#called.set(place, () => resolve(true)));
  }

  /** Undefined when Redis does not tell: it is left alone for a while. */
  async #ask(name: string, place: string): Promise<boolean | undefined> {
    const { leaseMs, answerMs, sulkMs } = this.#times;
    const answer = this.#control
      .eval(ASK, 2, ...this.#keys(name), place, leaseMs, LINE_KEPT_MS, this.#prefix)
      .catch(() => undefined);
    const told = await inTime(answer, answerMs);
    if (told === undefined) this.#sulksUntil = performance.now() + sulkMs;
    return told === undefined ? undefined : told === 1;
  }

  #leave(name: string, place: string): void {
    if (this.#control.status !== 'ready') return;
    this.#control
      .eval(LEAVE, 2, ...this.#keys(name), place, this.#times.leaseMs, this.#prefix)
      .catch(() => undefined);
  }

  #keys(name: string): [holder: string, line: string] {
    return [`${this.#prefix}holder:${name}`, `${this.#prefix}line:${name}`];
  }
}

async function inTime<T>(promise: Promise<T>, ms: number): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    // A thread that was busy for so long first looks at what has arrived meanwhile.
    timer = setTimeout(() => setImmediate(() => resolve(undefined)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
