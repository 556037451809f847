// A short attack with each flood: nothing of a good feed is lost or refused, the server goes on and
// its memory stays bounded. How fast it stays is measured by run.ts.
import { readFileSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import { startChild } from '../support/child.ts';
import { newFolder, removeFolders } from '../support/folder.ts';
import { attack } from './attack.ts';
import { FLOODS } from './floods.ts';

const MEMORY_MIB_MAX = 2_048;

afterAll(removeFolders);

describe('a stranger who floods the server', () => {
  it('loses no message of another sender', { timeout: 300_000 }, async () => {
    const child = startChild(newFolder());
    const ready = await child.ready;
    const notes: string[] = [];
    const report = await attack({
      ...{ mllp: ready.ports['adt-inbound'] ?? 0, http: Number(new URL(ready.url).port) },
      ...{ secret: ready.secret, kinds: Object.keys(FLOODS), msEach: 800 },
      note: (text) => void notes.push(text),
    });
    const said = notes.join('\n');
    expect(report.lost, said).toEqual([]);
    expect(
      report.rows.filter(({ refused }) => refused > 0),
      said,
    ).toEqual([]);
    expect(
      report.rows.filter(({ attempts }) => attempts === 0),
      said,
    ).toEqual([]);
    expect(report.acknowledged).toBeGreaterThan(report.rows.length);
    const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
    const peakMiB = Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1] ?? Number.NaN) / 1_024;
    expect(peakMiB, said).toBeLessThan(MEMORY_MIB_MAX);
    expect(await child.stop()).toBe(0);
  });
});
