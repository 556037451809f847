// The queue inside one process: first-come-first-served lanes, one per ordering key, drained by a
// fixed number of workers. It keeps nothing on disk; the store's inbox is what is drained.
import type { MessagePort } from 'node:worker_threads';
import type { Depth, Drain, Queue, Wake } from './port.ts';

export interface LocalQueueOptions {
  /** Keys that may wait; a wake-up beyond is dropped and comes back with the next sweep. */
  waitingMax: number;
}

interface Lane {
  wake: Wake;
  state: 'waiting' | 'active' | 'active-again' | 'delayed';
  timer?: NodeJS.Timeout;
  /** performance.now() when it last began to wait for a worker. */
  since: number;
}

/** Opens an empty queue. Nothing is drained before `process`. */
export function openLocalQueue(options: LocalQueueOptions): Queue {
  return new LocalQueue(options);
}

class LocalQueue implements Queue {
  readonly #lanes = new Map<string, Lane>();
  readonly #options: LocalQueueOptions;
  /** A ring by two indices would save little: the array is compacted when half of it is used up. */
  #ready: Lane[] = [];
  #next = 0;
  #active = 0;
  #concurrency = 0;
  #drain: Drain | undefined;
  #closed = false;
  #idle: (() => void)[] = [];

  constructor(options: LocalQueueOptions) {
    this.#options = options;
  }

  wake(wake: Wake): void {
    if (this.#closed) return;
    const key = laneKey(wake);
    const lane = this.#lanes.get(key);
    if (lane === undefined) {
      if (this.#lanes.size >= this.#options.waitingMax) return;
      const fresh: Lane = { wake, state: 'waiting', since: performance.now() };
      this.#lanes.set(key, fresh);
      this.#ready.push(fresh);
      this.#start();
    } else if (lane.state === 'active') {
      lane.state = 'active-again';
    }
    // A delayed lane keeps its delay: the message in front must not be tried early.
  }

  process(drain: Drain, concurrency: number): void {
    this.#drain = drain;
    this.#concurrency = concurrency;
    this.#start();
  }

  depth(): Depth {
    const oldest = this.#ready[this.#next];
    const oldestMs = oldest === undefined ? 0 : performance.now() - oldest.since;
    return { waiting: this.#lanes.size - this.#active, active: this.#active, oldestMs };
  }

  async claimSweep(): Promise<boolean> {
    return true;
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const lane of this.#lanes.values()) clearTimeout(lane.timer);
    this.#ready = [];
    this.#next = 0;
    if (this.#active > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
    this.#lanes.clear();
  }

  #start(): void {
    while (this.#drain && this.#active < this.#concurrency && this.#next < this.#ready.length) {
      const lane = this.#ready[this.#next++];
      if (this.#next > 1024 && this.#next * 2 > this.#ready.length) {
        this.#ready.splice(0, this.#next);
        this.#next = 0;
      }
      if (lane) void this.#run(lane, this.#drain);
    }
  }

  async #run(lane: Lane, drain: Drain): Promise<void> {
    lane.state = 'active';
    this.#active += 1;
    let againInMs: number | undefined;
    try {
      againInMs = (await drain(lane.wake, () => !this.#closed, false)).againInMs;
    } finally {
      // A drain that rejects is a broken invariant of flow/work.ts; the rejection stays unhandled
      // on purpose and stops the process, and the next start finds the message in the store.
      this.#active -= 1;
      this.#settle(lane, againInMs);
    }
  }

  #settle(lane: Lane, againInMs: number | undefined): void {
    const again = (lane.state as Lane['state']) === 'active-again';
    if (this.#closed) {
      if (this.#active === 0) for (const resolve of this.#idle) resolve();
      return;
    }
    if (againInMs !== undefined) {
      lane.state = 'delayed';
      lane.timer = setTimeout(() => this.#requeue(lane), againInMs);
    } else if (again) {
      this.#requeue(lane);
    } else {
      this.#lanes.delete(laneKey(lane.wake));
    }
    this.#start();
  }

  #requeue(lane: Lane): void {
    lane.state = 'waiting';
    lane.since = performance.now();
    this.#ready.push(lane);
    this.#start();
  }
}

function laneKey(wake: Wake): string {
  return `${wake.tenant} ${wake.orderingKey}`;
}

/**
 * Wakes a queue that runs in another thread: wake-ups of one turn of the event loop leave as one
 * message. The other side is `receiveWakes`.
 */
export function wakeThrough(port: MessagePort): Pick<Queue, 'wake'> {
  let pending: Wake[] = [];
  const flush = () => {
    const wakes = pending;
    pending = [];
    port.postMessage(wakes);
  };
  return {
    wake(wake) {
      if (pending.length === 0) setImmediate(flush);
      pending.push(wake);
    },
  };
}

/** Passes the wake-ups that arrive on `port` to the queue; it does not keep the thread alive. */
export function receiveWakes(port: MessagePort, queue: Pick<Queue, 'wake'>): void {
  port.on('message', (wakes: Wake[]) => {
    for (const wake of wakes) queue.wake(wake);
  });
  port.unref();
}
