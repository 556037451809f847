// Promise 3: messages of one patient are applied in arrival order, different patients in parallel.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { resourceId } from '../../src/crypto/uuid.ts';
import { EngineError } from '../../src/model/errors.ts';
import type { Principal } from '../../src/model/principal.ts';
import { readHistory } from '../../src/record/read.ts';
import { connectMllp } from '../../src/source/mllp-client.ts';
import { codeOf, familiesOf, portOf, sendAtOnce } from '../support/burst.ts';
import { type Json, openTestEngine, removeFolders, type TestEngine } from '../support/engine.ts';
import { type Commit, type FlowBench, openFlowBench } from '../support/flow-bench.ts';
import { adt } from '../support/messages.ts';
import { randomFrom } from '../support/store-units.ts';

const seed = Number(process.env.ARTERY_TEST_SEED ?? Date.now() % 1_000_000);

afterAll(removeFolders);

function namesUpTo(count: number): string[] {
  return Array.from({ length: count }, (_, n) => `Family${String(n).padStart(2, '0')}`);
}

describe('on one connection', () => {
  let engine: TestEngine;
  beforeAll(async () => {
    engine = await openTestEngine();
  });
  afterAll(() => engine.stop());

  it('keeps the order of patients nobody knew, sent at once', async () => {
    const port = await portOf(engine, 'adt-inbound');
    const pids = ['NEW0', 'NEW1', 'NEW2', 'NEW3'];
    const families = namesUpTo(15);
    for (const pid of pids) {
      const messages = families.map((family) => adt({ pid, family, event: 'A08' }));
      const answers = await sendAtOnce(port, messages);
      expect(answers.map(codeOf)).toEqual(families.map(() => 'AA'));
    }
    await engine.settle();
    for (const pid of pids) expect(await familiesOf(engine, pid), pid).toEqual(families);
  });

  // The first message makes the patient's key: those that race it for the key are tried again, and
  // what arrives meanwhile must not overtake them.
  it('keeps the order of patients nobody knew, sent in a steady stream', async () => {
    const port = await portOf(engine, 'adt-inbound');
    const pids = Array.from({ length: 12 }, (_, n) => `STREAM${n}`);
    const families = namesUpTo(60);
    const client = await connectMllp({ host: '127.0.0.1', port });
    for (const pid of pids) {
      const sent: Promise<unknown>[] = [];
      for (const family of families) {
        const text = adt({ pid, family, event: 'A08' });
        sent.push(client.send(Buffer.from(text.replaceAll('\n', '\r'))));
        if (sent.length % 3 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
      await Promise.all(sent);
    }
    await client.close();
    await engine.settle();
    for (const pid of pids) expect(await familiesOf(engine, pid), pid).toEqual(families);
  });
});

describe('over 32 connections', () => {
  it('keeps the order of every patient while workers race and commits fail', async () => {
    const random = randomFrom(seed);
    const bench = await openFlowBench({ workers: 2, commit: (next) => failing(next, random) });
    const pids = Array.from({ length: 32 }, (_, n) => `P${n}`);
    const families = namesUpTo(12);
    const feed = async (pid: string) => {
      for (const family of families) {
        expect(await bench.send(adt({ pid, family, event: 'A08' }))).toBe('AA');
      }
    };
    await Promise.all(pids.map(feed));
    await bench.ended(pids.length * families.length);
    for (const pid of pids) expect(await historyOf(bench, pid), `seed ${seed}`).toEqual(families);
    expect(bench.finished.filter(({ state }) => state !== 'processed')).toEqual([]);
    expect(bench.events).toContain('message.retried');
    const [provenances] = (await bench.store.resources.counts('default')).filter(
      ({ type }) => type === 'Provenance',
    );
    expect(provenances?.count).toBe(pids.length * families.length);
    await bench.close();
  });

  it('works on other patients while one waits to be tried again', async () => {
    // A message whose commit lost a race is mapped again: each counts once.
    const done = new Set<string>();
    const bench = await openFlowBench({
      workers: 1,
      pipeline: (run) => (input) => {
        const isSlow = input.envelope.orderingKey === 'SLOW';
        if (isSlow && done.size < 20) throw new EngineError('PEER_UNAVAILABLE');
        done.add(input.envelope.orderingKey);
        return run(input);
      },
    });
    await bench.send(adt({ pid: 'SLOW' }));
    for (let n = 0; n < 20; n += 1) await bench.send(adt({ pid: `FAST${n}` }));
    await bench.ended(21);
    expect(done.size).toBe(21);
    expect([...done].at(-1)).toBe('SLOW');
    expect(bench.finished.map(({ state }) => state)).toEqual(Array(21).fill('processed'));
    await bench.close();
  });
});

/** A tenth of the commits of messages fail before anything is written, a tenth after all of it. */
function failing(next: Commit, random: () => number): Commit {
  return async (unit) => {
    const dice = unit.transitions === undefined ? 1 : random();
    if (dice < 0.1) throw new EngineError('PEER_UNAVAILABLE', 'Made to fail by the test.');
    const committed = await next(unit);
    if (dice < 0.2) throw new EngineError('PEER_UNAVAILABLE', 'Its answer was lost by the test.');
    return committed;
  };
}

const READER: Principal = { tenant: 'default', id: 'test', scopes: [], peer: '', patient: null };

async function historyOf(bench: FlowBench, pid: string): Promise<string[]> {
  const id = resourceId('default', 'Patient', `urn:oid:1.2.3.4|${pid}`);
  const page = await readHistory(bench.record, READER, { type: 'Patient', id }, { limit: 1_000 });
  return page.entries.map(({ resource }) => (resource as Json).name[0].family).reverse();
}
