// Kills a server with SIGKILL at random moments while senders feed it, starts it again on the same
// folder, and sends again what was not acknowledged, as real senders do. It judges nothing: what
// must hold afterwards is kill-check.ts.
import { connectMllp } from '../../src/source/mllp-client.ts';
import { type Child, pause, type Ready, startChild } from './child.ts';
import type { Json } from './engine.ts';
import { adt, oru } from './messages.ts';
import { randomFrom } from './store-units.ts';

export interface KillOptions {
  folder: string;
  rounds: number;
  seed: number;
  /** New messages that each sender has for a round. */
  perRound: number;
  note?(text: string): void;
}

export interface KillReport {
  senders: Sender[];
  /** ms of each start that was let through. */
  startsMs: number[];
  kills: Record<KillMoment, number>;
  /** Messages that were sent more than once. */
  resent: number;
}

export type KillMoment = 'starting' | 'loaded' | 'draining';

export interface Sent {
  id: string;
  pid: string;
  /** ADT: the family name that it brings; ORU: ''. */
  family: string;
  bytes: Uint8Array;
  attempts: number;
}

/** One connection's sender: everything about one patient goes through one of them, in sequence. */
export interface Sender {
  channel: 'adt-inbound' | 'lab-inbound';
  pids: string[];
  /** In the order of sending. */
  acked: Sent[];
  open: Sent[];
  /** Answers other than AA: there must be none. */
  refused: string[];
  made: number;
}

const SENDERS = 6;
const PATIENTS_PER_SENDER = 4;
const WINDOW = 24;
const STALL_MS = 30_000;

/** Leaves a running server, with everything sent, acknowledged and worked off. */
export async function runKillRounds(
  options: KillOptions,
): Promise<KillReport & { child: Child; ready: Ready }> {
  const run: Run = {
    options,
    random: randomFrom(options.seed),
    kills: { starting: 0, loaded: 0, draining: 0 },
    startsMs: [],
    child: startChild(options.folder),
  };
  try {
    const senders = await runRounds(run);
    const sent = senders.flatMap((sender) => sender.acked);
    const resent = sent.filter(({ attempts }) => attempts > 1).length;
    const { startsMs, kills, child } = run;
    return { senders, startsMs, kills, resent, child, ready: await child.ready };
  } catch (thrown) {
    await run.child.kill();
    throw thrown;
  }
}

interface Run extends Pick<KillReport, 'kills' | 'startsMs'> {
  options: KillOptions;
  random: () => number;
  child: Child;
}

async function runRounds(run: Run): Promise<Sender[]> {
  const { options, random, kills, startsMs } = run;
  const senders = makeSenders();
  let ready = await run.child.ready;
  // Each patient is known before the laboratory speaks of it: it would make it otherwise.
  for (const sender of senders.adt) for (const pid of sender.pids) give(sender, pid);
  await sendAll(senders.adt, ready);
  await settle(ready);
  const all = [...senders.adt, ...senders.lab];
  for (let round = 1; round <= options.rounds; round += 1) {
    for (const sender of all) fill(sender, options.perRound, random);
    const moment = await killSometime(run.child, ready, all, random);
    kills[moment] += 1;
    run.child = startChild(options.folder);
    if (random() < 0.15) {
      await pause(random() * 1_500);
      await run.child.kill();
      kills.starting += 1;
      run.child = startChild(options.folder);
    }
    ready = await run.child.ready;
    startsMs.push(ready.startMs);
    options.note?.(`round ${round}: killed while ${moment}, started in ${ready.startMs} ms`);
  }
  await sendAll(all, ready);
  await settle(ready);
  return all;
}

/** Under load mostly; else shortly after the last acknowledgement, while the rest is applied. */
async function killSometime(
  child: Child,
  ready: Ready,
  senders: Sender[],
  random: () => number,
): Promise<KillMoment> {
  const stop = new AbortController();
  const sending = Promise.all(senders.map((sender) => send(sender, ready, stop.signal)));
  const draining = random() < 0.2;
  if (draining) await sending;
  // Early moments more often: a sender is soon done with its share.
  await pause(draining ? random() * 200 : random() ** 2 * 600);
  const done = senders.every(({ open }) => open.length === 0);
  await child.kill();
  stop.abort();
  await sending;
  return done ? 'draining' : 'loaded';
}

