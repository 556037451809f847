// What artery doctor says of the servers of the cluster engine: MongoDB and Redis.
import { toEngineError } from '../model/errors.ts';
import { examineRedis } from '../queue/examine.ts';
import { examineMongo } from '../store/mongo/examine.ts';
import { type Check, failed, ok, warning } from './check.ts';

const ANSWER_MS_MAX = 5_000;
/** Backups while the store runs need its snapshot reads: docs/reference/mongodb.md. */
const MONGODB_MIN = 5;
/** BullMQ's own minimum. */
const REDIS_MIN = 5;

export async function checkMongo(url: string): Promise<Check> {
  const times = { selectionTimeoutMs: ANSWER_MS_MAX, replyTimeoutMs: ANSWER_MS_MAX };
  try {
    const facts = await examineMongo({ url, ...times });
    const { version, replicaSet, members, database, used } = facts;
    const set = `replica set ${replicaSet} of ${members}`;
    const place = replicaSet === '' ? 'sharded cluster' : set;
    const text = `${version}, ${place}, with transactions; database ${database}`;
    if (major(version) < MONGODB_MIN) {
      return warning('mongodb', `${text}: backups of a running store need MongoDB 5.0 or later`);
    }
    return ok('mongodb', used ? text : `${text} will be filled`);
  } catch (thrown) {
    return failed('mongodb', reasonOf(thrown, 'start it, or correct MONGODB_URL'));
  }
}

export async function checkRedis(url: string): Promise<Check> {
  try {
    const facts = await examineRedis(url, ANSWER_MS_MAX);
    const { version, evictionPolicy, memoryMax, appendOnly } = facts;
    if (major(version) < REDIS_MIN) {
      return failed('redis', `${version}: Redis 5 or later is needed, 6.2 is better`);
    }
    if (facts.clusterNode) {
      return failed('redis', `${version}, a node of Redis Cluster: name a server that is alone`);
    }
    if (facts.replica) return failed('redis', `${version}, a replica: name the primary`);
    if (evictionPolicy !== 'noeviction') {
      const text = `${version} evicts keys (${evictionPolicy}): set maxmemory-policy noeviction`;
      return memoryMax > 0 ? failed('redis', text) : warning('redis', text);
    }
    if (appendOnly) return ok('redis', `${version}, noeviction, append-only file`);
    const loss = 'after its restart only the sweep finds what waits';
    return warning('redis', `${version}, noeviction, no append-only file: ${loss}; appendonly yes`);
  } catch (thrown) {
    return failed('redis', reasonOf(thrown, 'start it, or correct REDIS_URL'));
  }
}

function major(version: string): number {
  return Number(version.split('.')[0]);
}

function reasonOf(thrown: unknown, advice: string): string {
  const { code, message } = toEngineError(thrown);
  const reason = message.replace(/\.$/, '');
  const away = code === 'STORE_UNAVAILABLE' || code === 'PEER_UNAVAILABLE';
  return away ? `${reason}: ${advice}` : reason;
}
