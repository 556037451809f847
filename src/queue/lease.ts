// Leases in Redis: one holder per key over all processes, for as long as Redis remembers. They
// spare double work; what makes double work harmless is the store's commit.
import { randomUUID } from 'node:crypto';
import type { Redis } from '../clients/redis.ts';

export interface Lease {
  /** False as soon as another may hold the key: by this process's own clock, or told by Redis. */
  held(): boolean;
  /** Gives the key free. It does not wait for Redis: without its answer the lease runs out. */
  release(): void;
}

export interface Leases {
  /** Undefined when somebody else holds the key. Waits for Redis. */
  acquire(key: string): Promise<Lease | undefined>;
  /** Stops renewing. */
  close(): void;
}

interface Held {
  token: string;
  /** performance.now() until which Redis keeps it for us; 0 = lost. */
  until: number;
}

const RELEASE = `
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0`;

/** One that vanished (FLUSHALL, a restart without data) is taken again, unless another took it. */
const RENEW = `
local kept = {}
for i, key in ipairs(KEYS) do
  local holder = redis.call('GET', key)
  if not holder or holder == ARGV[i + 1] then
    redis.call('SET', key, ARGV[i + 1], 'PX', ARGV[1])
    kept[i] = 1
  else
    kept[i] = 0
  end
end
return kept`;

/** `leaseMs`: a holder that is gone blocks its key for so long. Held ones are renewed in time. */
export function openLeases(redis: Redis, prefix: string, leaseMs: number): Leases {
  const held = new Map<string, Held>();
  const timer = setInterval(() => void renew(redis, held, leaseMs), leaseMs / 10);
  timer.unref();
  return {
    async acquire(key) {
      const name = `${prefix}:lease:${key}`;
      const token = randomUUID();
      const asked = performance.now();
      if ((await redis.set(name, token, 'PX', leaseMs, 'NX')) !== 'OK') return undefined;
      const lease: Held = { token, until: asked + leaseMs };
      held.set(name, lease);
      return {
        held: () => performance.now() < lease.until,
        release() {
          if (held.get(name) === lease) held.delete(name);
          redis.eval(RELEASE, 1, name, token).catch(() => undefined);
        },
      };
    },
    close: () => clearInterval(timer),
  };
}

async function renew(redis: Redis, held: Map<string, Held>, leaseMs: number): Promise<void> {
  const asked = performance.now();
  // Most drains end long before their lease: only the longer ones cost a command.
  const due = [...held].filter(([, lease]) => lease.until - asked < leaseMs * 0.95);
  if (due.length === 0 || redis.status !== 'ready') return;
  const names = due.map(([name]) => name);
  const tokens = due.map(([, lease]) => lease.token);
  try {
    const kept = await redis.eval(RENEW, names.length, ...names, leaseMs, ...tokens);
    for (const [index, [, lease]] of due.entries()) {
      const mine = Array.isArray(kept) && kept[index] === 1;
      lease.until = mine ? asked + leaseMs : 0;
    }
  } catch {
    // Not renewed: `held` turns false by the clock.
  }
}
