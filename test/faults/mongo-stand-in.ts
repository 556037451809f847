// The MongoDB stand-in in a process of its own, as a rig sees it. The process is mongo-process.ts.
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { pause } from '../support/child.ts';
import type { Fault } from '../support/mongo/server.ts';
import { openProxy, type Proxy as TcpProxy } from '../support/proxy.ts';
import type { StandInCall } from './mongo-process.ts';
import type { MongoProcess } from './servers.ts';

export interface StandInCalls {
  fault(fault: Fault): Promise<void>;
  clearFaults(): Promise<void>;
  stepDown(ms: number): Promise<void>;
  crash(): Promise<void>;
  /** Commands per name since the start. */
  counts(): Promise<Record<string, number>>;
  /** What it was asked and does not imitate. */
  refused(): Promise<string[]>;
}

export async function startStandIn(): Promise<{ mongo: MongoProcess; proxy: TcpProxy }> {
  const child = fork(new URL('./mongo-process.ts', import.meta.url), { serialization: 'advanced' });
  const waiting = new Map<number, (value: unknown) => void>();
  const told = new Promise<unknown>((resolve) => waiting.set(0, resolve));
  child.on('message', ({ id, value }: { id: number; value: unknown }) => waiting.get(id)?.(value));
  const url = (await told) as string;
  const ask = (name: StandInCall['name'], ...values: unknown[]) =>
    new Promise<unknown>((resolve) => {
      const id = waiting.size;
      waiting.set(id, resolve);
      child.send({ id, name, values } satisfies StandInCall);
    });
  const order =
    (name: StandInCall['name']) =>
    async (...values: unknown[]) =>
      void (await ask(name, ...values));
  const standIn: StandInCalls = {
    fault: order('fault'),
    clearFaults: order('clearFaults'),
    stepDown: order('stepDown'),
    crash: order('crash'),
    counts: async () => (await ask('counts')) as Record<string, number>,
    refused: async () => (await ask('refused')) as string[],
  };
  const mongo: MongoProcess = {
    url,
    down: order('down'),
    up: order('up'),
    loseReplies: (times) => meet(standIn, { on: 'commitTransaction', kind: 'lost-reply', times }),
    keepReplies: (times) => meet(standIn, { on: '*', kind: 'half-open', times }),
    async slow(ms) {
      await standIn.clearFaults();
      const times = Number.POSITIVE_INFINITY;
      if (ms > 0) await standIn.fault({ on: '*', kind: 'slow', ms, times });
    },
    close: () => endProcess(child),
    standIn,
  };
  return { mongo, proxy: await openProxy(Number(new URL(url).port)) };
}

/** Resolves when as many commands came as the fault is for. */
async function meet(standIn: StandInCalls, fault: Fault): Promise<void> {
  const total = async () => {
    const counts = await standIn.counts();
    if (fault.on !== '*') return counts[fault.on] ?? 0;
    return (counts.find ?? 0) + (counts.findAndModify ?? 0);
  };
  const before = await total();
  await standIn.fault(fault);
  while ((await total()) < before + (fault.times ?? 1)) await pause(10);
}

async function endProcess(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.disconnect();
  await gone;
}
