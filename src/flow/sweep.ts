// What the store still holds, told to the queue: the queue may forget anything at any time.
import { toEngineError } from '../model/errors.ts';
import type { Queue } from '../queue/port.ts';
import type { ClinicalRecord } from '../record/context.ts';
import type { Telemetry } from '../telemetry/events.ts';
import { placesOf } from '../telemetry/fields.ts';

const SWEEP_PAGE = 1_000;

interface SweepOptions {
  record: ClinicalRecord;
  queue: Queue;
  telemetry: Telemetry;
  limits: { sweepIntervalMs: number };
}

/** Never rejects; answers how many keys were told. */
export async function sweepStore(options: SweepOptions): Promise<number> {
  let keys = 0;
  try {
    // Of many processes one sweeps; a little early, so that the next in turn finds the place free.
    const claimMs = options.limits.sweepIntervalMs * 0.9;
    if (!(await options.queue.claimSweep(claimMs))) return 0;
    for await (const { tenant, orderingKey } of waitingKeys(options.record)) {
      options.queue.wake({ tenant, orderingKey });
      keys += 1;
    }
    options.telemetry.emit('queue.swept', { keys });
  } catch (thrown) {
    const error = toEngineError(thrown);
    const places = placesOf(error.cause ?? error);
    options.telemetry.emit('store.commit-failed', { code: error.code, places });
  }
  return keys;
}

/** The `seq` of the newest waiting message, 0 = none waits. Rejects when the store is away. */
export async function newestWaiting(record: ClinicalRecord): Promise<number> {
  let newest = 0;
  for await (const { seq } of waitingKeys(record)) newest = Math.max(newest, seq);
  return newest;
}

async function* waitingKeys(record: ClinicalRecord) {
  for (let after = 0; ; ) {
    const page = await record.store.intake.waiting(after, SWEEP_PAGE);
    yield* page;
    const last = page.at(-1);
    if (last === undefined || page.length < SWEEP_PAGE) return;
    after = last.seq;
  }
}
