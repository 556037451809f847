// A sample of the fuzz run; `node test/fuzz/run.ts` is the long form. ARTERY_TEST_SEED replays one.
import { afterAll, describe, expect, it } from 'vitest';
import { newFolder, removeFolders } from '../support/folder.ts';
import { fuzz, TARGETS } from './fuzz.ts';

const seed = Number(process.env.ARTERY_TEST_SEED ?? Date.now() % 1_000_000);
const MS_EACH = 5_000;

afterAll(removeFolders);

describe('mutated input', () => {
  it(`is always answered, seed ${seed}`, { timeout: 180_000 }, async () => {
    const notes: string[] = [];
    const note = (text: string) => void notes.push(text);
    const options = { folder: newFolder(), seed, targets: TARGETS, msEach: MS_EACH, note };
    const { faults, counts } = await fuzz(options);
    expect(faults, notes.join('\n')).toEqual([]);
    for (const target of TARGETS) expect(counts[target], target).toBeGreaterThan(10);
  });
});
