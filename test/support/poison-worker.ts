// A worker process of the cluster engine with the poisoned pipeline, put together here so that its
// leases can be short: a killed one's keys come back within seconds. One JSON object as argument;
// works until it is killed, or until its parent lets it go.
import { readFileSync } from 'node:fs';
import { parseRootKeys } from '../../src/crypto/keys.ts';
import { validateResource } from '../../src/fhir/validate.ts';
import { startWork } from '../../src/flow/work.ts';
import { loadMappings } from '../../src/mapping/load.ts';
import { openBullQueue } from '../../src/queue/bullmq.ts';
import { openRecord } from '../../src/record/context.ts';
import { openMongoStore } from '../../src/store/mongo/open.ts';
import { createTelemetry } from '../../src/telemetry/events.ts';
import { silentLogger } from '../../src/telemetry/logger.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { ADT_CHANNEL } from './flow-bench.ts';
import { runPipeline } from './poisoned-run.ts';

export interface PoisonWorker {
  mongo: string;
  redis: string;
  rootKeyFile: string;
  attempts: number;
}

async function work({ mongo, redis, rootKeyFile, attempts }: PoisonWorker): Promise<void> {
  const telemetry = createTelemetry(silentLogger(), createMetrics());
  const store = await openMongoStore({ url: mongo, stuckMs: 500 });
  const times = { leaseMs: 800, busyMs: 100 };
  const queue = await openBullQueue({ url: redis, telemetry, waitingMax: 10_000, times });
  const rootKeys = parseRootKeys(readFileSync(rootKeyFile, 'utf8'));
  const { set: mappings } = await loadMappings('mappings');
  const channel = { ...ADT_CHANNEL, retry: { ...ADT_CHANNEL.retry, attempts } };
  startWork({
    record: openRecord({ store, rootKeys, clock: Date.now }),
    ...{ queue, telemetry },
    channel: () => channel,
    pipeline: (input) => runPipeline(input, { mappings, validateResource }),
    finished: () => undefined,
    limits: { workConcurrency: 8, sweepIntervalMs: 500, inboxMax: 4 },
  });
}

if (import.meta.main) {
  await work(JSON.parse(process.argv[2] ?? '') as PoisonWorker);
  process.send?.('ready');
  process.once('disconnect', () => process.exit(0));
}
