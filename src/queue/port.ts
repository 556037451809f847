// A queue says only "this ordering key has work". The work itself, its order and its state are in
// the store, so a queue may lose everything: the sweep in flow/work.ts tells it again.

export interface Wake {
  tenant: string;
  /** Blind token of the ordering key: never patient data. */
  orderingKey: string;
}

/**
 * Drains one key: applies its waiting messages in order and answers when the key has none left, or
 * the ms to wait before the key is tried again. It is never called twice at once for one key.
 */
export type Drain = (wake: Wake) => Promise<{ againInMs?: number }>;

export interface Queue {
  /** Never throws for a full queue: a wake-up of a key that is waiting already is dropped. */
  wake(wake: Wake): void;
  /** Starts the workers. A wake-up that arrives while its key is drained drains it once more. */
  process(drain: Drain, concurrency: number): void;
  /** Keys waiting and keys being drained, now. */
  depth(): { waiting: number; active: number };
  /** Lets running drains finish, takes no further ones. */
  close(): Promise<void>;
}
