// The second half of the trip: queue -> pipeline -> commit. One drain per ordering key applies that
// key's waiting messages in arrival order. It decides what is tried again and what is set aside.
import type { Channel } from '../model/channel.ts';
import { type EngineError, toEngineError } from '../model/errors.ts';
import { hasErrors, type Issue } from '../model/issue.ts';
import type { PipelineInput, PipelineOutput } from '../model/pipeline.ts';
import type { Queue, Wake } from '../queue/port.ts';
import type { ClinicalRecord } from '../record/context.ts';
import {
  type MessageRow,
  messageHead,
  nextInbox,
  type OpenedMessage,
  setAside,
  type UnreadableMessage,
} from '../record/message.ts';
import { writeMapped } from '../record/write.ts';
import type { Telemetry } from '../telemetry/events.ts';
import { placesOf } from '../telemetry/fields.ts';

export interface WorkOptions {
  record: ClinicalRecord;
  queue: Queue;
  telemetry: Telemetry;
  /** The channel as it is configured now. */
  channel(name: string): Channel | undefined;
  /** Parse, validate and map: pure. What it throws is a fault of Artery, not of the store. */
  pipeline(input: PipelineInput): PipelineOutput;
  /** Told once per message that reached its end; it must not throw. */
  finished(result: Finished): void;
  limits: { workConcurrency: number; sweepIntervalMs: number; inboxMax: number };
}

export interface Finished {
  id: string;
  state: 'processed' | 'set-aside';
  issues: Issue[];
}

export interface Work {
  /**
   * Tells the queue of every key that has waiting messages in the store, unless another process
   * did so just now; answers how many.
   */
  sweep(): Promise<number>;
  /** Lets running drains finish. The queue and the record stay open. */
  close(): Promise<void>;
}

const SWEEP_PAGE = 1_000;
/** Wait before a store that did not answer is asked again; the message is not to blame. */
const STORE_DELAY_MS = 1_000;

/** Starts draining; the first sweep runs at once and picks up what an earlier run left. */
export function startWork(options: WorkOptions): Work {
  const attempts = new Map<string, number>();
  const { queue, limits } = options;
  queue.process((wake, mayGoOn) => drain(wake, mayGoOn, options, attempts), limits.workConcurrency);
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
      clearInterval(timer);
      await sweeping;
      await queue.close();
    },
  };
}

async function drain(
  wake: Wake,
  mayGoOn: () => boolean,
  options: WorkOptions,
  attempts: Map<string, number>,
): Promise<{ againInMs?: number }> {
  for (;;) {
    let inbox: (OpenedMessage | UnreadableMessage)[];
    try {
      inbox = await nextInbox(options.record, wake, options.limits.inboxMax);
    } catch (thrown) {
      return storeFault(options, toEngineError(thrown));
    }
    for (const message of inbox) {
      if (!mayGoOn()) return { againInMs: 0 };
      const wait = await attempt(message, options, attempts);
      if (wait !== undefined) return { againInMs: wait };
    }
    if (inbox.length < options.limits.inboxMax) return {};
  }
}

/** Undefined when the message reached its end; else the ms to wait before its next attempt. */
async function attempt(
  message: OpenedMessage | UnreadableMessage,
  options: WorkOptions,
  attempts: Map<string, number>,
): Promise<number | undefined> {
  const id = message.row.id;
  const count = (attempts.get(id) ?? 0) + 1;
  try {
    await apply(message, options, count);
    attempts.delete(id);
    return undefined;
  } catch (thrown) {
    const error = toEngineError(thrown);
    if (await hasEnded(message.row, options)) {
      attempts.delete(id);
      return undefined;
    }
    const retry = options.channel(message.row.channel)?.retry;
    if (error.code === 'STORE_UNAVAILABLE') return storeFault(options, error).againInMs;
    if (error.retry === 'later' && retry && count < retry.attempts) {
      attempts.set(id, count);
      const delayMs = Math.min(retry.firstDelayMs * 2 ** (count - 1), retry.delayMsMax);
      options.telemetry.emit('message.retried', {
        id,
        channel: message.row.channel,
        code: error.code,
        attempts: count,
        delayMs,
        places: placesOf(error.cause ?? error),
      });
      return delayMs;
    }
    return abandon(message, error, options, attempts, count);
  }
}

/** The commit was made and only its answer was lost: the message is not in the inbox any more. */
async function hasEnded({ tenant, id }: MessageRow, options: WorkOptions): Promise<boolean> {
  const head = await messageHead(options.record, tenant, id).catch(() => undefined);
  if (head === undefined || head.state === 'received') return false;
  options.finished({ id, state: head.state, issues: [] });
  return true;
}

async function apply(
  message: OpenedMessage | UnreadableMessage,
  options: WorkOptions,
  count: number,
): Promise<void> {
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
    id,
    channel: name,
    resources: written.length,
    attempts: count,
    ms,
  });
  options.finished({ id, state: 'processed', issues });
}

/** No attempt will help: the message is set aside with what went wrong. */
async function abandon(
  message: OpenedMessage | UnreadableMessage,
  error: EngineError,
  options: WorkOptions,
  attempts: Map<string, number>,
  count: number,
): Promise<number | undefined> {
  const where = error.code === 'INTERNAL' ? ` (${placesOf(error.cause ?? error)})` : '';
  const text = `${error.code}: ${error.message}${where}`;
  try {
    await giveUp(message, [processingIssue(text)], count, '', options);
    attempts.delete(message.row.id);
    return undefined;
  } catch (thrown) {
    return storeFault(options, toEngineError(thrown)).againInMs;
  }
}

async function giveUp(
  message: OpenedMessage | UnreadableMessage,
  issues: Issue[],
  attempts: number,
  mapHash: string,
  options: WorkOptions,
): Promise<void> {
  await setAside(options.record, message.row, { issues, attempts, mapHash });
  options.telemetry.emit('message.set-aside', {
    id: message.row.id,
    channel: message.row.channel,
    code: hasErrors(issues) ? 'INVALID_CONTENT' : 'INTERNAL',
    issues: issues.length,
  });
  options.finished({ id: message.row.id, state: 'set-aside', issues });
}

function processingIssue(text: string): Issue {
  return { severity: 'error', code: 'processing', at: '', text };
}

function storeFault(options: WorkOptions, error: EngineError): { againInMs: number } {
  options.telemetry.emit('store.commit-failed', {
    code: error.code,
    places: placesOf(error.cause ?? error),
  });
  return { againInMs: STORE_DELAY_MS };
}

async function sweepStore(options: WorkOptions): Promise<number> {
  let keys = 0;
  try {
    // Of many processes one sweeps; a little early, so that the next in turn finds the place free.
    const claimMs = options.limits.sweepIntervalMs * 0.9;
    if (!(await options.queue.claimSweep(claimMs))) return 0;
    for (let after = 0; ; ) {
      const page = await options.record.store.intake.waiting(after, SWEEP_PAGE);
      for (const { tenant, orderingKey } of page) options.queue.wake({ tenant, orderingKey });
      keys += page.length;
      const last = page.at(-1);
      if (last === undefined || page.length < SWEEP_PAGE) break;
      after = last.seq;
    }
    options.telemetry.emit('queue.swept', { keys });
  } catch (thrown) {
    storeFault(options, toEngineError(thrown));
  }
  return keys;
}
