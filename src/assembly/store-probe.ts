// Asks the store something small in an interval, so that readiness can tell at any time whether it
// answers, without waiting for it.
import type { Store } from '../store/port.ts';

export interface StoreProbe {
  /** The last question was answered, and the present one has not waited long. */
  reachable(): boolean;
  close(): void;
}

const INTERVAL_MS = 5_000;
const ANSWER_MS_MAX = 3_000;

export function probeStore(store: Pick<Store, 'audit'>): StoreProbe {
  let answered = true;
  let askedAt: number | undefined;
  const ask = async () => {
    if (askedAt !== undefined) return;
    askedAt = performance.now();
    answered = await store.audit.tenants().then(
      () => true,
      () => false,
    );
    askedAt = undefined;
  };
  const timer = setInterval(() => void ask(), INTERVAL_MS);
  timer.unref();
  return {
    reachable: () =>
      answered && (askedAt === undefined || performance.now() - askedAt < ANSWER_MS_MAX),
    close: () => clearInterval(timer),
  };
}
