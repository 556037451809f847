// The main thread's side of the work thread: starts it, gives it orders, keeps what it tells.
import { setFlagsFromString } from 'node:v8';
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import type { Config } from '../config/config.ts';
import type { Finished } from '../flow/desk.ts';
import type { Channel } from '../model/channel.ts';
import { wakeThrough } from '../queue/local.ts';
import type { Depth, Wake } from '../queue/port.ts';
import type { Telemetry } from '../telemetry/events.ts';
import { placesOf } from '../telemetry/fields.ts';
import type { WorkSeat } from './engines.ts';
import type { FileProblem, LoadedMappings } from './mappings.ts';
import type { WorkNews, WorkOrder, WorkThreadData } from './work-thread.ts';

export interface WorkLinkOptions {
  config: Config;
  rootKeys: string;
  channels: Channel[];
  seat: WorkSeat;
  telemetry: Telemetry;
  /** Told of every message that reached its end. */
  finished(result: Finished): void;
  /** The thread ended by itself: a broken invariant. The process should stop. */
  died(error: Error): void;
}

export interface WorkLink {
  wake(wake: Wake): void;
  order(order: Exclude<WorkOrder, { kind: 'close' }>): void;
  depth(): Depth;
  /** Stored records that did not open in the thread. */
  damaged(): number;
  mappingProblems(): FileProblem[];
  /** What came of the last load; undefined before the first. */
  mappings(): LoadedMappings | undefined;
  /** Changes when other maps come into force. */
  mappingsVersion(): number;
  /** Lets running drains finish, then ends the thread. */
  close(): Promise<void>;
}

/** What the thread told last. */
interface LinkState {
  depth: Depth;
  damaged: number;
  problems: FileProblem[];
  mappings: LoadedMappings | undefined;
  mappingsVersion: number;
  ready: boolean;
  closing: boolean;
}

/**
 * The work thread makes 300 KB of garbage per message. With a young generation of this size nearly
 * all of it dies there, where V8 would else copy it to the old one; and the old one is cleaned when
 * it has grown by half, for a steady size of the process. V8 takes the first flag when a thread
 * starts, so that it is the work thread's (resourceLimits can only bound the size, not set it).
 */
const HEAP_FLAGS = [
  '--min-semi-space-size=64',
  '--max-semi-space-size=64',
  '--heap-growing-percent=50',
];

/** Resolves when the thread drains its queue. */
export async function startWorkLink(options: WorkLinkOptions): Promise<WorkLink> {
  const wakes = new MessageChannel();
  const workerData: WorkThreadData = {
    config: options.config,
    rootKeys: options.rootKeys,
    channels: options.channels,
    seat: options.seat,
    wakePort: wakes.port2,
  };
  for (const flag of HEAP_FLAGS) setFlagsFromString(flag);
  const worker = new Worker(new URL('./work-thread.ts', import.meta.url), {
    workerData,
    transferList: [...portsOf(options.seat), wakes.port2],
  });
  const state: LinkState = {
    depth: { waiting: 0, active: 0 },
    damaged: 0,
    problems: [],
    mappings: undefined,
    mappingsVersion: 0,
    ready: false,
    closing: false,
  };
  const ready = Promise.withResolvers<void>();
  const closed = Promise.withResolvers<void>();
  worker.on('message', (news: WorkNews) => {
    if (news.kind === 'ready') {
      state.ready = true;
      ready.resolve();
    } else if (news.kind === 'closed') closed.resolve();
    else if (news.kind === 'finished') for (const result of news.results) options.finished(result);
    else if (news.kind === 'state') {
      state.depth = news.depth;
      state.damaged = news.damaged;
      options.telemetry.metrics.importSnapshot('work', news.metrics);
    } else reportMappings(news, state, options.telemetry);
  });
  const end = (error: Error) => {
    ready.reject(error);
    closed.resolve();
    // Before it was ready, the start fails and says why.
    if (state.ready && !state.closing) options.died(error);
  };
  worker.on('error', (error: Error) => {
    options.telemetry.emit('task.failed', { code: 'INTERNAL', places: placesOf(error) });
    end(error);
  });
  worker.on('exit', () => end(new Error('the work thread ended')));
  await ready.promise;
  return linkOver(worker, wakes.port1, state, closed.promise);
}

function portsOf(seat: WorkSeat): MessagePort[] {
  return seat.kind === 'embedded' ? [seat.port] : [];
}

function reportMappings(
  news: Extract<WorkNews, { kind: 'mappings' }>,
  state: LinkState,
  telemetry: Telemetry,
): void {
  state.problems = news.problems;
  state.mappings = news;
  if (news.problems.length === 0) state.mappingsVersion += 1;
  for (const { file, line } of news.problems) telemetry.emit('mapping.refused', { file, line });
  telemetry.emit('mappings.loaded', { maps: news.maps, faults: news.problems.length });
}

function linkOver(
  worker: Worker,
  wakePort: MessagePort,
  state: LinkState,
  closed: Promise<void>,
): WorkLink {
  const order = (message: WorkOrder) => worker.postMessage(message);
  return {
    wake: wakeThrough(wakePort).wake,
    order,
    depth: () => state.depth,
    damaged: () => state.damaged,
    mappingProblems: () => state.problems,
    mappings: () => state.mappings,
    mappingsVersion: () => state.mappingsVersion,
    async close() {
      state.closing = true;
      order({ kind: 'close' });
      await closed;
      wakePort.close();
      await worker.terminate();
    },
  };
}
