// Counters, gauges and histograms of the process, by prom-client; names begin with `artery_`.
// The work thread exports a snapshot, the main thread imports it: /metrics shows the sum of both.
import {
  AggregatorRegistry,
  Counter,
  Gauge,
  Histogram,
  type MetricObjectWithValues,
  type MetricValue,
  Registry,
} from 'prom-client';
import { tableOf } from '../model/table.ts';

/** Stages of the trip whose duration is measured. */
export const STAGES = [
  'receive',
  'open',
  'parse',
  'map',
  'validate',
  'record',
  'commit',
  'work',
] as const;
export type Stage = (typeof STAGES)[number];

/** What a thread posts to the main thread; plain data that structured clone copies. */
export type MetricsSnapshot = MetricObjectWithValues<MetricValue<string>>[];

export interface Metrics {
  /** Moves `artery_events_total`; called by events.ts. */
  countEvent(event: string, labels: Record<string, string>): void;
  /** A field did not have its form and was not logged. */
  countWithheld(): void;
  /** Duration of one stage of one message, in ms. */
  observeStage(stage: Stage, ms: number): void;
  /** Duration of one HTTP request, in ms; `route` is the route's pattern, never the address. */
  observeRequest(route: string, method: string, status: number, ms: number): void;
  /** `read` is called at each scrape, in the thread that registered it. */
  gauge(name: GaugeName, read: () => number): void;
  exportSnapshot(): Promise<MetricsSnapshot>;
  /** Replaces the earlier snapshot of the same source. */
  importSnapshot(source: string, snapshot: MetricsSnapshot): void;
  /** Text exposition format of everything. */
  text(): Promise<string>;
  readonly contentType: string;
}

export const GAUGES = tableOf({
  queue_waiting: 'Ordering keys that wait for a worker.',
  queue_active: 'Ordering keys that are worked on.',
  queue_oldest_ms: 'How long the oldest waiting ordering key has waited; 0 where nothing waits.',
  queue_held: 'Ordering keys that wait for a place in their channel (work in the channel file).',
  intake_waiting: 'Acknowledged messages that wait to be processed.',
  intake_oldest_ms: 'Age of the oldest message that waits; 0 where none does.',
  connections: 'Open connections of all MLLP channels.',
  records_damaged: 'Stored records that did not open since the start, per thread that met them.',
  channels: 'Channels that run.',
  resident_bytes: 'Resident memory of the process.',
  event_loop_delay_ms: 'Mean delay of the event loop.',
} as const);
export type GaugeName = keyof typeof GAUGES;

const SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

export function createMetrics(): Metrics {
  const registry = new Registry();
  const series = createSeries(registry);
  const imported = new Map<string, MetricsSnapshot>();
  const own = async (): Promise<MetricsSnapshot> =>
    (await registry.getMetricsAsJSON()) as unknown as MetricsSnapshot;
  return {
    contentType: registry.contentType,
    countEvent: (event, labels) => series.events.inc({ event, channel: '', code: '', ...labels }),
    countWithheld: () => series.withheld.inc(),
    observeStage: (stage, ms) => series.stages.observe({ stage }, ms / 1_000),
    observeRequest: (route, method, status, ms) =>
      series.requests.observe({ route, method, status: String(status) }, ms / 1_000),
    gauge: (name, read) => registerGauge(registry, name, read),
    exportSnapshot: own,
    importSnapshot: (source, snapshot) => void imported.set(source, snapshot),
    text: async () => AggregatorRegistry.aggregate([await own(), ...imported.values()]).metrics(),
  };
}

function createSeries(registry: Registry) {
  const registers = [registry];
  return {
    events: new Counter({
      name: 'artery_events_total',
      help: 'Named events, see docs/reference/events.md.',
      labelNames: ['event', 'channel', 'code'],
      registers,
    }),
    withheld: new Counter({
      name: 'artery_withheld_fields_total',
      help: 'Fields of events that did not have their form and were not logged.',
      registers,
    }),
    stages: new Histogram({
      name: 'artery_stage_seconds',
      help: 'Duration of one stage of one message.',
      labelNames: ['stage'],
      buckets: SECONDS,
      registers,
    }),
    requests: new Histogram({
      name: 'artery_http_request_seconds',
      help: 'Duration of one HTTP request.',
      labelNames: ['route', 'method', 'status'],
      buckets: SECONDS,
      registers,
    }),
  };
}

function registerGauge(registry: Registry, name: GaugeName, read: () => number): void {
  registry.removeSingleMetric(`artery_${name}`);
  new Gauge({
    name: `artery_${name}`,
    help: GAUGES[name],
    registers: [registry],
    collect() {
      this.set(read());
    },
  });
}
