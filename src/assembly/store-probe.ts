// Asks the store in an interval whether it takes a write, so that readiness can tell at any time,
// without waiting for it and without a write of its own.
import { tableOf } from '../model/table.ts';
import type { Store, StoreCondition } from '../store/port.ts';
import type { Telemetry } from '../telemetry/events.ts';

export interface StoreProbe {
  /** The last answer; `no answer` while the present question has waited long. */
  condition(): StoreCondition;
  close(): void;
}

const INTERVAL_MS = 5_000;
const ANSWER_MS_MAX = 3_000;

/** `intervalMs`: shorter in tests. */
export function probeStore(
  store: Pick<Store, 'audit' | 'probe'>,
  telemetry: Pick<Telemetry, 'emit'>,
  intervalMs: number = INTERVAL_MS,
): StoreProbe {
  let last: StoreCondition = 'ok';
  let askedAt: number | undefined;
  const ask = async () => {
    if (askedAt !== undefined) return;
    askedAt = performance.now();
    const found = await askOnce(store);
    if (found !== last) tell(telemetry, found);
    last = found;
    askedAt = undefined;
  };
  const timer = setInterval(() => void ask(), intervalMs);
  timer.unref();
  return {
    condition: () => {
      const isLate = askedAt !== undefined && performance.now() - askedAt > ANSWER_MS_MAX;
      return isLate ? 'no answer' : last;
    },
    close: () => clearInterval(timer),
  };
}

function tell(telemetry: Pick<Telemetry, 'emit'>, found: StoreCondition): void {
  if (found === 'ok') telemetry.emit('store.writable', {});
  else telemetry.emit('store.unwritable', { code: CODES[found] });
}

const CODES = tableOf({
  'disk full': 'DISK_FULL',
  'read only': 'READ_ONLY',
  'no primary': 'NO_PRIMARY',
  'no answer': 'NO_ANSWER',
} satisfies Record<Exclude<StoreCondition, 'ok'>, string>);

/** A write and a read: they go different ways. */
async function askOnce(store: Pick<Store, 'audit' | 'probe'>): Promise<StoreCondition> {
  const written = await store.probe();
  if (written !== 'ok') return written;
  return store.audit.tenants().then(
    () => 'ok' as const,
    () => 'no answer' as const,
  );
}
