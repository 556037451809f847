// The reads' audit: whatever commits fail, of whichever tenants, each entry is written once.
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { EngineError } from '../../src/model/errors.ts';
import { Trail } from '../../src/record/trail.ts';
import type { Unit } from '../../src/store/port.ts';

const TENANTS = ['a', 'b', 'c'];

/** Takes or refuses commits as the flags say, in turn; what is taken is in `written`. */
function flakyStore(fails: (tenant: string) => boolean) {
  const written: string[] = [];
  return {
    written,
    async commit(unit: Unit) {
      await Promise.resolve();
      if (fails(unit.tenant)) throw new EngineError('STORE_UNAVAILABLE');
      for (const { entry } of unit.audit ?? []) written.push(`${unit.tenant} ${entry}`);
      return { intakeSeqs: [], auditSeq: 1 };
    },
  };
}

async function settled(trail: Trail): Promise<void> {
  for (let round = 0; round < 200; round++) {
    const done = await trail.settle().then(
      () => true,
      () => false,
    );
    if (done) return;
  }
  throw new Error('the entries are never taken');
}

it('writes each entry once, whichever commits of whichever tenants fail', async () => {
  const step = fc.record({
    tenant: fc.constantFrom(...TENANTS),
    pause: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 40 }),
      fc.array(fc.boolean(), { minLength: 1, maxLength: 60 }),
      fc.integer({ min: 1, max: 5 }),
      async (steps, faults, backlogMax) => {
        let commits = 0;
        const store = flakyStore(() => faults[commits++] ?? false);
        const trail = new Trail(store, () => 1, backlogMax);
        const shown: string[] = [];
        for (const [n, { tenant, pause }] of steps.entries()) {
          const taken = await trail
            .note(tenant, { action: 'read', outcome: 'success', who: `reader ${n}` })
            .then(
              () => true,
              () => false,
            );
          if (taken) shown.push(`${tenant} reader ${n}`);
          if (pause) await new Promise((resolve) => setImmediate(resolve));
        }
        await settled(trail);
        const found = store.written.map((line) =>
          line.replace(/^(\w+) .*(reader \d+).*$/, '$1 $2'),
        );
        expect(found.sort()).toEqual(shown.sort());
      },
    ),
    { numRuns: 300 },
  );
});

it('lets a tenant read whose commits succeed while those of another fail', async () => {
  const store = flakyStore((tenant) => tenant === 'a');
  const trail = new Trail(store, () => 1, 1);
  const entry = { action: 'read', outcome: 'success', who: 'reader' } as const;
  await trail.note('a', entry);
  await new Promise((resolve) => setImmediate(resolve));
  await expect(trail.note('a', entry)).rejects.toThrow(/nothing is shown/);
  for (let n = 0; n < 5; n++) await trail.note('b', entry);
  await expect(trail.settle()).rejects.toThrow(/nothing is shown/);
  expect(store.written).toHaveLength(5);
});
