// A cluster with its roles apart, struck by one fault after the other, on the MongoDB stand-in or
// on a real server. Redis is real, all are processes of their own. Which faults: who calls it.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newFolder, removeFolders } from '../support/engine.ts';
import { WHY_SKIPPED, WITHOUT_REDIS } from '../support/redis.ts';
import { randomFrom } from '../support/store-units.ts';
import { Oracle } from './oracle.ts';
import { openRig, type Rig } from './rig.ts';
import { type FaultRow, runRound } from './round.ts';

const HOLD_MS = 1_500;
/** The promise is 30 s, which fault-rounds.ts asserts: here the machine may be slow and busy. */
const RECOVERY_MS_MAX = 150_000;
const OPEN_MS_MAX = 120_000;
const seed = Number(process.env.ARTERY_TEST_SEED ?? Date.now() % 1_000_000);

export function clusterSuite(name: string, rounds: FaultRow[], mongoUrl?: string): void {
  const title = `${name}${WHY_SKIPPED} (ARTERY_TEST_SEED=${seed})`;
  describe.skipIf(WITHOUT_REDIS)(title, { timeout: 300_000 }, () => {
    const random = randomFrom(seed);
    let rig: Rig;
    let oracle: Oracle;
    beforeAll(async () => {
      const server = mongoUrl === undefined ? {} : { mongoUrl };
      rig = await openRig({ engine: 'cluster', folder: newFolder(), ...server });
      oracle = new Oracle(rig);
    }, OPEN_MS_MAX);
    afterAll(async () => {
      await rig?.close();
      removeFolders();
    }, OPEN_MS_MAX);

    for (const [n, fault] of rounds.entries()) {
      it(`loses and doubles nothing, round ${n + 1}: ${fault.name}`, async () => {
        const bounds = { holdMs: HOLD_MS, recoveryMsMax: RECOVERY_MS_MAX };
        const report = await runRound(rig, oracle, fault, { number: n + 1, random, ...bounds });
        expect(report.messages).toBeGreaterThan(10);
      });
    }

    it('stops when it is told to', async () => {
      const codes = await rig.stop();
      expect(codes).toEqual(codes.map(() => 0));
    });
  });
}
