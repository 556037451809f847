// Promises 1, 2, 3 and 7: kill -9 at random moments, and every acknowledged message has its effect
// exactly once, in order. `node test/kill-rounds.ts 200` does the same for longer.
import { afterAll, expect, it } from 'vitest';
import { newFolder, removeFolders } from '../support/engine.ts';
import { runKillRounds } from '../support/kill.ts';
import { checkAfterKills } from '../support/kill-check.ts';

afterAll(removeFolders);

const ROUNDS = 20;
const START_MS_MAX = 5_000;
const seed = Number(process.env.ARTERY_TEST_SEED ?? Date.now() % 1_000_000);

it(`survives ${ROUNDS} kills under load (ARTERY_TEST_SEED=${seed})`, {
  timeout: 300_000,
}, async () => {
  const folder = newFolder();
  const run = await runKillRounds({ folder, rounds: ROUNDS, seed, perRound: 25 });
  try {
    const { messages } = await checkAfterKills(run.ready, run, folder);
    expect(messages).toBeGreaterThan(ROUNDS * 10);
    // The promise is 5 s; the median, since a start may share its core with other tests. The
    // longest one is in the summary of kill-rounds.ts.
    const starts = run.startsMs.toSorted((a, b) => a - b);
    expect(starts[Math.floor(starts.length / 2)]).toBeLessThan(START_MS_MAX);
    expect(await run.child.stop()).toBe(0);
  } finally {
    await run.child.kill();
  }
});
