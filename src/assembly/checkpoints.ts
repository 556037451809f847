// Signs the audit chain in an interval and at stop, and keeps a copy of each signature in a file
// outside the database: who cuts off the end of the log must then also forge that file.
import { appendFile, mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { toEngineError } from '../model/errors.ts';
import { checkpointAudit } from '../record/audit.ts';
import type { ClinicalRecord } from '../record/context.ts';
import type { Telemetry } from '../telemetry/events.ts';
import { placesOf } from '../telemetry/fields.ts';

export function anchorsFile(dataDir: string): string {
  return join(dataDir, 'audit', 'anchors.jsonl');
}

interface Options {
  record: ClinicalRecord;
  dataDir: string;
  intervalMs: number;
  telemetry: Telemetry;
}

/** The first signature is made after one interval; `close` makes the last one. */
export function startCheckpoints(options: Options): { close(): Promise<void> } {
  let running: Promise<void> = Promise.resolve();
  const sign = () => {
    running = running.then(() => signTenants(options));
    return running;
  };
  const timer = setInterval(() => void sign(), options.intervalMs);
  return {
    async close() {
      clearInterval(timer);
      await sign();
    },
  };
}

async function signTenants({ record, dataDir, telemetry }: Options): Promise<void> {
  try {
    for (const tenant of await record.store.audit.tenants()) {
      const anchor = await checkpointAudit(record, tenant);
      if (anchor === undefined) continue;
      const file = anchorsFile(dataDir);
      await mkdir(dirname(file), { recursive: true, mode: 0o700 });
      await appendFile(file, `${JSON.stringify(anchor)}\n`, { mode: 0o600, flush: true });
      telemetry.emit('audit.checkpoint', { seq: anchor.seq });
    }
  } catch (thrown) {
    const error = toEngineError(thrown);
    const places = placesOf(error.cause ?? error);
    telemetry.emit('task.failed', { code: error.code, places });
  }
}
