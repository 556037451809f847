// `node test/kill-rounds.ts [rounds]`: kills a loaded server that often (default 200), then checks
// that every acknowledged message had its effect exactly once. ARTERY_TEST_SEED replays a run.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runKillRounds } from './support/kill.ts';
import { checkAfterKills } from './support/kill-check.ts';

const START_MS_MAX = 5_000;

async function main(): Promise<void> {
  const rounds = Number(process.argv[2] ?? 200);
  const seed = Number(process.env.ARTERY_TEST_SEED ?? Date.now() % 1_000_000);
  const folder = mkdtempSync(join(tmpdir(), 'artery-kill-'));
  const print = (text: string) => process.stdout.write(`${text}\n`);
  print(`kill-rounds: seed ${seed}, ${rounds} rounds, data in ${folder}`);
  const run = await runKillRounds({ folder, rounds, seed, perRound: 40, note: print });
  try {
    const { messages, audited } = await checkAfterKills(run.ready, run, folder);
    const starts = run.startsMs.toSorted((a, b) => a - b);
    const median = starts[Math.floor(starts.length / 2)];
    const { starting, loaded, draining } = run.kills;
    const kills = starting + loaded + draining;
    print(
      [
        `kill-rounds: ok, seed ${seed}: ${kills} kills (${loaded} under load`,
        `${draining} draining, ${starting} starting), ${messages} messages`,
        `${run.resent} sent again, ${audited} audit entries verified`,
        `start ${median} ms median, ${starts.at(-1)} ms longest`,
      ].join(', '),
    );
    if ((starts.at(-1) ?? 0) >= START_MS_MAX) {
      print(`kill-rounds: a start took ${START_MS_MAX} ms or more`);
      process.exitCode = 1;
    }
    rmSync(folder, { recursive: true, force: true });
  } finally {
    await run.child.kill();
  }
}

await main();
