// The file of signatures outside the database: each is a line of its own, whatever a kill or a full
// disk left behind.
import { appendFileSync, readFileSync } from 'node:fs';
import { afterAll, expect, it } from 'vitest';
import { anchorsFile, startCheckpoints } from '../../src/assembly/checkpoints.ts';
import { recordEvent } from '../../src/record/audit.ts';
import { createTelemetry } from '../../src/telemetry/events.ts';
import { silentLogger } from '../../src/telemetry/logger.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';
import { CLERK, openBench } from '../record/open.ts';
import { newFolder, removeFolders } from '../support/engine.ts';

afterAll(removeFolders);

const SELDOM = { intervalMs: 60_000, entriesMax: 10_000 };

it('cuts off a signature that was torn, so that the next one can be read', async () => {
  const { record } = await openBench();
  const dataDir = newFolder();
  const telemetry = createTelemetry(silentLogger(), createMetrics());
  const sign = async () => {
    await recordEvent(record, CLERK, { action: 'config', outcome: 'success' });
    await startCheckpoints({ ...{ record, dataDir, telemetry }, ...SELDOM }).close();
  };
  const read = () => readFileSync(anchorsFile(dataDir), 'utf8').trimEnd().split('\n');
  const seqs = () => read().map((line) => JSON.parse(line).seq);
  await sign();
  await sign();
  expect(seqs()).toEqual([2, 3]);
  appendFileSync(anchorsFile(dataDir), (read()[1] ?? '').slice(0, 100));
  await sign();
  await sign();
  expect(seqs()).toEqual([2, 3, 4, 5]);
});
