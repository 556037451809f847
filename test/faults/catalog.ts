// The faults, in one table: what strikes, on which engines, how it is seen to bite, and how it is
// lifted. A round around one of them is round.ts.
import { ok } from 'node:assert/strict';
import { pause } from '../support/child.ts';
import { fillDisk } from './disk.ts';
import type { StandInCalls } from './mongo-stand-in.ts';
import { type EngineName, FIRST_DELAY_MS, type Member, type Rig, type Role } from './rig.ts';
import type { FaultRow, Scene } from './round.ts';

const BOTH = ['embedded', 'cluster'] as const;
const CLUSTER = ['cluster'] as const;

/** Steps at which a process is killed; see preload.ts. */
const RECEIVING = ['commit.begin', 'commit.sent', 'message.received', 'ack.begin', 'ack.sent'];
const WORKING = ['commit.begin', 'commit.sent', 'message.processed', 'audit.checkpoint'];
const LEASING = ['lease.sent', 'queue.swept'];
const ANSWERING = ['answer.begin', 'commit.begin', 'commit.sent'];
const STEP_MS_MAX = 6_000;

export const STEPS: Record<Role, { embedded: string[]; cluster: string[] }> = {
  receive: { embedded: [], cluster: ['connection.opened', ...RECEIVING] },
  work: { embedded: [], cluster: [...WORKING, ...LEASING] },
  api: { embedded: [], cluster: ANSWERING },
  all: {
    embedded: ['queue.swept', 'answer.begin', ...new Set([...RECEIVING, ...WORKING])],
    cluster: [...LEASING, 'answer.begin', ...new Set([...RECEIVING, ...WORKING])],
  },
};

export const FAULTS: readonly FaultRow[] = [
  { name: 'kill-receive', engines: CLUSTER, strike: (scene) => killAtStep(scene, 'receive') },
  { name: 'kill-work', engines: CLUSTER, strike: (scene) => killAtStep(scene, 'work') },
  { name: 'kill-api', engines: CLUSTER, strike: (scene) => killAtStep(scene, 'api') },
  { name: 'kill-all', engines: BOTH, strike: (scene) => killAtStep(scene, 'all') },
  { name: 'kill-anywhere', engines: BOTH, strike: killAtRandom },
  { name: 'redis-stands-still', engines: CLUSTER, strike: freezeRedis },
  { name: 'redis-flushed', engines: CLUSTER, strike: flushRedis },
  { name: 'redis-killed', engines: CLUSTER, strike: (scene) => killRedis(scene, false) },
  { name: 'redis-forgets', engines: CLUSTER, strike: (scene) => killRedis(scene, true) },
  {
    ...{ name: 'primary-steps-down', engines: CLUSTER, mayRefuse: true, strike: stepDown },
    standInOnly: 'a server holds its elections itself; connections-cut is what a proxy can do',
  },
  { name: 'primary-gone', engines: CLUSTER, mayRefuse: true, strike: takePrimary },
  { name: 'connections-cut', engines: CLUSTER, mayRefuse: true, strike: cutConnections },
  { name: 'reply-lost', engines: CLUSTER, mayRefuse: true, strike: loseReplies },
  { name: 'reply-never-comes', engines: CLUSTER, mayRefuse: true, strike: keepReplies },
  { name: 'half-open-mongo', engines: CLUSTER, mayRefuse: true, strike: halfOpenMongo },
  { name: 'half-open-redis', engines: CLUSTER, strike: halfOpenRedis },
  { name: 'half-open-senders', engines: BOTH, proxied: true, strike: halfOpenSenders },
  { name: 'store-slow', engines: BOTH, mayRefuse: true, strike: slowStore },
  {
    ...{ name: 'disk-full', engines: BOTH, mayRefuse: true, strike: fullDisk },
    standInOnly: 'a proxy cannot fill the disk of a server',
  },
  { name: 'clock-set-back', engines: BOTH, strike: setClockBack },
  { name: 'clock-set-back-in-a-wait', engines: BOTH, strike: setClockBackInWait },
  { name: 'two-owners', engines: BOTH, strike: twoOwners },
  { name: 'worker-stands-still', engines: CLUSTER, strike: stopWorker },
  { name: 'poison', engines: BOTH, strike: poison },
];

export function faultsOf(engine: EngineName): FaultRow[] {
  return FAULTS.filter(({ engines }) => engines.includes(engine));
}

/** Throws for a name that the table does not have. */
export function faultOf(name: string): FaultRow {
  const fault = FAULTS.find((one) => one.name === name);
  if (fault === undefined) throw new Error(`there is no fault named ${name}`);
  return fault;
}

