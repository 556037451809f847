// The trip without its surfaces: one store, any number of records and workers over it, and commits
// that fail when a test says so. What app.ts composes over threads is composed in one thread here.
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { defaultLimits } from '../../src/config/limits.ts';
import { makeRootKeys } from '../../src/crypto/keys.ts';
import { uuid7 } from '../../src/crypto/uuid.ts';
import { validateResource } from '../../src/fhir/validate.ts';
import type { Finished } from '../../src/flow/desk.ts';
import { createReceive } from '../../src/flow/receive.ts';
import { startWork, type Work } from '../../src/flow/work.ts';
import { loadMappings } from '../../src/mapping/load.ts';
import type { Channel } from '../../src/model/channel.ts';
import type { PipelineInput, PipelineOutput } from '../../src/model/pipeline.ts';
import { runPipeline } from '../../src/pipeline/run.ts';
import { openLocalQueue } from '../../src/queue/local.ts';
import type { Queue, Wake } from '../../src/queue/port.ts';
import { type ClinicalRecord, openRecord } from '../../src/record/context.ts';
import type { Store } from '../../src/store/port.ts';
import { openSqliteStore } from '../../src/store/sqlite/open.ts';
import { createTelemetry, type EventName, type Telemetry } from '../../src/telemetry/events.ts';
import { silentLogger } from '../../src/telemetry/logger.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { newFolder } from './engine.ts';
import { DEFAULTS } from './mllp.ts';

export type Commit = Store['commit'];

export interface FlowBenchOptions {
  workers: number;
  /** Attempts at one message; default 1,000. */
  attempts?: number;
  /** What channels have beside ADT_CHANNEL, by name; any name is one. */
  channel?: Record<string, Partial<Channel>>;
  /** Default: SQLite in a folder of its own. */
  store?: Store;
  /** true = every wake-up is lost; only the sweep, every 50 ms then, finds the work. */
  deaf?: boolean;
  /** Stands before every commit of a worker. */
  commit?(commit: Commit): Commit;
  /** Stands before the pipeline of every worker. */
  pipeline?(run: Pipeline): Pipeline;
}

export type Pipeline = (input: PipelineInput) => PipelineOutput;

export interface FlowBench {
  record: ClinicalRecord;
  store: Store;
  telemetry: Telemetry;
  /** The real one, with the maps of this repository. */
  pipeline: Pipeline;
  finished: Finished[];
  events: EventName[];
  /** All that the queue was told. */
  wakes: Wake[];
  /** One message on the ADT channel, or on the one named; answers MSA-1. */
  send(text: string, channel?: string): Promise<string>;
  /** Resolves when `count` messages came to their end. */
  ended(count: number): Promise<void>;
  close(): Promise<void>;
}

export const ADT_CHANNEL: Channel = {
  name: 'adt-inbound',
  enabled: true,
  tenant: 'default',
  format: 'hl7v2',
  source: DEFAULTS,
  timezone: 'UTC',
  accepts: [],
  processingIds: ['P'],
  otherProcessing: 'refuse',
  charset: 'UNICODE UTF-8',
  orderBy: 'PID-3.1',
  site: '',
  record: null,
  retry: { attempts: 1_000, firstDelayMs: 1, delayMsMax: 8 },
};

export async function openFlowBench(options: FlowBenchOptions): Promise<FlowBench> {
  const { attempts = 1_000, deaf = false } = options;
  const channelOf = (name: string): Channel => {
    const retry = { ...ADT_CHANNEL.retry, attempts };
    return { ...ADT_CHANNEL, name, retry, ...options.channel?.[name] };
  };
  const store = options.store ?? (await openSqliteStore({ folder: join(newFolder(), 'store') }));
  const rootKeys = makeRootKeys();
  const open = (over: Store) => openRecord({ store: over, rootKeys, clock: Date.now });
  const record = open(store);
  await record.keyring.tenant('default');
  const events: EventName[] = [];
  const telemetry = tell(events);
  const { set: mappings } = await loadMappings('mappings');
  const run: Pipeline = (input) => runPipeline(input, { mappings, validateResource });
  const finished: Finished[] = [];
  const wakes: Wake[] = [];
  const queues: Queue[] = [];
  const works: Work[] = [];
  for (let n = 0; n < options.workers; n += 1) {
    const commit = options.commit?.((unit) => store.commit(unit)) ?? ((unit) => store.commit(unit));
    const queue = openLocalQueue({ waitingMax: 10_000 });
    queues.push(queue);
    works.push(
      startWork({
        record: open({ ...store, commit }),
        queue,
        telemetry,
        channel: channelOf,
        pipeline: options.pipeline?.(run) ?? run,
        finished: (result) => finished.push(result),
        limits: { workConcurrency: 8, sweepIntervalMs: deaf ? 50 : 60_000, inboxMax: 4 },
      }),
    );
  }
  const receive = createReceive({
    record,
    telemetry,
    queue: {
      wake(wake) {
        wakes.push(wake);
        if (!deaf) for (const queue of queues) queue.wake(wake);
      },
    },
    channel: channelOf,
    newId: (at) => uuid7(at, randomBytes(10)),
    checkRecord: () => [],
    waiting: () => 0,
    finished: async () => undefined,
    limits: { ...defaultLimits(), batchMessagesMax: 100, jsonDepthMax: 10 },
  });
  return {
    record,
    store,
    telemetry,
    pipeline: run,
    finished,
    events,
    wakes,
    async send(text, channel = ADT_CHANNEL.name) {
      const bytes = Buffer.from(text.replaceAll('\n', '\r'));
      const { frames } = await receive({ channel, bytes, at: Date.now(), peer: '127.0.0.1:1' });
      const answer = Buffer.from(frames?.[0] ?? []).toString('latin1');
      return /\rMSA\|([A-Z]{2})\|/.exec(answer)?.[1] ?? '';
    },
    async ended(count) {
      while ((await waitingOf(store)) > 0 || new Set(finished.map(({ id }) => id)).size < count) {
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    },
    async close() {
      await Promise.all(works.map((work) => work.close()));
      await store.close();
    },
  };
}

async function waitingOf(store: Store): Promise<number> {
  const counts = await store.intake.counts();
  return counts.find(({ state }) => state === 'received')?.count ?? 0;
}

function tell(events: EventName[]): Telemetry {
  const telemetry = createTelemetry(silentLogger(), createMetrics());
  return {
    metrics: telemetry.metrics,
    emit(name, fields) {
      events.push(name);
      telemetry.emit(name, fields);
    },
  };
}
