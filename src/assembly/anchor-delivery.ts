// Sends signatures of the audit log on to other places. The file of anchors is the spool: for each
// destination a position in it is kept, so that one that is away gets all lines when it is back.
import { open, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { EngineError } from '../model/errors.ts';
import type { Telemetry } from '../telemetry/events.ts';
import { placesOf } from '../telemetry/fields.ts';
import type { AnchorDestination } from './anchor-destinations.ts';

interface Options {
  dataDir: string;
  destinations: readonly AnchorDestination[];
  telemetry: Pick<Telemetry, 'emit'>;
}

export interface AnchorDelivery {
  /** Sends what each destination has not got; one that fails is tried again at the next call. */
  deliver(): Promise<void>;
}

/** Bytes of the spool that are in memory and in one sending. */
const CHUNK_BYTES = 64 * 1024;

/** Bytes of the spool that each destination has, by its id. */
type Positions = Record<string, number>;

export function createAnchorDelivery(options: Options): AnchorDelivery {
  let running: Promise<void> = Promise.resolve();
  return {
    deliver() {
      running = running
        .then(() => deliverAll(options))
        .catch((thrown) => {
          const code = codeOf(thrown);
          options.telemetry.emit('task.failed', { code, places: placesOf(thrown) });
        });
      return running;
    },
  };
}

async function deliverAll({ dataDir, destinations, telemetry }: Options): Promise<void> {
  if (destinations.length === 0) return;
  const positions = await readPositions(dataDir);
  for (const [place, destination] of destinations.entries()) {
    try {
      await deliverTo(dataDir, destination, positions);
    } catch (thrown) {
      const code = codeOf(thrown);
      telemetry.emit('anchor.failed', { destination: place + 1, code, places: placesOf(thrown) });
    }
  }
}

async function deliverTo(
  dataDir: string,
  destination: AnchorDestination,
  positions: Positions,
): Promise<void> {
  const key = destination.id;
  for (;;) {
    const chunk = await readChunk(dataDir, positions[key] ?? 0);
    if (chunk === undefined) return;
    await destination.send(chunk.lines);
    positions[key] = chunk.end;
    await writePositions(dataDir, positions);
  }
}

/** Whole lines behind `from`; undefined = there are none. From the start where the file is new. */
async function readChunk(
  dataDir: string,
  from: number,
): Promise<{ lines: string[]; end: number } | undefined> {
  const file = await openSpool(dataDir);
  if (file === undefined) return undefined;
  try {
    const { size } = await file.stat();
    const start = from > size ? 0 : from;
    const buffer = Buffer.alloc(Math.min(CHUNK_BYTES, size - start));
    const { bytesRead } = await file.read(buffer, 0, buffer.length, start);
    const whole = buffer.subarray(0, bytesRead).lastIndexOf('\n') + 1;
    if (whole === 0) return undefined;
    const lines = buffer.toString('utf8', 0, whole - 1).split('\n');
    return { lines, end: start + whole };
  } finally {
    await file.close();
  }
}

async function openSpool(dataDir: string) {
  try {
    return await open(join(dataDir, 'audit', 'anchors.jsonl'), 'r');
  } catch (thrown) {
    if (codeOf(thrown) === 'ENOENT') return undefined;
    throw thrown;
  }
}

function positionsFile(dataDir: string): string {
  return join(dataDir, 'audit', 'anchors.sent.json');
}

/** A file that is not there, or torn, sends all lines again: no destination minds. */
async function readPositions(dataDir: string): Promise<Positions> {
  const positions: Positions = Object.create(null);
  try {
    const parsed: unknown = JSON.parse(await readFile(positionsFile(dataDir), 'utf8'));
    for (const [key, value] of Object.entries(parsed ?? {})) {
      if (Number.isSafeInteger(value) && Number(value) >= 0) positions[key] = Number(value);
    }
  } catch (thrown) {
    if (codeOf(thrown) !== 'ENOENT' && !(thrown instanceof SyntaxError)) throw thrown;
  }
  return positions;
}

async function writePositions(dataDir: string, positions: Positions): Promise<void> {
  const path = positionsFile(dataDir);
  await writeFile(`${path}.new`, JSON.stringify(positions), { mode: 0o600, flush: true });
  await rename(`${path}.new`, path);
}

function codeOf(thrown: unknown): string {
  if (thrown instanceof EngineError) return thrown.code;
  const { code, cause } = thrown as { code?: unknown; cause?: { code?: unknown } };
  const found = code ?? cause?.code;
  return typeof found === 'string' ? found : 'PEER_UNAVAILABLE';
}