/** One fault that is several. */
export function allAtOnce(names: string[]): FaultRow {
  const faults = names.map(faultOf);
  return {
    name: names.join(' and '),
    engines: BOTH.filter((engine) => faults.every(({ engines }) => engines.includes(engine))),
    mayRefuse: faults.some(({ mayRefuse }) => mayRefuse),
    proxied: faults.some(({ proxied }) => proxied),
    async strike(scene) {
      const notes = await Promise.all(faults.map(({ strike }) => strike(scene)));
      return notes.filter((note) => note !== undefined).join(', ');
    },
  };
}

function pick<T>(random: () => number, items: readonly T[]): T {
  const item = items[Math.floor(random() * items.length)];
  if (item === undefined) throw new Error('there is nothing to pick from');
  return item;
}

// ---- processes

async function killAtStep({ rig, random }: Scene, role: Role): Promise<string> {
  const member = pick(random, rig.members.filter((one) => one.role === role) as Member[]);
  const step = pick(random, STEPS[role][rig.engine]);
  const frequent = !['queue.swept', 'audit.checkpoint', 'connection.opened'].includes(step);
  const nth = frequent ? 1 + Math.floor(random() * 8) : 1;
  // Nobody connects anew without a reason.
  if (step === 'connection.opened') {
    member.doomed = true;
    await member.child.kill();
    await rig.whole();
  }
  const came = await rig.killAt(member, step, nth, STEP_MS_MAX);
  return `${step} ${nth}${came ? '' : ' (not reached)'}`;
}

async function killAtRandom({ rig, random }: Scene): Promise<string> {
  const member = pick(random, rig.members);
  await pause(random() * 1_000);
  member.doomed = true;
  await member.child.kill();
  if (random() < 0.7) return member.name;
  // Once more, while it starts.
  while (member.doomed) await pause(10);
  member.doomed = true;
  await pause(random() * 1_500);
  await member.child.kill();
  return `${member.name}, and while it started`;
}

/** Longer than its lease and its job's lock: another one has taken over when it goes on. */
async function stopWorker({ rig, feed, random }: Scene): Promise<string> {
  const member = pick(random, rig.playing('work'));
  member.child.signal('SIGSTOP');
  await pause(18_000);
  member.child.signal('SIGCONT');
  await feed.progress(1);
  return member.name;
}

// ---- Redis

async function freezeRedis({ rig, feed, holdMs }: Scene): Promise<undefined> {
  const { redis } = rig.cluster;
  redis.freeze();
  try {
    await Promise.all([pause(holdMs), feed.progress(2)]);
  } finally {
    redis.thaw();
  }
}

async function flushRedis({ rig, feed, random }: Scene): Promise<string> {
  const times = 1 + Math.floor(random() * 3);
  for (let n = 0; n < times; n += 1) {
    await rig.cluster.redis.client.flushall();
    await feed.progress(1);
  }
  return `${times} times`;
}

async function killRedis({ rig, feed, holdMs }: Scene, forget: boolean): Promise<undefined> {
  const { redis } = rig.cluster;
  await redis.kill({ forget });
  await Promise.all([pause(holdMs / 3), feed.progress(2)]);
  await redis.restart();
}

async function halfOpenRedis({ rig, feed }: Scene): Promise<undefined> {
  rig.cluster.proxies.redis.silence();
  await feed.progress(2);
}

// ---- MongoDB

async function stepDown({ rig, feed, random }: Scene): Promise<string> {
  const ms = Math.round(500 + random() * 4_000);
  await standInOf(rig).stepDown(ms);
  await pause(ms);
  await feed.progress(1);
  return `${ms} ms`;
}

/** A real server does not crash: only the way to it is gone. */
async function takePrimary({ rig, random, holdMs }: Scene): Promise<string> {
  const { mongo } = rig.cluster;
  const crashes = random() < 0.5 && mongo.standIn !== undefined;
  await (crashes ? mongo.standIn?.crash() : mongo.down());
  await pause(holdMs);
  await mongo.up();
  return crashes ? 'crashed' : 'unreachable';
}

/** All at one moment; new ones are accepted. */
async function cutConnections({ rig, feed, random }: Scene): Promise<string> {
  const times = 1 + Math.floor(random() * 3);
  for (let n = 0; n < times; n += 1) {
    await pause(random() * 500);
    rig.cluster.proxies.mongo.cut();
    await feed.progress(1);
  }
  return `${times} times`;
}

async function loseReplies({ rig, random }: Scene): Promise<string> {
  const times = 1 + Math.floor(random() * 6);
  await rig.cluster.mongo.loseReplies(times);
  return `${times} times`;
}

