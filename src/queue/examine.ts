// Looks at a Redis server as the queue would use it, and changes nothing: for `artery doctor`.
import { openRedis, whenReady } from '../clients/redis.ts';
import { EngineError } from '../model/errors.ts';

/** From INFO, https://redis.io/docs/latest/commands/info/ */
export interface RedisFacts {
  /** `7.2.4`. */
  version: string;
  /** `noeviction`, else what is thrown away when the memory is full. */
  evictionPolicy: string;
  /** Bytes at which that begins, 0 = no bound. */
  memoryMax: number;
  /** Every write goes to a file. */
  appendOnly: boolean;
  /** It takes no writes. */
  replica: boolean;
  /** A node of Redis Cluster, which this queue does not speak to. */
  clusterNode: boolean;
}

/** Throws PEER_UNAVAILABLE (no answer), CONFIG_INVALID (url, login). */
export async function examineRedis(url: string, timeoutMs: number): Promise<RedisFacts> {
  const { promise: faulty, resolve: tell } = Promise.withResolvers<string>();
  const redis = openRedis({ url, use: 'control', fault: tell });
  try {
    const late = whenReady(redis, timeoutMs).then((ready) => (ready ? '' : 'ETIMEDOUT'));
    const code = await Promise.race([late, faulty]);
    if (code !== '') throw faultOf(code);
    return factsOf(await redis.info());
  } catch (cause) {
    if (cause instanceof EngineError) throw cause;
    throw new EngineError('PEER_UNAVAILABLE', 'Redis does not answer INFO.', { cause });
  } finally {
    redis.disconnect();
  }
}

const LOGIN = ['REDIS_NOAUTH', 'REDIS_WRONGPASS', 'REDIS_NOPERM'];

function faultOf(code: string): EngineError {
  if (!LOGIN.includes(code)) {
    return new EngineError('PEER_UNAVAILABLE', `Redis does not answer: ${code}.`);
  }
  const text = `Redis refuses the user of REDIS_URL: ${code}; check its name, password and rights.`;
  return new EngineError('CONFIG_INVALID', text);
}

function factsOf(info: string): RedisFacts {
  const lines = info.split('\r\n').map((line) => line.split(':'));
  const fields = new Map(lines.map(([name, value]) => [name, value]));
  return {
    version: fields.get('redis_version') ?? '',
    evictionPolicy: fields.get('maxmemory_policy') ?? '',
    memoryMax: Number(fields.get('maxmemory') ?? 0),
    appendOnly: fields.get('aof_enabled') === '1',
    replica: fields.get('role') === 'slave',
    clusterNode: fields.get('cluster_enabled') === '1',
  };
}
