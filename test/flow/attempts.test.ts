// What counting attempts in the store costs, and that it outlives a run: only messages in suspicion
// and those that failed are counted, and only the former are worked on alone.
import { expect, it } from 'vitest';
import type { WorkOptions } from '../../src/flow/desk.ts';
import { openGate } from '../../src/flow/gate.ts';
import { startWork } from '../../src/flow/work.ts';
import { EngineError } from '../../src/model/errors.ts';
import { openLocalQueue } from '../../src/queue/local.ts';
import { listMessages } from '../../src/record/message.ts';
import type { Unit } from '../../src/store/port.ts';
import { until } from '../contract/queue.ts';
import {
  ADT_CHANNEL,
  type Commit,
  type FlowBench,
  openFlowBench,
  type Pipeline,
} from '../support/flow-bench.ts';
import { adt } from '../support/messages.ts';
import { randomFrom } from '../support/store-units.ts';

interface Given {
  crashed?: boolean;
  attempts?: number;
  commit?(next: Commit): Commit;
  pipeline?: Pipeline;
}

/** A worker over the bench's store, with every unit that it committed. */
function startWorker(bench: FlowBench, given: Given) {
  const units: Unit[] = [];
  const next = given.commit?.((unit) => bench.store.commit(unit)) ?? bench.store.commit;
  const commit: Commit = (unit) => {
    units.push(unit);
    return next(unit);
  };
  const retry = { ...ADT_CHANNEL.retry, attempts: given.attempts ?? 8 };
  const channel = { ...ADT_CHANNEL, retry };
  const options: WorkOptions = {
    record: { ...bench.record, store: { ...bench.store, commit } },
    queue: openLocalQueue({ waitingMax: 10_000 }),
    telemetry: bench.telemetry,
    channel: () => channel,
    pipeline: given.pipeline ?? bench.pipeline,
    finished: (result) => bench.finished.push(result),
    ...(given.crashed !== undefined && { crashed: given.crashed }),
    limits: { workConcurrency: 8, sweepIntervalMs: 60_000, inboxMax: 4 },
  };
  return { work: startWork(options), units };
}

function countedIn(units: Unit[]): number {
  return units.filter(({ transitions }) => transitions?.[0]?.to === 'received').length;
}

async function attemptsIn(bench: FlowBench): Promise<number[]> {
  const rows = await listMessages(bench.record, 'default', { state: 'processed' }, 1_000);
  return rows.map(({ attempts }) => attempts);
}

async function benchWith(keys: number, each: number): Promise<FlowBench> {
  const bench = await openFlowBench({ workers: 0 });
  for (let n = 0; n < each; n += 1) {
    for (let key = 0; key < keys; key += 1) {
      await bench.send(adt({ pid: `A${key}`, family: `Name${n}`, event: 'A08' }));
    }
  }
  return bench;
}

it.each([
  { crashed: false, extra: 0 },
  { crashed: true, extra: 20 },
])('costs $extra commits for 60 messages of 20 keys (crashed: $crashed)', async (row) => {
  const bench = await benchWith(20, 3);
  const { work, units } = startWorker(bench, row);
  await bench.ended(60);
  // What arrives from now on is no cause of the last run's end.
  for (let key = 0; key < 20; key += 1) await bench.send(adt({ pid: `A${key}`, event: 'A08' }));
  await work.sweep();
  await bench.ended(80);
  expect(countedIn(units)).toBe(row.extra);
  expect(await attemptsIn(bench)).toEqual(Array(80).fill(1));
  await work.close();
  await bench.close();
});

it('goes on counting where the last run stopped', async () => {
  const bench = await benchWith(1, 2);
  let calls = 0;
  const pipeline: Pipeline = (input) => {
    if (!Buffer.from(input.raw).includes('Name0')) return bench.pipeline(input);
    calls += 1;
    throw new EngineError('PEER_UNAVAILABLE');
  };
  for (const target of [2, 4]) {
    const { work } = startWorker(bench, { attempts: 6, pipeline });
    await until(() => calls >= target);
    await work.close();
  }
  const soFar = calls;
  const { work, units } = startWorker(bench, { attempts: 6, pipeline });
  await bench.ended(2);
  expect(calls).toBe(6);
  // The last one is not counted but is the end.
  expect(countedIn(units)).toBe(6 - soFar - 1);
  expect(bench.finished).toMatchObject([{ state: 'set-aside' }, { state: 'processed' }]);
  const [row] = await listMessages(bench.record, 'default', { state: 'set-aside' }, 1);
  expect(row?.attempts).toBe(6);
  await work.close();
  await bench.close();
});

it('counts an attempt once that the store did not let come to its end', async () => {
  const bench = await benchWith(1, 1);
  let refusals = 1;
  const commit = (next: Commit): Commit => {
    return async (unit) => {
      const isEnd = unit.transitions?.[0]?.to === 'processed';
      if (isEnd && refusals-- > 0) throw new EngineError('STORE_UNAVAILABLE');
      return next(unit);
    };
  };
  const { work, units } = startWorker(bench, { crashed: true, commit });
  await bench.ended(1);
  expect(countedIn(units)).toBe(1);
  expect(await attemptsIn(bench)).toEqual([1]);
  await work.close();
  await bench.close();
});

it('waits with the first drain until the store can say what waited', async () => {
  const bench = await benchWith(3, 1);
  let asked = 0;
  const store = { ...bench.store };
  store.intake = {
    ...bench.store.intake,
    async waiting(...given) {
      asked += 1;
      if (asked === 1) throw new EngineError('STORE_UNAVAILABLE');
      return bench.store.intake.waiting(...given);
    },
  };
  const over = { ...bench, store };
  const { work, units } = startWorker(over, { crashed: true });
  await bench.ended(3);
  expect(countedIn(units)).toBe(3);
  await work.close();
  await bench.close();
});

const seed = Number(process.env.ARTERY_TEST_SEED ?? Date.now() % 1_000_000);

it(`lets nobody in beside one who is alone, and everybody in (seed ${seed})`, async () => {
  const random = randomFrom(seed);
  const gate = openGate();
  const inside = { together: 0, alone: 0 };
  let [broken, most, done] = [0, 0, 0];
  const pass = async () => {
    const alone = random() < 0.1;
    const leave = await gate.enter(alone);
    inside[alone ? 'alone' : 'together'] += 1;
    most = Math.max(most, inside.together);
    if (inside.alone > 1 || (inside.alone === 1 && inside.together > 0)) broken += 1;
    for (let turns = random() * 4; turns > 0; turns -= 1) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    inside[alone ? 'alone' : 'together'] -= 1;
    leave();
    done += 1;
  };
  const visitor = async () => {
    for (let n = 0; n < 50; n += 1) await pass();
  };
  await Promise.all(Array.from({ length: 12 }, visitor));
  expect({ broken, done }).toEqual({ broken: 0, done: 600 });
  expect(most).toBeGreaterThan(1);
});
