// Promises 2, 4 and 6: what a fault of the engine, of its store or of its queue looks like to one
// message. That nothing is lost or doubled by any of them is test/faults/.
import { afterAll, expect, it } from 'vitest';
import { EngineError } from '../../src/model/errors.ts';
import { openTestEngine, removeFolders } from '../support/engine.ts';
import { type FlowBench, openFlowBench, type Pipeline } from '../support/flow-bench.ts';
import { adt, oru } from '../support/messages.ts';

afterAll(removeFolders);

/** The pipeline, but for messages whose bytes hold `mark`. */
function poisoned(mark: string, fault: () => Error): (run: Pipeline) => Pipeline {
  return (run) => (input) => {
    if (Buffer.from(input.raw).includes(mark)) throw fault();
    return run(input);
  };
}

async function countOf(bench: FlowBench, type: string): Promise<number> {
  const counts = await bench.store.resources.counts('default');
  return counts.find((row) => row.type === type)?.count ?? 0;
}

it('sets a message aside that no attempt can process, and goes on behind it', async () => {
  const pipeline = poisoned('Poison', () => new TypeError('a fault of the test'));
  const bench = await openFlowBench({ workers: 1, attempts: 3, pipeline });
  await bench.send(adt({ pid: 'F1', family: 'Before' }));
  await bench.send(adt({ pid: 'F1', family: 'Poison', event: 'A08' }));
  await bench.send(adt({ pid: 'F1', family: 'Behind', event: 'A08' }));
  await bench.ended(3);
  expect(bench.finished.map(({ state }) => state)).toEqual(['processed', 'set-aside', 'processed']);
  const [issue] = bench.finished[1]?.issues ?? [];
  // Where it broke, and not what it said: that might quote the message.
  expect(issue?.text).toMatch(/^INTERNAL: .*TypeError.*faults\.test\.ts:\d+/);
  expect(issue?.text).not.toContain('a fault of the test');
  expect(bench.events.filter((name) => name === 'message.retried')).toHaveLength(2);
  expect(await countOf(bench, 'Provenance')).toBe(2);
  await bench.close();
});

it('does not blame a message for a store that does not answer', async () => {
  let refusals = 2;
  const bench = await openFlowBench({
    workers: 1,
    attempts: 1,
    commit: (next) => async (unit) => {
      if (unit.transitions !== undefined && refusals-- > 0)
        throw new EngineError('STORE_UNAVAILABLE');
      return next(unit);
    },
  });
  await bench.send(adt({ pid: 'F2' }));
  await bench.ended(1);
  expect(bench.finished).toMatchObject([{ state: 'processed' }]);
  expect(bench.events.filter((name) => name === 'store.commit-failed')).toHaveLength(2);
  await bench.close();
});

it('finds the work of a queue that lost every wake-up', async () => {
  const bench = await openFlowBench({ workers: 1, deaf: true });
  for (let n = 0; n < 5; n += 1) await bench.send(adt({ pid: `F3-${n}` }));
  await bench.ended(5);
  expect(await countOf(bench, 'Patient')).toBe(5);
  await bench.close();
});

it('makes the same resources, byte for byte, of the same messages in another engine', async () => {
  const texts = [
    adt({ pid: 'SAME', rest: 'AL1|1|DA|70618^Penicillin^RXNORM' }),
    adt({ pid: 'TWO' }),
  ];
  const results = [oru({ pid: 'SAME' })];
  const made: string[] = [];
  for (const order of [texts, texts.toReversed()]) {
    const engine = await openTestEngine();
    await engine.send('adt-inbound', ...order);
    await engine.settle();
    await engine.send('lab-inbound', ...results);
    await engine.settle();
    const types = ['Patient', 'Encounter', 'AllergyIntolerance', 'Observation', 'ServiceRequest'];
    const found = types.map(async (type) => {
      const { entry } = await engine.get(`/fhir/R4/${type}?_sort=_id&_count=100`);
      expect(entry.length).toBeGreaterThan(0);
      return entry.map(({ resource }: { resource: { meta: object } }) => {
        return { ...resource, meta: { ...resource.meta, lastUpdated: '' } };
      });
    });
    made.push(JSON.stringify(await Promise.all(found)));
    await engine.stop();
  }
  expect(made[1]).toBe(made[0]);
});
