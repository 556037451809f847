// Counts the messages between acceptance and their end, as the store says every few seconds and as
// this process is told since; and lets an enhanced-mode answer wait for the end of one message.
import type { Finished } from '../flow/desk.ts';
import type { MessageHead } from '../record/message.ts';

export interface FinishLine {
  /** A message was accepted and its key woken. */
  accepted(): void;
  finished(result: Finished): void;
  /** Messages accepted and not yet at their end. */
  waiting(): number;
  /** ms since the oldest message that waits was received, as the store said a few seconds ago. */
  oldestMs(): number;
  /** Resolves at the message's end; undefined when it is not there within the time. */
  end(id: string): Promise<Finished | undefined>;
  close(): void;
}

interface Options {
  /** What waits by the store: how many messages, and when (ms) the oldest was received. */
  count(): Promise<{ waiting: number; oldest: number }>;
  now(): number;
  timeoutMs: number;
  /** Where a message stands by the store: it may have come to its end before it was asked about. */
  head(id: string): Promise<MessageHead | undefined>;
  /** Other processes accept and finish messages of the same store. */
  shared: boolean;
}

const COUNT_INTERVAL_MS = 5_000;
const LOOK_INTERVAL_MS = 250;

/** Rejects when the store cannot be counted. */
export async function createFinishLine(options: Options): Promise<FinishLine> {
  const waiters = new Map<string, (result: Finished | undefined) => void>();
  let counted = await options.count();
  /** Accepted less ended, of what this process was told since the count was begun. */
  let change = 0;
  const recount = () => {
    const before = change;
    return options.count().then(
      (found) => {
        counted = found;
        change -= before;
      },
      // The count of before stands until the store answers again.
      () => undefined,
    );
  };
  const waiting = () => Math.max(0, counted.waiting + change);
  const timer = setInterval(recount, COUNT_INTERVAL_MS);
  return {
    accepted() {
      change += 1;
    },
    finished(result) {
      change -= 1;
      waiters.get(result.id)?.(result);
    },
    waiting,
    oldestMs() {
      const { oldest } = counted;
      return waiting() === 0 || oldest === 0 ? 0 : Math.max(0, options.now() - oldest);
    },
    async end(id) {
      const { promise, resolve } = Promise.withResolvers<Finished | undefined>();
      waiters.set(id, resolve);
      const timeout = setTimeout(() => resolve(undefined), options.timeoutMs);
      const look = () => void lookUp(id, options).then((end) => end && resolve(end));
      const looking = options.shared ? setInterval(look, LOOK_INTERVAL_MS) : undefined;
      look();
      try {
        return await promise;
      } finally {
        clearTimeout(timeout);
        clearInterval(looking);
        waiters.delete(id);
      }
    },
    close: () => clearInterval(timer),
  };
}

async function lookUp(id: string, { head }: Options): Promise<Finished | undefined> {
  const found = await head(id).catch(() => undefined);
  if (found === undefined || found.state === 'received') return undefined;
  const text = 'The message was set aside and waits for an operator.';
  const issue = { severity: 'error', code: 'processing', at: '', text } as const;
  return { id, state: found.state, issues: found.state === 'set-aside' ? [issue] : [] };
}
