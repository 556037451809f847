// From the acknowledgement to the readable resource, at a steady rate: most messages come from the
// load generator, some from here, each of a patient not seen before, who is then asked for.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { resourceId } from '../src/crypto/uuid.ts';
import { connectMllp, type MllpClient } from '../src/source/mllp-client.ts';
import { runLoad, type Server } from './processes.ts';
import { ADT, CONNECTIONS } from './scenarios.ts';

export interface Latency {
  p50: number;
  p99: number;
  samples: number;
  /** Of the samples, those that were not readable after the patience; they count as long as it. */
  unseen: number;
  refused: number;
}

/** Of the messages' PID-3. */
const AUTHORITY = 'urn:oid:1.2.840.114398.1.100';
const SAMPLES_PER_S = 10;
/** Reads load the server too: the pauses between them grow with the time that has passed. */
const PAUSE_MS_MIN = 2;
const PAUSE_SHARE = 0.1;
const PATIENCE_MS = 30_000;

/** `ratePerS` in all. ms; what is seen late is seen late by a tenth at most. */
export async function measureLatency(
  tools: string,
  from: { port: number; reader: Server },
  { ratePerS, seconds }: { ratePerS: number; seconds: number },
): Promise<Latency> {
  const { port, reader } = from;
  const shape = { port, file: ADT, connections: CONNECTIONS, seconds, patients: 1_000 };
  const load = runLoad(tools, { ...shape, ratePerS: ratePerS - SAMPLES_PER_S });
  const text = readFileSync(join(tools, 'messages', ADT), 'latin1').replace(/\r?\n/g, '\r');
  const client = await connectMllp({ host: '127.0.0.1', port });
  const samples: Promise<number>[] = [];
  const run = Date.now().toString(36);
  // The generator warms up first, and so does this.
  await sleep(2_000);
  for (let n = 0; n < seconds * SAMPLES_PER_S; n++) {
    const one = sample(client, reader, text, `S${run}${n}`);
    // It is awaited at the end.
    one.catch(() => undefined);
    samples.push(one);
    await sleep(1_000 / SAMPLES_PER_S);
  }
  const { refused } = await load;
  const times = (await Promise.all(samples)).sort((one, other) => one - other);
  await client.close();
  const at = (share: number) => times[Math.floor(times.length * share)] ?? Number.NaN;
  const unseen = times.filter((ms) => ms >= PATIENCE_MS).length;
  return { p50: at(0.5), p99: at(0.99), samples: times.length, unseen, refused };
}

async function sample(
  client: MllpClient,
  reader: Server,
  text: string,
  name: string,
): Promise<number> {
  const message = text.replaceAll('{{ID}}', name).replaceAll('{{PID}}', name);
  const [answer = new Uint8Array()] = await client.send(Buffer.from(message, 'latin1'));
  const begun = performance.now();
  const acknowledged =
    Buffer.from(answer).includes('MSA|AA') || Buffer.from(answer).includes('|CA|');
  if (!acknowledged) throw new Error('a message of the latency run was refused');
  const id = resourceId('default', 'Patient', `${AUTHORITY}|${name}`);
  for (;;) {
    const status = await reader.read(`/fhir/R4/Patient/${id}`);
    const passed = performance.now() - begun;
    if (status === 200) return passed;
    if (status !== 404) throw new Error(`read answered ${status}`);
    if (passed > PATIENCE_MS) return PATIENCE_MS;
    await sleep(Math.max(PAUSE_MS_MIN, passed * PAUSE_SHARE));
  }
}
