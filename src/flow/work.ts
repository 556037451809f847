// The second half of the trip: queue -> pipeline -> commit. One drain per ordering key applies that
// key's waiting messages in arrival order. It decides what is tried again and what is set aside.
import { setTimeout as sleep } from 'node:timers/promises';
import { toEngineError } from '../model/errors.ts';
import type { Drain, Wake } from '../queue/port.ts';
import { nextInbox } from '../record/message.ts';
import { writeMapped } from '../record/write.ts';
import { Attempts, type Care, type Trial, type Waiting } from './attempts.ts';
import type { Desk, WorkOptions } from './desk.ts';
import {
  abandon,
  afterFailure,
  giveUp,
  processEnded,
  processingIssue,
  storeFault,
} from './failure.ts';
import { openGate } from './gate.ts';
import { openPlaces } from './places.ts';
import { newestWaiting, sweepStore } from './sweep.ts';

export interface Work {
  /**
   * Tells the queue of every key that has waiting messages in the store, unless another process
   * did so just now; answers how many.
   */
  sweep(): Promise<number>;
  /** Lets running drains finish. The queue and the record stay open. */
  close(): Promise<void>;
}

/** A key in suspicion that found no place asks again: its token tells of the suspicion. */
const PLACE_DELAY_MS = 500;

/** Starts draining; the first sweep runs at once and picks up what an earlier run left. */
export function startWork(options: WorkOptions): Work {
  const { record, queue, limits, telemetry } = options;
  const places = openPlaces(options.channel, (wake) => queue.wake(wake));
  const attempts = new Attempts(record);
  const desk: Desk = { options, attempts, gate: openGate(), places, suspectSeq: 0, closed: false };
  const process = () => queue.process((...given) => drain(desk, ...given), limits.workConcurrency);
  if (options.crashed) void suspectWaiting(desk).then(() => desk.closed || process());
  else process();
  telemetry.metrics.gauge('queue_held', () => places.waiting());
  let sweeping: Promise<number> | undefined;
  const sweep = () => {
    sweeping ??= sweepStore(options).finally(() => {
      sweeping = undefined;
    });
    return sweeping;
  };
  const timer = setInterval(() => void sweep(), limits.sweepIntervalMs);
  void sweep();
  return {
    sweep,
    async close() {
      desk.closed = true;
      clearInterval(timer);
      places.close();
      await sweeping;
      await queue.close();
    },
  };
}

/** Before the first drain: what arrives from now on is no cause of the last run's end. */
async function suspectWaiting(desk: Desk): Promise<void> {
  const { options } = desk;
  options.telemetry.emit('work.after-crash', {});
  while (!desk.closed) {
    try {
      desk.suspectSeq = await newestWaiting(options.record);
      return;
    } catch (thrown) {
      await sleep(storeFault(options, toEngineError(thrown)).againInMs);
    }
  }
}

async function drain(
  desk: Desk,
  wake: Wake,
  mayGoOn: () => boolean,
  suspect: boolean,
): ReturnType<Drain> {
  if (desk.places.isWaiting(wake)) return suspect ? { againInMs: PLACE_DELAY_MS } : {};
  try {
    return await drainInbox(desk, wake, mayGoOn, suspect);
  } finally {
    desk.places.leave(wake);
  }
}

async function drainInbox(
  desk: Desk,
  wake: Wake,
  mayGoOn: () => boolean,
  suspect: boolean,
): ReturnType<Drain> {
  const { options, places } = desk;
  /** Only the first message of a key can have been in work when a process ended. */
  let first = true;
  for (;;) {
    let inbox: Waiting[];
    try {
      inbox = await nextInbox(options.record, wake, options.limits.inboxMax);
    } catch (thrown) {
      return storeFault(options, toEngineError(thrown));
    }
    for (const message of inbox) {
      if (!mayGoOn()) return { againInMs: 0 };
      const { channel, seq } = message.row;
      if (!places.take(wake, channel)) return suspect ? { againInMs: PLACE_DELAY_MS } : {};
      const wait = await attempt(desk, message, first && (suspect || seq <= desk.suspectSeq));
      if (wait !== undefined) return { againInMs: wait };
      first = false;
    }
    if (inbox.length < options.limits.inboxMax) return {};
    if (places.isSought(wake)) return { againInMs: 0 };
  }
}

/** Undefined when the message reached its end; else the ms to wait before its next attempt. */
async function attempt(
  desk: Desk,
  message: Waiting,
  suspect: boolean,
): Promise<number | undefined> {
  const { attempts, gate, options } = desk;
  const { row } = message;
  const attemptsMax = options.channel(row.channel)?.retry.attempts ?? Infinity;
  const care = attempts.careFor(row, suspect, attemptsMax);
  if (care === 'over')
    return abandon(desk, { message, count: row.attempts }, processEnded(row.attempts));
  const leave = await gate.enter(care === 'alone');
  let trial: Trial = { message, count: row.attempts + 1 };
  try {
    trial = await begin(desk, message, care);
    await apply(trial, options);
    attempts.forget(row);
    return undefined;
  } catch (thrown) {
    return await afterFailure(desk, trial, toEngineError(thrown));
  } finally {
    leave();
  }
}

async function begin(desk: Desk, message: Waiting, care: Care): Promise<Trial> {
  const trial = await desk.attempts.begin(message, care);
  if (care === 'alone') {
    const { id, channel } = message.row;
    desk.options.telemetry.emit('message.suspected', { id, channel, attempts: trial.count });
  }
  return trial;
}

async function apply({ message, count }: Trial, options: WorkOptions): Promise<void> {
  if ('fault' in message) throw message.fault;
  const channel = options.channel(message.row.channel);
  if (channel === undefined) {
    const text = 'The channel is not configured any more: restore its file, then replay.';
    return giveUp(message, [processingIssue(text)], count, '', options);
  }
  const { metrics } = options.telemetry;
  const begun = performance.now();
  let mapMs = 0;
  const map = () => {
    const start = performance.now();
    const output = options.pipeline({ raw: message.raw, envelope: message.envelope, channel });
    mapMs = performance.now() - start;
    return output;
  };
  const { written, issues, mapHash } = await writeMapped(options.record, message, map, count);
  metrics.observeStage('map', mapMs);
  if (written === null) return giveUp(message, issues, count, mapHash, options);
  const ms = performance.now() - begun;
  metrics.observeStage('record', ms - mapMs);
  const { id, channel: name } = message.row;
  options.telemetry.emit('message.processed', {
    ...{ id, channel: name, resources: written.length, attempts: count, ms },
  });
  options.finished({ id, state: 'processed', issues });
}
