// Many messages of many patients through a cluster with many workers, some of which are killed at
// random moments. Run by test/fault-rounds.ts --messages.
import { pause } from '../support/child.ts';
import { Feed } from './feed.ts';
import { Oracle } from './oracle.ts';
import type { Rig } from './rig.ts';
import { settled } from './round.ts';

export interface LongRun {
  messages: number;
  patients: number;
  kills: number;
  random(): number;
  note(text: string): void;
}

const NOTE_EVERY_MS = 20_000;
const ANSWER_MS_MAX = 120_000;

/** Answers a sentence; throws what the oracle finds. */
export async function runLong(rig: Rig, options: LongRun): Promise<string> {
  const { messages, patients, kills, random, note } = options;
  const perPatient = Math.round(messages / patients);
  const begun = performance.now();
  const seconds = () => Math.round((performance.now() - begun) / 1_000);
  const feed = new Feed(rig, {
    ...{ prefix: 'M', random, depth: 3, restMs: 0, answerMsMax: ANSWER_MS_MAX },
    ...{ patients: [patients, 0], connections: [16, 0], perPatient },
  });
  const tell = async () => {
    const counts = await rig.cluster.mongo.standIn?.counts();
    const names = ['commitTransaction', 'abortTransaction', 'killSessions'];
    const commands = names.map((name) => `, ${counts?.[name] ?? 0} ${name}`);
    note(`${seconds()} s: ${feed.acked} acknowledged${counts ? commands.join('') : ''}`);
  };
  const timer = setInterval(() => void tell(), NOTE_EVERY_MS);
  try {
    for (let n = 0; n < kills; n += 1) {
      const share = (n + 0.1 + 0.8 * random()) / kills;
      while (feed.acked < messages * share) await pause(20);
      const workers = rig.playing('work').filter(({ now }) => now !== undefined);
      const victim = workers[Math.floor(random() * workers.length)];
      if (victim === undefined) throw new Error('no worker is left');
      victim.doomed = true;
      await victim.child.kill();
      note(`${seconds()} s: ${victim.name} was killed at ${feed.acked} messages`);
    }
    await feed.progress(perPatient);
    note(`${seconds()} s: all acknowledged`);
    await feed.finish();
    await settled(rig);
    note(`${seconds()} s: all worked off`);
  } finally {
    clearInterval(timer);
  }
  const { entries } = await new Oracle(rig).check(feed);
  const resent = `${feed.resent} sent again, ${feed.refused.length} refusals`;
  return `${feed.acked} messages of ${patients} patients, ${resent}, ${entries} audit entries`;
}
