// Signs the audit chain in an interval and at stop, and keeps a copy of each signature in a file
// outside the database: who cuts off the end of the log must then also forge that file.
import { type FileHandle, mkdir, open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { toEngineError } from '../model/errors.ts';
import { checkpointAudit, countUnsigned } from '../record/audit.ts';
import type { ClinicalRecord } from '../record/context.ts';
import type { Telemetry } from '../telemetry/events.ts';
import { placesOf } from '../telemetry/fields.ts';
import type { AnchorDelivery } from './anchor-delivery.ts';

export function anchorsFile(dataDir: string): string {
  return join(dataDir, 'audit', 'anchors.jsonl');
}

/** How long a stop waits for the last signature to be sent on. */
const CLOSE_WAIT_MS = 3_000;

interface Options {
  record: ClinicalRecord;
  dataDir: string;
  intervalMs: number;
  /** So many entries without a signature are signed before the interval is over. */
  entriesMax: number;
  telemetry: Telemetry;
  /** Sends the signatures on to other places. */
  delivery?: AnchorDelivery;
}

/** The first signature is made after one interval; `close` makes the last one. */
export function startCheckpoints(options: Options): { close(): Promise<void> } {
  let running: Promise<void> = Promise.resolve();
  let delivering: Promise<void> = Promise.resolve();
  const sign = () => {
    running = running.then(() => signTenants(options));
    // Never waited for by the next signature: a destination may be slow.
    delivering = running.then(() => options.delivery?.deliver());
    return running;
  };
  const timer = setInterval(() => void sign(), options.intervalMs);
  const look = async () => {
    if (await isDue(options)) await sign();
  };
  const looks = setInterval(() => void look(), LOOK_MS);
  return {
    async close() {
      clearInterval(timer);
      clearInterval(looks);
      await sign();
      // What is not sent by then is sent after the next start.
      await Promise.race([delivering, sleep(CLOSE_WAIT_MS, undefined, { ref: false })]);
    },
  };
}

const LOOK_MS = 1_000;

async function isDue({ record, entriesMax, telemetry }: Options): Promise<boolean> {
  try {
    for (const tenant of await record.store.audit.tenants()) {
      if ((await countUnsigned(record, tenant)) >= entriesMax) return true;
    }
  } catch (thrown) {
    telemetry.emit('task.failed', { code: toEngineError(thrown).code, places: placesOf(thrown) });
  }
  return false;
}

async function signTenants({ record, dataDir, telemetry }: Options): Promise<void> {
  try {
    for (const tenant of await record.store.audit.tenants()) {
      const anchor = await checkpointAudit(record, tenant);
      if (anchor === undefined) continue;
      const file = anchorsFile(dataDir);
      await mkdir(dirname(file), { recursive: true, mode: 0o700 });
      await appendLine(file, JSON.stringify(anchor));
      telemetry.emit('audit.checkpoint', { seq: anchor.seq });
    }
  } catch (thrown) {
    const error = toEngineError(thrown);
    const places = placesOf(error.cause ?? error);
    telemetry.emit('task.failed', { code: error.code, places });
  }
}

/** Longest line; one that is longer was not written here. */
const LINE_BYTES_MAX = 8 * 1024;

/** A kill or a full disk may have torn the last line: it is cut off, or this one would join it. */
async function appendLine(path: string, line: string): Promise<void> {
  const file = await open(path, 'a+', 0o600);
  try {
    const { size } = await file.stat();
    const torn = await tornBytes(file, size);
    if (torn > 0) await file.truncate(size - torn);
    await file.appendFile(`${line}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function tornBytes(file: FileHandle, size: number): Promise<number> {
  const tail = Buffer.alloc(Math.min(size, LINE_BYTES_MAX));
  await file.read(tail, 0, tail.length, size - tail.length);
  return tail.length - 1 - tail.lastIndexOf('\n');
}
