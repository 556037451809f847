// Opens connections to Redis with the settings that a queue needs. It knows no keys and no queue.
import { Redis } from 'ioredis';

export type { Redis } from 'ioredis';

/**
 * `control`: for calls that must answer soon or fail. A command that finds no connection fails at
 * once, one that is not answered fails after five seconds.
 * `worker`: for BullMQ's workers, whose commands wait for the connection to come back.
 */
export type RedisUse = 'control' | 'worker';

export interface RedisOptions {
  /** `redis://` or `rediss://` (TLS), with user, password and database number as needed. */
  url: string;
  use: RedisUse;
  /** Told of each fault of the connection: a code (ECONNREFUSED, REDIS_WRONGPASS), no text. */
  fault(code: string): void;
}

const CONNECT_TIMEOUT_MS = 5_000;
const ANSWER_TIMEOUT_MS = 5_000;
/** A connection on which nothing comes back is half open: it is cut and made anew. */
const SILENCE_MS = 15_000;
const RECONNECT_MS_MAX = 1_000;

/**
 * Begins to connect and goes on trying until it is closed by `disconnect()`. Never throws for a
 * server that is absent.
 */
export function openRedis(options: RedisOptions): Redis {
  const redis = new Redis(options.url, {
    connectTimeout: CONNECT_TIMEOUT_MS,
    socketTimeout: SILENCE_MS,
    retryStrategy: (times) => Math.min(50 * 2 ** Math.min(times, 10), RECONNECT_MS_MAX),
    ...(options.use === 'worker'
      ? { maxRetriesPerRequest: null }
      : { enableOfflineQueue: false, commandTimeout: ANSWER_TIMEOUT_MS }),
  });
  redis.on('error', (error: Error) => options.fault(faultCode(error)));
  return redis;
}

/** The system's code, else the word with which Redis begins its refusals: REDIS_WRONGPASS. */
function faultCode(error: NodeJS.ErrnoException): string {
  const word = /^[A-Z]{3,16}(?= )/.exec(error.message)?.[0];
  return error.code ?? `REDIS_${word ?? 'FAULT'}`;
}

/** True when it is ready within the time. */
export async function whenReady(redis: Redis, timeoutMs: number): Promise<boolean> {
  if (redis.status === 'ready') return true;
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const ready = () => resolve(true);
  redis.once('ready', ready);
  const timer = setTimeout(() => resolve(false), timeoutMs);
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    redis.off('ready', ready);
  }
}
