// The cluster engine with its roles apart, under every fault that its processes, Redis and MongoDB
// can have. Redis is real, MongoDB is the stand-in, all are processes of their own. More rounds:
// `node test/fault-rounds.ts --engine cluster`.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newFolder, removeFolders } from '../support/engine.ts';
import { WHY_SKIPPED, WITHOUT_REDIS } from '../support/redis.ts';
import { randomFrom } from '../support/store-units.ts';
import { allAtOnce, faultOf } from './catalog.ts';
import { Oracle } from './oracle.ts';
import { openRig, type Rig } from './rig.ts';
import { type FaultRow, runRound } from './round.ts';

const ROUNDS = [
  ...['kill-receive', 'redis-flushed', 'poison', 'primary-steps-down', 'kill-api', 'reply-lost'],
  ...['redis-forgets', 'primary-gone', 'two-owners', 'disk-full', 'kill-anywhere', 'store-slow'],
  ...['redis-stands-still', 'half-open-senders', 'reply-never-comes', 'clock-set-back'],
  ...['redis-killed', 'clock-set-back-in-a-wait', 'worker-stands-still'],
];
/** Each takes long to be noticed: they are waited for together. */
const TOGETHER = ['kill-work', 'kill-all', 'half-open-redis', 'half-open-mongo'];
const HOLD_MS = 1_500;
/** The promise is 30 s, which fault-rounds.ts asserts: here the machine may be slow and busy. */
const RECOVERY_MS_MAX = 150_000;
const seed = Number(process.env.ARTERY_TEST_SEED ?? Date.now() % 1_000_000);

describe.skipIf(WITHOUT_REDIS)(
  `the cluster engine${WHY_SKIPPED} (ARTERY_TEST_SEED=${seed})`,
  { timeout: 300_000 },
  () => {
    const random = randomFrom(seed);
    let number = 0;
    let rig: Rig;
    let oracle: Oracle;
    beforeAll(async () => {
      rig = await openRig({ engine: 'cluster', folder: newFolder() });
      oracle = new Oracle(rig);
    }, 120_000);
    afterAll(async () => {
      await rig?.close();
      removeFolders();
    });

    const round = async (fault: FaultRow) => {
      number += 1;
      const bounds = { holdMs: HOLD_MS, recoveryMsMax: RECOVERY_MS_MAX };
      const report = await runRound(rig, oracle, fault, { number, random, ...bounds });
      expect(report.messages).toBeGreaterThan(10);
    };

    for (const [n, name] of ROUNDS.entries()) {
      it(`loses and doubles nothing, round ${n + 1}: ${name}`, () => round(faultOf(name)));
    }

    it(`loses and doubles nothing: ${TOGETHER.join(', ')} at once`, () =>
      round(allAtOnce(TOGETHER)));

    it('stops when it is told to', async () => {
      const codes = await rig.stop();
      expect(codes).toEqual(codes.map(() => 0));
    });
  },
);
