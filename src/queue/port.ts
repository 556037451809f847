// A queue says only "this ordering key has work". The work itself, its order and its state are in
// the store, so a queue may lose everything: the sweep in flow/work.ts tells it again.

export interface Wake {
  tenant: string;
  /** Blind token of the ordering key: never patient data. */
  orderingKey: string;
}

/**
 * Drains one key: applies its waiting messages in order and answers when the key has none left, or
 * the ms to wait before the key is tried again. It is never called twice at once for one key, as
 * long as the queue holds what it knows; a queue that forgot (a flushed Redis, a stopped process)
 * may call it twice for a moment. Then the store's commits decide, and `mayGoOn` ends the older
 * one.
 * `mayGoOn` is asked between messages: false when the queue closes, or another worker has the key;
 * the drain then answers `{ againInMs: 0 }`.
 * `suspect`: a worker that had the key ended, or stood still, before its drain did. The queue tells
 * what it knows; it may have forgotten.
 */
export type Drain = (
  wake: Wake,
  mayGoOn: () => boolean,
  suspect: boolean,
) => Promise<{ againInMs?: number }>;

export interface Depth {
  waiting: number;
  active: number;
  /** ms that the oldest waiting key has waited, where the queue knows it. */
  oldestMs?: number;
}

export interface Queue {
  /** Never throws for a full queue: a wake-up of a key that is waiting already is dropped. */
  wake(wake: Wake): void;
  /** Starts the workers. A wake-up that arrives while its key is drained drains it once more. */
  process(drain: Drain, concurrency: number): void;
  /** Keys waiting and keys being drained, now or a few seconds ago; it does no work. */
  depth(): Depth;
  /**
   * Whether this process should tell the queue now what the store holds: of all that share it, one
   * is answered true in each interval. False also while the queue could not be told anything.
   */
  claimSweep(intervalMs: number): Promise<boolean>;
  /** Lets running drains finish, takes no further ones. */
  close(): Promise<void>;
}
