// One attacker and one good feed: the feed alone first, then beside each flood, and at the end the
// proof that nothing of the feed was lost and that its order was kept.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Json } from '../support/engine.ts';
import { openGoodFeed } from './good-feed.ts';

export interface AttackOptions {
  mllp: number;
  http: number;
  /** The operator's bearer token. */
  secret: string;
  kinds: readonly string[];
  msEach: number;
  note(text: string): void;
}

export interface AttackRow {
  kind: string;
  attempts: number;
  p50: number;
  p99: number;
  refused: number;
}

export interface AttackReport {
  quiet: AttackRow;
  rows: AttackRow[];
  acknowledged: number;
  /** One line for each patient whose record is not what was acknowledged. */
  lost: string[];
}

const PER_SECOND = 50;
const SETTLE_MS = 120_000;

export async function attack(options: AttackOptions): Promise<AttackReport> {
  const { kinds, msEach, note } = options;
  const feed = await openGoodFeed(options.mllp, PER_SECOND);
  try {
    await feed.run(1_000); // the first ones compile and open
    const quiet = rowOf('quiet', 0, await feed.run(msEach));
    note(lineOf(quiet));
    const rows: AttackRow[] = [];
    for (const kind of kinds) {
      const flood = startFlood(kind, options);
      const measured = await feed.run(msEach);
      rows.push(rowOf(kind, await flood, measured));
      note(lineOf(rows.at(-1) as AttackRow));
    }
    const known = feed.acknowledged();
    const acknowledged = [...known.values()].reduce((sum, { count }) => sum + count, 0);
    return { quiet, rows, acknowledged, lost: await findLost(known, options) };
  } finally {
    feed.close();
  }
}

async function startFlood(kind: string, { mllp, http, msEach }: AttackOptions): Promise<number> {
  const file = fileURLToPath(new URL('./flood-process.ts', import.meta.url));
  const argv = [file, kind, String(msEach), String(mllp), String(http)];
  const child = spawn(process.execPath, argv, { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  const [code] = await once(child, 'exit');
  if (code !== 0) throw new Error(`the flood ${kind} ended with ${code}`);
  return (JSON.parse(output) as { attempts: number }).attempts;
}

function rowOf(
  kind: string,
  attempts: number,
  { latenciesMs, refused }: { latenciesMs: number[]; refused: number },
): AttackRow {
  const sorted = latenciesMs.toSorted((a, b) => a - b);
  const at = (part: number) => sorted[Math.max(0, Math.ceil(sorted.length * part) - 1)] ?? 0;
  return { kind, attempts, p50: at(0.5), p99: at(0.99), refused };
}

export function lineOf({ kind, attempts, p50, p99, refused }: AttackRow): string {
  const times = `p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms`;
  const tried = `${String(attempts).padStart(8)} attempts`;
  return `${kind.padEnd(34)} ${tried}, ${times}, ${refused} refused`;
}

/** Each patient's newest name, and as many versions as messages, once all are worked off. */
async function findLost(
  known: Map<string, { family: string; count: number }>,
  { http, secret }: AttackOptions,
): Promise<string[]> {
  const get = async (path: string): Promise<Json> => {
    const headers = { authorization: `Bearer ${secret}` };
    return (await fetch(`http://127.0.0.1:${http}${path}`, { headers })).json();
  };
  const lost: string[] = [];
  for (const [pid, { family, count }] of known) {
    const wanted = `${count} versions, ${family}`;
    let found = '';
    for (const end = Date.now() + SETTLE_MS; found !== wanted && Date.now() < end; ) {
      found = await stateOf(pid, get);
      if (found !== wanted) await new Promise((resolve) => setTimeout(resolve, 250));
    }
    if (found !== wanted) lost.push(`${pid}: acknowledged ${wanted}; stored ${found}`);
  }
  return lost;
}

async function stateOf(pid: string, get: (path: string) => Promise<Json>): Promise<string> {
  const bundle = await get(`/fhir/R4/Patient?identifier=${pid}`);
  const patient = bundle.entry?.[0]?.resource;
  if (patient === undefined) return 'nothing';
  return `${patient.meta.versionId} versions, ${patient.name[0].family}`;
}
