// The two engines, one function each for the main thread and for the work thread: which store and
// which queue stand behind their ports. Nothing else in a process knows which engine runs.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { MessagePort } from 'node:worker_threads';
import type { Config } from '../config/config.ts';
import { EngineError } from '../model/errors.ts';
import { openLine, QUEUES } from '../queue/index.ts';
import { receiveWakes } from '../queue/local.ts';
import type { Depth, Queue, Wake } from '../queue/port.ts';
import { STORES } from '../store/index.ts';
import type { Store } from '../store/port.ts';
import { openSqliteClient } from '../store/sqlite/client.ts';
import type { Telemetry } from '../telemetry/events.ts';
import { setWorkMark } from './work-mark.ts';

export interface Engine {
  store: Store;
  /** The queue of all processes; undefined = it lives in this process's work thread. */
  queue: SharedQueue | undefined;
  /** What the work thread needs to reach the same store and queue. */
  seat(): WorkSeat;
  close(): Promise<void>;
}

interface SharedQueue {
  wake(wake: Wake): void;
  depth(): Depth;
  /** Redis answers. */
  ready(): boolean;
}

/** Goes to the work thread; `port` is transferred. */
export type WorkSeat =
  | { kind: 'embedded'; folder: string; port: MessagePort }
  | { kind: 'cluster' };

export interface WorkEngine {
  store: Store;
  queue: Queue;
  /** The last run over the same data did not stop, but ended; BullMQ tells so itself, per key. */
  crashed: boolean;
  /** To be called when all drains have ended. */
  stopped(): void;
  /** Closes the store; the queue is closed by who drains it. */
  close(): Promise<void>;
}

export function openEngine(config: Config, telemetry: Telemetry): Promise<Engine> {
  return config.cluster === null ? openEmbedded(config) : openCluster(config, telemetry);
}

/** Joins, in the work thread, the engine that the main thread opened. */
export function joinEngine(
  config: Config,
  telemetry: Telemetry,
  seat: WorkSeat,
  wakes: MessagePort,
): Promise<WorkEngine> {
  return seat.kind === 'embedded'
    ? joinEmbedded(config, seat, wakes)
    : joinCluster(config, telemetry);
}

/** Whether a start may make the root key: not beside data that another key sealed. */
export function mayMakeRootKey(config: Config): boolean {
  if (config.cluster === null) return !existsSync(storeFolder(config));
  if (config.rootKey !== null || existsSync(config.rootKeyFile)) return false;
  const text =
    `The root key ${config.rootKeyFile} is missing. The processes of a cluster share one: make ` +
    'it once with `artery key make FILE` and name it to each by ARTERY_ROOT_KEY_FILE.';
  throw new EngineError('KEY_UNAVAILABLE', text);
}

/** SQLite in the data folder, and lanes in the work thread. */
async function openEmbedded(config: Config): Promise<Engine> {
  const folder = storeFolder(config);
  const groupUnitsMax = config.limits.storeBatchMax;
  const store = await STORES.sqlite({ folder, groupUnitsMax });
  return {
    store,
    queue: undefined,
    seat: () => ({ kind: 'embedded', folder, port: store.connect() }),
    close: () => store.close(),
  };
}

async function joinEmbedded(
  config: Config,
  seat: Extract<WorkSeat, { kind: 'embedded' }>,
  wakes: MessagePort,
): Promise<WorkEngine> {
  const queue = QUEUES.local({ waitingMax: config.limits.waitingMax });
  receiveWakes(wakes, queue);
  const mark = setWorkMark(config.dataDir);
  const store = openSqliteClient(seat);
  const close = () => store.close();
  return { store, queue, crashed: mark.crashed, stopped: mark.remove, close };
}

async function joinCluster(config: Config, telemetry: Telemetry): Promise<WorkEngine> {
  const { store, queue, closeStore } = await openClusterParts(config, telemetry);
  return { store, queue, crashed: false, stopped: () => undefined, close: closeStore };
}

/** MongoDB and Redis; each thread has connections of its own. */
async function openCluster(config: Config, telemetry: Telemetry): Promise<Engine> {
  const { store, queue, closeStore } = await openClusterParts(config, telemetry);
  return {
    store,
    queue,
    seat: () => ({ kind: 'cluster' }),
    async close() {
      await queue.close();
      await closeStore();
    },
  };
}

async function openClusterParts(config: Config, telemetry: Telemetry) {
  if (config.cluster === null) throw new Error('no cluster is configured');
  const { mongodbUrl, redisUrl } = config.cluster;
  const line = await openLine(redisUrl);
  const takeTurn = (tenant: string) => line.take(tenant);
  try {
    const store = await STORES.mongodb({ url: mongodbUrl, takeTurn });
    const { waitingMax } = config.limits;
    const queue = await QUEUES.bullmq({ url: redisUrl, telemetry, waitingMax });
    const closeStore = () => store.close().finally(() => line.close());
    return { store, queue, closeStore };
  } catch (cause) {
    line.close();
    throw cause;
  }
}

function storeFolder(config: Config): string {
  return join(config.dataDir, 'store');
}
