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
  /** For each thread that is started, one of its own. */
  seat(): WorkSeat;
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
  /** Ticks of the main thread's timer since the thread told anything. */
  silentTicks: number;
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
  const state: LinkState = {
    depth: { waiting: 0, active: 0 },
    damaged: 0,
    problems: [],
    mappings: undefined,
    mappingsVersion: 0,
    ready: false,
    closing: false,
    silentTicks: 0,
  };
  const { rootKeys, channels } = options;
  const link = { options, state, latest: { rootKeys, channels } };
  const first = await startThread(link);
  return watchThread(link, first);
}

interface Link {
  options: WorkLinkOptions;
  state: LinkState;
  /** What a thread that is started now must begin with. */
  latest: Pick<WorkThreadData, 'rootKeys' | 'channels'>;
}

interface WorkThread {
  worker: Worker;
  wakePort: MessagePort;
  /** Resolves when it has closed, or ended. */
  closed: Promise<void>;
  /** It is not to be missed any more. */
  isGivenUp: boolean;
}

async function startThread({ options, state, latest }: Link): Promise<WorkThread> {
  const wakes = new MessageChannel();
  const seat = options.seat();
  const workerData: WorkThreadData = {
    ...{ config: options.config, ...latest, seat },
    wakePort: wakes.port2,
  };
  for (const flag of HEAP_FLAGS) setFlagsFromString(flag);
  const worker = new Worker(new URL('./work-thread.ts', import.meta.url), {
    workerData,
    transferList: [...portsOf(seat), wakes.port2],
  });
  const ready = Promise.withResolvers<void>();
  const closed = Promise.withResolvers<void>();
  const thread = { worker, wakePort: wakes.port1, closed: closed.promise, isGivenUp: false };
  worker.on('message', (news: WorkNews) => {
    state.silentTicks = 0;
    if (news.kind === 'ready') ready.resolve();
    else if (news.kind === 'closed') closed.resolve();
    else take(news, state, options);
  });
  const end = (error: Error) => {
    ready.reject(error);
    closed.resolve();
    // Before it was ready, the start fails and says why.
    if (state.ready && !state.closing && !thread.isGivenUp) options.died(error);
  };
  worker.on('error', (error: Error) => {
    options.telemetry.emit('task.failed', { code: 'INTERNAL', places: placesOf(error) });
    end(error);
  });
  worker.on('exit', () => end(new Error('the work thread ended')));
  await ready.promise;
  state.ready = true;
  return thread;
}

function take(
  news: Exclude<WorkNews, { kind: 'ready' | 'closed' }>,
  state: LinkState,
  { finished, telemetry }: WorkLinkOptions,
): void {
  if (news.kind === 'finished') for (const result of news.results) finished(result);
  else if (news.kind === 'state') {
    state.depth = news.depth;
    state.damaged = news.damaged;
    telemetry.metrics.importSnapshot('work', news.metrics);
  } else reportMappings(news, state, telemetry);
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

const TICK_MS = 1_000;

/**
 * A thread that tells nothing for `workSilenceMs` (an endless loop in a map) is ended, and another
 * one takes its place: the mark of the work, or BullMQ, makes it suspect what was in work. Time is
 * counted in ticks of this thread's own timer, so that a process that stood still is not blamed.
 */
function watchThread(link: Link, first: WorkThread): WorkLink {
  const { options, state } = link;
  const { workSilenceMs } = options.config.limits;
  let thread = first;
  let wakes = wakeThrough(first.wakePort);
  let replacing: Promise<void> | undefined;
  const replace = async (): Promise<void> => {
    thread.isGivenUp = true;
    options.telemetry.emit('work.silent', { ms: state.silentTicks * TICK_MS });
    thread.wakePort.close();
    await thread.worker.terminate();
    state.silentTicks = 0;
    thread = await startThread(link);
    wakes = wakeThrough(thread.wakePort);
  };
  const timer = setInterval(() => {
    if (replacing !== undefined || state.closing) return;
    state.silentTicks += 1;
    if (state.silentTicks * TICK_MS <= workSilenceMs) return;
    replacing = replace().then(
      () => {
        replacing = undefined;
      },
      (thrown: unknown) => options.died(thrown instanceof Error ? thrown : new Error('no thread')),
    );
  }, TICK_MS);
  timer.unref();
  const order = (message: WorkOrder): void => {
    if (message.kind === 'channels') link.latest.channels = message.channels;
    if (message.kind === 'root-keys') link.latest.rootKeys = message.rootKeys;
    thread.worker.postMessage(message);
  };
  return {
    // What is lost while a thread is replaced is found by the first sweep of the next one.
    wake: (wake) => wakes.wake(wake),
    order,
    depth: () => state.depth,
    damaged: () => state.damaged,
    mappingProblems: () => state.problems,
    mappings: () => state.mappings,
    mappingsVersion: () => state.mappingsVersion,
    async close() {
      clearInterval(timer);
      await replacing;
      state.closing = true;
      order({ kind: 'close' });
      await thread.closed;
      thread.wakePort.close();
      await thread.worker.terminate();
    },
  };
}