async function halfOpenMongo({ rig }: Scene): Promise<undefined> {
  rig.cluster.proxies.mongo.silence();
}

async function keepReplies({ rig, random }: Scene): Promise<string> {
  const times = 1 + Math.floor(random() * 2);
  await rig.cluster.mongo.keepReplies(times);
  return `${times} times`;
}

/** Throws on a rig without a stand-in: such faults are `standInOnly`. */
function standInOf(rig: Rig): StandInCalls {
  const { standIn } = rig.cluster.mongo;
  if (standIn === undefined) throw new Error('a real MongoDB server cannot be made to do this');
  return standIn;
}

// ---- both engines

async function halfOpenSenders({ feed, random }: Scene): Promise<string> {
  const times = 1 + Math.floor(random() * 2);
  for (let n = 0; n < times; n += 1) {
    await pause(random() * 500);
    await feed.silence();
  }
  return `${times} times`;
}

async function slowStore(scene: Scene): Promise<string> {
  const { rig, random, feed, holdMs } = scene;
  // A unit is one commit there, and many commands of several processes in turn here.
  const ms = Math.round(rig.engine === 'embedded' ? 50 + random() * 250 : 10 + random() * 40);
  const lift = await slow(scene, ms);
  await Promise.all([pause(holdMs), feed.progress(1)]);
  await lift();
  return `${ms} ms a ${rig.engine === 'embedded' ? 'commit' : 'command'}`;
}

async function slow({ rig }: Scene, ms: number): Promise<() => Promise<void>> {
  if (rig.engine === 'cluster') {
    const { mongo } = rig.cluster;
    await mongo.slow(ms);
    return () => mongo.slow(0);
  }
  for (const member of rig.members) rig.order(member, { slowMs: ms });
  return async () => {
    for (const member of rig.members) rig.order(member, { slowMs: 0 });
  };
}

/** What is written is refused, what is read is shown, and both again when there is room. */
async function fullDisk({ rig, feed, clinic, holdMs }: Scene): Promise<string> {
  while (!(await clinic.read())) await pause(50);
  const lift = await fill(rig);
  let reads = 0;
  try {
    const before = feed.refused.length;
    for (const end = performance.now() + holdMs; performance.now() < end; await pause(20)) {
      const full = feed.refused.length > before;
      ok(await clinic.read(), `read ${reads + 1} while the disk was full`);
      if (full) reads += 1;
    }
    while (feed.refused.length === before) await pause(10);
  } finally {
    await lift();
  }
  return `${reads} reads while nothing was accepted`;
}

async function fill(rig: Rig): Promise<() => Promise<void>> {
  if (rig.engine === 'cluster') {
    const standIn = standInOf(rig);
    const times = Number.POSITIVE_INFINITY;
    for (const on of ['insert', 'update', 'findAndModify', 'commitTransaction'] as const) {
      await standIn.fault({ on, kind: 'full', times });
    }
    return () => standIn.clearFaults();
  }
  const filler = fillDisk(rig.members[0]?.folder ?? '');
  return async () => filler.free();
}

/** Of one process or of all: processes whose clocks differ share a queue then. */
async function setClockBack({ rig, feed, random }: Scene): Promise<string> {
  const one = pick(random, rig.members);
  const struck = random() < 0.5 ? [one] : rig.members;
  for (const member of struck) {
    const clockMs = (member.orders.clockMs ?? 0) - 3_600_000;
    rig.order(member, { clockMs });
  }
  await feed.progress(3);
  return struck.length === 1 ? one.name : 'all';
}

/** While messages wait for their next attempt: that wait must not become an hour. */
async function setClockBackInWait(scene: Scene): Promise<string> {
  const { rig, feed } = scene;
  feed.poison(3);
  await feed.progress(2);
  await pause(FIRST_DELAY_MS / 2);
  for (const member of rig.members) {
    rig.order(member, { clockMs: (member.orders.clockMs ?? 0) - 3_600_000 });
  }
  await feed.progress(2);
  return 'all';
}

/** Each lane is handed out twice at once, in each process, while commits are slow. */
async function twoOwners(scene: Scene): Promise<undefined> {
  const { rig, feed, holdMs } = scene;
  const lift = await slow(scene, 10);
  for (const member of rig.members) rig.order(member, { twice: true });
  await Promise.all([pause(holdMs / 2), feed.progress(4)]);
  for (const member of rig.members) rig.order(member, { twice: false });
  await lift();
}

async function poison({ feed, random }: Scene): Promise<string> {
  const count = 1 + Math.floor(random() * 4);
  feed.poison(count);
  await feed.progress(4);
  return `${count} messages`;
}