function makeSenders(): { adt: Sender[]; lab: Sender[] } {
  const pidsOf = (index: number) =>
    Array.from({ length: PATIENTS_PER_SENDER }, (_, n) => `K${index}N${n}`);
  const make = (channel: Sender['channel'], pids: string[]): Sender => {
    return { channel, pids, acked: [], open: [], refused: [], made: 0 };
  };
  const adtSenders = Array.from({ length: SENDERS }, (_, n) => make('adt-inbound', pidsOf(n)));
  const pids = adtSenders.map((sender) => sender.pids[0] ?? '');
  return { adt: adtSenders, lab: [make('lab-inbound', pids)] };
}

function fill(sender: Sender, perRound: number, random: () => number): void {
  while (sender.open.length < perRound) {
    const pid = sender.pids[Math.floor(random() * sender.pids.length)] ?? '';
    give(sender, pid);
  }
}

function give(sender: Sender, pid: string): void {
  sender.made += 1;
  const id = `${sender.channel.slice(0, 3)}-${sender.pids[0]}-${sender.made}`;
  const isAdt = sender.channel === 'adt-inbound';
  const family = isAdt ? `Fam${pid}x${sender.made}` : '';
  const text = isAdt
    ? adt({ id, pid, family, event: 'A08' })
    : oru({ id, pid, filler: `F${sender.made}`, value: String(sender.made) });
  const bytes = Buffer.from(text.replaceAll('\n', '\r'));
  sender.open.push({ id, pid, family, bytes, attempts: 0 });
}

async function sendAll(senders: Sender[], ready: Ready): Promise<void> {
  const { signal } = new AbortController();
  await Promise.all(senders.map((sender) => send(sender, ready, signal)));
  const left = senders.filter(({ open }) => open.length > 0);
  const [refused = 'no answer'] = left.flatMap((sender) => sender.refused);
  if (left.length > 0) throw new Error(`${left.length} senders could not send: ${refused}`);
}

/** Pipelines what is open on one connection; ends when all is answered or the connection broke. */
async function send(sender: Sender, ready: Ready, signal: AbortSignal): Promise<void> {
  const port = ready.ports[sender.channel] ?? 0;
  const client = await connectMllp({ host: '127.0.0.1', port, timeoutMs: 20_000 }).catch(
    () => null,
  );
  if (client === null) return;
  const waiting = new Set<Promise<void>>();
  let broken = false;
  for (const message of [...sender.open]) {
    if (broken || signal.aborted) break;
    message.attempts += 1;
    const answered = client.send(message.bytes, 1).then(
      ([answer]) => take(sender, message, Buffer.from(answer ?? []).toString('latin1')),
      () => {
        broken = true;
      },
    );
    waiting.add(answered);
    void answered.then(() => waiting.delete(answered));
    if (waiting.size >= WINDOW) await Promise.race(waiting);
  }
  await Promise.all(waiting);
  await client.close();
}

function take(sender: Sender, message: Sent, answer: string): void {
  if (!answer.includes(`\rMSA|AA|${message.id}\r`)) {
    sender.refused.push(`${message.id}: ${answer.replaceAll('\r', ' / ')}`);
    return;
  }
  sender.acked.push(message);
  sender.open.splice(sender.open.indexOf(message), 1);
}

/** Waits until no message waits; fails when none was worked off for half a minute. */
export async function settle(ready: Ready): Promise<void> {
  let least = Number.POSITIVE_INFINITY;
  for (let end = Date.now() + STALL_MS; Date.now() < end; ) {
    const { messages } = await ready.ask('GET', '/admin/stats');
    const waiting = messages
      .filter((row: Json) => row.state === 'received')
      .reduce((sum: number, row: Json) => sum + row.count, 0);
    if (waiting === 0) return;
    if (waiting < least) end = Date.now() + STALL_MS;
    least = Math.min(least, waiting);
    await pause(100);
  }
  throw new Error(`${least} messages wait and are not worked off`);
}
