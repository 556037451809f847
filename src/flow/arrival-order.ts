// Keeps arrival order on the way into the store. A commit that loses a race is tried again, and a
// message behind it would overtake it: so what belongs to one ordering key is accepted one after
// the other, and what came in meanwhile is accepted together. It stores and answers nothing itself.
import type { Principal } from '../model/principal.ts';
import type { Arrival, Receipt } from '../record/accept.ts';

export type Accept = (principal: Principal, items: Arrival[]) => Promise<Receipt[]>;

/** Messages, and bytes of them, that are accepted together; one alone may be larger. */
const TOGETHER_MAX = 64;
const TOGETHER_BYTES_MAX = 1024 * 1024;

interface Job {
  principal: Principal;
  items: Arrival[];
  keys: string[];
  resolve(receipts: Receipt[]): void;
  reject(reason: unknown): void;
}

/**
 * `accept` with this promise added: of two calls with a common ordering key, the items of the first
 * are in the store before those of the second. Calls without one run at the same time. Where the
 * first one fails, what came behind it on its connection fails too: it would overtake the first,
 * which its sender sends again.
 */
export function acceptInOrder(accept: Accept): Accept {
  /** Calls of one key in arrival order; those that run are in front. */
  const lanes = new Map<string, Job[]>();
  const isNext = (job: Job) => job.keys.every((key) => lanes.get(key)?.[0] === job);
  const run = async (jobs: [Job, ...Job[]]) => {
    const fault = await acceptTogether(accept, jobs);
    const refused = fault === undefined ? [] : sentBehind(lanes, jobs);
    for (const job of refused) job.reject(fault);
    const next = leaveLanes(lanes, [...jobs, ...refused]);
    for (const job of next) if (isNext(job)) void run(withFollowers(lanes, job));
  };
  return (principal, items) =>
    new Promise((resolve, reject) => {
      const keys = [...new Set(items.map(({ envelope }) => laneOf(envelope)))];
      const job: Job = { principal, items, keys, resolve, reject };
      for (const key of keys) {
        const lane = lanes.get(key);
        if (lane === undefined) lanes.set(key, [job]);
        else lane.push(job);
      }
      if (isNext(job)) void run([job]);
    });
}

function laneOf({ tenant, orderingKey }: Arrival['envelope']): string {
  return `${tenant}|${orderingKey}`;
}

/** Never rejects: each call is told what became of its own items. Answers why none is stored. */
async function acceptTogether(accept: Accept, jobs: [Job, ...Job[]]): Promise<unknown> {
  try {
    const items = jobs.flatMap((job) => job.items);
    const receipts = await accept(jobs[0].principal, items);
    let at = 0;
    for (const job of jobs) {
      job.resolve(receipts.slice(at, at + job.items.length));
      at += job.items.length;
    }
    return undefined;
  } catch (thrown) {
    for (const job of jobs) job.reject(thrown);
    return thrown ?? new Error('a call failed without a reason');
  }
}

/** The calls of the same connection that wait behind one of `failed`, or behind one of those. */
function sentBehind(lanes: Map<string, Job[]>, failed: Job[]): Job[] {
  const found = new Set(failed);
  // A set gives also those that are added meanwhile.
  for (const job of found) {
    for (const key of job.keys) {
      const lane = lanes.get(key) ?? [];
      for (const other of lane.slice(lane.indexOf(job) + 1)) {
        if (isSameSender(other.principal, job.principal)) found.add(other);
      }
    }
  }
  return [...found].slice(failed.length);
}

/** Removes what has ended; answers the calls that now stand in front of a lane, and did not. */
function leaveLanes(lanes: Map<string, Job[]>, jobs: Job[]): Set<Job> {
  const keys = new Set(jobs.flatMap((job) => job.keys));
  const next = new Set<Job>();
  for (const key of keys) {
    const lane = lanes.get(key) ?? [];
    const left = lane.filter((job) => !jobs.includes(job));
    const [first] = left;
    if (first === undefined) lanes.delete(key);
    else lanes.set(key, left);
    if (first !== undefined && first !== lane[0]) next.add(first);
  }
  return next;
}

/** The call and those right behind it of the same sender and key, within the bounds. */
function withFollowers(lanes: Map<string, Job[]>, first: Job): [Job, ...Job[]] {
  const together: [Job, ...Job[]] = [first];
  const [key = '', ...others] = first.keys;
  if (others.length > 0) return together;
  let [count, bytes] = [first.items.length, bytesOf(first)];
  for (const job of lanes.get(key)?.slice(1) ?? []) {
    count += job.items.length;
    bytes += bytesOf(job);
    if (job.keys.length > 1 || count > TOGETHER_MAX || bytes > TOGETHER_BYTES_MAX) break;
    if (!isSameSender(job.principal, first.principal)) break;
    together.push(job);
  }
  return together;
}

function bytesOf({ items }: Job): number {
  return items.reduce((sum, { raw }) => sum + raw.length, 0);
}

function isSameSender(one: Principal, other: Principal): boolean {
  return one.tenant === other.tenant && one.id === other.id && one.peer === other.peer;
}
