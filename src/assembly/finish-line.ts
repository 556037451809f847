// Counts the messages between acceptance and their end, and lets an enhanced-mode answer wait for
// the end of one message.
import type { Finished } from '../flow/work.ts';
import type { MessageHead } from '../record/message.ts';

export interface FinishLine {
  /** A message was accepted and its key woken. */
  accepted(): void;
  finished(result: Finished): void;
  /** Messages accepted and not yet at their end. */
  waiting(): number;
  /** Resolves at the message's end; undefined when it is not there within the time. */
  end(id: string): Promise<Finished | undefined>;
}

interface Options {
  /** Messages that the store held waiting at start. */
  waiting: number;
  timeoutMs: number;
  /** Where a message stands by the store: it may have come to its end before it was asked about. */
  head(id: string): Promise<MessageHead | undefined>;
}

export function createFinishLine(options: Options): FinishLine {
  const waiters = new Map<string, (result: Finished | undefined) => void>();
  let waiting = options.waiting;
  return {
    accepted() {
      waiting += 1;
    },
    finished(result) {
      waiting = Math.max(0, waiting - 1);
      waiters.get(result.id)?.(result);
    },
    waiting: () => waiting,
    async end(id) {
      const { promise, resolve } = Promise.withResolvers<Finished | undefined>();
      waiters.set(id, resolve);
      const timer = setTimeout(() => resolve(undefined), options.timeoutMs);
      try {
        const head = await options.head(id).catch(() => undefined);
        if (head && head.state !== 'received') {
          return { id, state: head.state, issues: [] };
        }
        return await promise;
      } finally {
        clearTimeout(timer);
        waiters.delete(id);
      }
    },
  };
}
