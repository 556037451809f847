// Entry of the work thread: composes the work role (queue, pipeline, record) over the store of the
// main thread. What it is told and what it tells is WorkOrder and WorkNews; see work-link.ts.
import { setPriority } from 'node:os';
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import type { Config } from '../config/config.ts';
import { openForgottenFile } from '../config/forgotten-file.ts';
import { createRecent } from '../crypto/recent.ts';
import { validateResource } from '../fhir/validate.ts';
import type { Finished } from '../flow/desk.ts';
import { startWork } from '../flow/work.ts';
import type { Channel } from '../model/channel.ts';
import { runPipeline } from '../pipeline/run.ts';
import type { Depth } from '../queue/port.ts';
import { openRecord } from '../record/context.ts';
import { createTelemetry } from '../telemetry/events.ts';
import { createLogger } from '../telemetry/logger.ts';
import { createMetrics, type MetricsSnapshot } from '../telemetry/metrics.ts';
import { tellDamage } from './damage-news.ts';
import { joinEngine, type WorkSeat } from './engines.ts';
import { type LoadedMappings, openMappings } from './mappings.ts';
import { loadRootKeys } from './root-keys.ts';

export interface WorkThreadData {
  config: Config;
  /** Text of the root key file: threads share no key objects. */
  rootKeys: string;
  channels: Channel[];
  seat: WorkSeat;
  wakePort: MessagePort;
}

export type WorkOrder =
  | { kind: 'channels'; channels: Channel[] }
  | { kind: 'load-mappings' }
  | { kind: 'root-keys'; rootKeys: string }
  | { kind: 'invalidate' }
  | { kind: 'close' };

export type WorkNews =
  | { kind: 'ready' }
  | { kind: 'finished'; results: Finished[] }
  | ({ kind: 'mappings' } & LoadedMappings)
  | { kind: 'state'; depth: Depth; damaged: number; metrics: MetricsSnapshot }
  | { kind: 'closed' };

const STATE_INTERVAL_MS = 2_000;
/** How far the thread stands back, of 19. */
const WORK_NICE = 10;
/** Texts of resources that passed validation, kept so that repeats need not. */
const FAULTLESS_CHARS_MAX = 32 * 1024 * 1024;

async function runWorkThread(data: WorkThreadData, main: MessagePort): Promise<void> {
  giveWay();
  const { config } = data;
  const { limits } = config;
  const tell = (news: WorkNews) => main.postMessage(news);
  const logger = createLogger({ level: config.logLevel });
  const telemetry = createTelemetry(logger, createMetrics());
  const engine = await joinEngine(config, telemetry, data.seat, data.wakePort);
  const { store, queue, crashed } = engine;
  const rootKeys = loadRootKeys(config, data.rootKeys);
  const readRootKeys = () => loadRootKeys(config);
  const damaged = tellDamage(telemetry);
  const forgotten = openForgottenFile(config);
  const clock = Date.now;
  const record = openRecord({ store, rootKeys, readRootKeys, forgotten, clock, damaged });
  telemetry.metrics.gauge('records_damaged', () => record.damage.count());
  let channels = byName(data.channels);
  const mappings = await openMappings(config.mappingsDir, config.limits);
  tell({ kind: 'mappings', ...mappings.first });
  const faultless = createRecent<string>(FAULTLESS_CHARS_MAX);
  const work = startWork({
    record,
    queue,
    telemetry,
    channel: (name) => channels.get(name),
    pipeline: (input) =>
      runPipeline(input, { mappings: mappings.current, validateResource, faultless, limits }),
    finished: inBatches((results) => tell({ kind: 'finished', results })),
    crashed,
    limits: {
      workConcurrency: config.limits.workConcurrency,
      sweepIntervalMs: config.limits.sweepIntervalMs,
      inboxMax: config.limits.inboxMax,
    },
  });
  const timer = setInterval(async () => {
    const metrics = await telemetry.metrics.exportSnapshot();
    tell({ kind: 'state', depth: queue.depth(), damaged: record.damage.count(), metrics });
  }, STATE_INTERVAL_MS);
  const orders: { [K in WorkOrder['kind']]: (order: Extract<WorkOrder, { kind: K }>) => unknown } =
    {
      channels: (order) => {
        channels = byName(order.channels);
      },
      'load-mappings': async () => {
        tell({ kind: 'mappings', ...(await mappings.reload()) });
      },
      'root-keys': (order) => record.keyring.useRootKeys(loadRootKeys(config, order.rootKeys)),
      invalidate: () => record.invalidate('patient'),
      close: async () => {
        clearInterval(timer);
        await work.close();
        engine.stopped();
        await record.close();
        await engine.close();
        data.wakePort.close();
        logger.flush();
        tell({ kind: 'closed' });
        main.close();
      },
    };
  main.on('message', (order: WorkOrder) => void orders[order.kind](order as never));
  tell({ kind: 'ready' });
}

/** Senders and readers wait for the other threads of the process, nobody for this one. */
function giveWay(): void {
  // To Linux 0 is the calling thread (setpriority(2)), elsewhere it is the whole process.
  if (process.platform !== 'linux') return;
  try {
    setPriority(0, WORK_NICE);
  } catch {
    // A wish, not a need: where a sandbox refuses it, all threads are alike.
  }
}

function byName(channels: Channel[]): Map<string, Channel> {
  return new Map(channels.map((channel) => [channel.name, channel]));
}

/** Results of one turn of the event loop leave as one message. */
function inBatches(send: (results: Finished[]) => void): (result: Finished) => void {
  let pending: Finished[] = [];
  return (result) => {
    if (pending.length === 0) {
      setImmediate(() => {
        const results = pending;
        pending = [];
        send(results);
      });
    }
    pending.push(result);
  };
}

if (parentPort) await runWorkThread(workerData as WorkThreadData, parentPort);
