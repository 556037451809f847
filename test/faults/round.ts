// One round: a fault strikes a rig that is at work and is lifted again; then everything must come
// right by itself. What right means is oracle.ts; which faults there are is catalog.ts.
import { pause, waitingAt } from '../support/child.ts';
import { Clinic } from './clinic.ts';
import { Feed } from './feed.ts';
import type { Oracle, Verdict } from './oracle.ts';
import type { Rig } from './rig.ts';

export interface Scene {
  rig: Rig;
  feed: Feed;
  clinic: Clinic;
  random(): number;
  /** How long a fault that lasts is to last. */
  holdMs: number;
}

export interface FaultRow {
  name: string;
  engines: readonly Rig['engine'][];
  /** Why a cluster can have it on the MongoDB stand-in only. */
  standInOnly?: string;
  /** The store may refuse: senders wait for each answer, since what is refused comes again. */
  mayRefuse?: boolean;
  /** Senders are connected through proxies. */
  proxied?: boolean;
  /** Brings the fault, sees that it bites, and lifts it. Answers what the report should say. */
  strike(scene: Scene): Promise<string | undefined>;
}

export interface RoundOptions {
  /** Of this round: in ids of patients and messages. */
  number: number;
  random(): number;
  holdMs: number;
  /** From the end of the fault until everything is worked off. */
  recoveryMsMax: number;
  /** Longest rest of a sender; what it sends during a long fault is to be worked off in time. */
  restMs?: number;
}

export interface RoundReport extends Verdict {
  fault: string;
  note: string;
  resent: number;
  refused: number;
  updates: number;
  recoveryMs: number;
}

const REST_MS = 80;

export async function runRound(
  rig: Rig,
  oracle: Oracle,
  fault: FaultRow,
  options: RoundOptions,
): Promise<RoundReport> {
  const { number, random, restMs = REST_MS } = options;
  await rig.whole();
  // What is still on its way when the message before it is refused arrives later, and is taken.
  const depth = fault.mayRefuse ? 1 : 4;
  const feed = new Feed(rig, {
    ...{ prefix: `R${number}`, random, proxied: fault.proxied ?? false },
    ...{ patients: [9, 3], connections: [3, 1], depth, restMs },
  });
  const clinic = new Clinic(rig);
  const scene: Scene = { rig, feed, clinic, random, holdMs: options.holdMs };
  try {
    return await strikeAndCheck(scene, oracle, fault, options.recoveryMsMax);
  } finally {
    feed.abort();
    clinic.abort();
  }
}

async function strikeAndCheck(
  scene: Scene,
  oracle: Oracle,
  fault: FaultRow,
  recoveryMsMax: number,
): Promise<RoundReport> {
  const { feed, clinic, holdMs } = scene;
  await within(60_000, 'the feed begins', Promise.all([feed.progress(1), clinic.begun()]));
  const note = await within(holdMs + 90_000, `${fault.name} bites`, fault.strike(scene));
  const begun = performance.now();
  try {
    await within(recoveryMsMax, `recovery from ${fault.name}`, comeRight(scene));
  } catch (cause) {
    throw new Error(await describe(scene), { cause });
  }
  const recoveryMs = performance.now() - begun;
  const refused = feed.refused.length;
  if (!fault.mayRefuse && refused > 0) throw new Error(`${refused} refused: ${feed.refused[0]}`);
  const verdict = await oracle.check(feed, clinic);
  return {
    ...verdict,
    ...{ fault: fault.name, note: note ?? '', refused, resent: feed.resent },
    ...{ updates: clinic.acked.length, recoveryMs: Math.round(recoveryMs) },
  };
}

/** Characters of what each process wrote last: its warnings and errors. */
const OUTPUT_LENGTH = 1_500;

/** What is not right yet. */
async function describe({ rig, feed, clinic }: Scene): Promise<string> {
  const missing = rig.members.filter(({ now }) => now === undefined).map(({ name }) => name);
  const waiting = missing.length > 0 ? '?' : await waitingAt(await rig.reach('api'));
  const open = feed.lines.filter((line) => line.open.length > 0).map(({ pid }) => pid);
  return [
    `${waiting} messages wait, those of ${open.join(' ') || 'nobody'} are not acknowledged`,
    `${feed.acked} are, ${feed.refused.length} were refused (${feed.refused.at(-1) ?? ''})`,
    `${clinic.acked.length} updates, not there: ${missing.join(' ') || 'none'}`,
    ...rig.members.map(({ name, child }) => `\n${name}: ${child.output().slice(-OUTPUT_LENGTH)}`),
  ].join('; ');
}

/** New messages are acknowledged, all that were made are, and none waits. */
async function comeRight({ rig, feed, clinic }: Scene): Promise<void> {
  await feed.progress(1);
  await Promise.all([feed.finish(), clinic.finish()]);
  await settled(rig);
}

/** Resolves when no message waits. */
export async function settled(rig: Rig): Promise<void> {
  for (;;) {
    const waiting = await waitingAt(await rig.reach('api')).catch(() => undefined);
    if (waiting === 0) return;
    await pause(50);
  }
}

export async function within<T>(ms: number, what: string, act: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not within ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([act, late]);
  } finally {
    clearTimeout(timer);
  }
}
