// Promises 1, 2, 3 and 7: kill -9 at random moments, and every acknowledged message has its effect
// exactly once, in order. `node test/kill-rounds.ts 200` does the same for longer, and sees to it
// that each start takes less than 5 s.
import { afterAll, expect, it } from 'vitest';
import { newFolder, removeFolders } from '../support/engine.ts';
import { runKillRounds } from '../support/kill.ts';
import { checkAfterKills } from '../support/kill-check.ts';

afterAll(removeFolders);

const ROUNDS = 20;
const seed = Number(process.env.ARTERY_TEST_SEED ?? Date.now() % 1_000_000);

it(`survives ${ROUNDS} kills under load (ARTERY_TEST_SEED=${seed})`, {
  timeout: 300_000,
}, async () => {
  const folder = newFolder();
  const run = await runKillRounds({ folder, rounds: ROUNDS, seed, perRound: 25 });
  try {
    const { messages } = await checkAfterKills(run.ready, run, folder);
    expect(messages).toBeGreaterThan(ROUNDS * 10);
    expect(await run.child.stop()).toBe(0);
  } finally {
    await run.child.kill();
  }
});
