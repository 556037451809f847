// The embedded engine under every fault that it can meet: promises 1, 2, 3, 4 and 7. More rounds:
// `node test/fault-rounds.ts --engine embedded`.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newFolder, removeFolders } from '../support/engine.ts';
import { randomFrom } from '../support/store-units.ts';
import { faultOf } from './catalog.ts';
import { mountSmallDisk } from './disk.ts';
import { Oracle } from './oracle.ts';
import { openRig, type Rig } from './rig.ts';
import { runRound } from './round.ts';

const ROUNDS = [
  ...['kill-all', 'poison', 'kill-all', 'half-open-senders', 'kill-anywhere', 'two-owners'],
  ...['kill-all', 'store-slow', 'clock-set-back', 'kill-anywhere', 'kill-all', 'poison'],
  ...['clock-set-back-in-a-wait', 'kill-all', 'two-owners', 'kill-anywhere', 'kill-all'],
  ...['half-open-senders', 'kill-anywhere'],
];
/** Megabytes. */
const DISK = 128;
const HOLD_MS = 1_500;
/** The promise is 30 s, which fault-rounds.ts asserts: here the machine may be slow and busy. */
const RECOVERY_MS_MAX = 150_000;
const seed = Number(process.env.ARTERY_TEST_SEED ?? Date.now() % 1_000_000);

describe(`the embedded engine (ARTERY_TEST_SEED=${seed})`, { timeout: 300_000 }, () => {
  const disk = mountSmallDisk(DISK);
  const random = randomFrom(seed);
  let number = 0;
  let rig: Rig;
  let oracle: Oracle;
  beforeAll(async () => {
    rig = await openRig({ engine: 'embedded', folder: disk?.folder ?? newFolder() });
    oracle = new Oracle(rig);
  });
  afterAll(async () => {
    await rig?.close();
    disk?.remove();
    removeFolders();
  });

  const round = async (name: string) => {
    number += 1;
    const bounds = { holdMs: HOLD_MS, recoveryMsMax: RECOVERY_MS_MAX };
    const report = await runRound(rig, oracle, faultOf(name), { number, random, ...bounds });
    expect(report.messages).toBeGreaterThan(10);
  };

  for (const [n, name] of ROUNDS.entries()) {
    it(`loses and doubles nothing, round ${n + 1}: ${name}`, () => round(name));
  }

  const why = disk === undefined ? ' (skipped: no tmpfs may be mounted here)' : '';
  it.skipIf(disk === undefined)(`loses and doubles nothing: disk-full${why}`, () =>
    round('disk-full'),
  );

  it('stops when it is told to', async () => {
    expect(await rig.stop()).toEqual([0]);
  });
});
