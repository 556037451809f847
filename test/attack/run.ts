// `node test/attack/run.ts [--seconds N] [--only "frame of VT,..."]` starts a server of its own;
// with `--data DIR` it attacks the one that runs on that data folder (only on this machine).
// Exit code 1: something of the good feed was lost, or its p99 rose above three times its quiet
// value. The feed's clock shares the cores with server and flood: FLOOR_MS are always allowed.
import { parseArgs } from 'node:util';
import { readRunFile } from '../../src/config/run-file.ts';
import { startChild } from '../support/child.ts';
import { newFolder, removeFolders } from '../support/folder.ts';
import { attack, lineOf } from './attack.ts';
import { FLOODS } from './floods.ts';

const RATIO_MAX = 3;
/** What a feed alone sees as p99 when another process takes one of two cores. */
const FLOOR_MS = 25;
const print = (text: string) => process.stdout.write(`${text}\n`);

const { values } = parseArgs({
  options: {
    data: { type: 'string' },
    seconds: { type: 'string', default: '6' },
    only: { type: 'string', default: Object.keys(FLOODS).join(',') },
  },
});

/** Ports and token of the server that runs on the folder. */
async function findServer(dataDir: string) {
  const note = readRunFile(dataDir);
  if (note === undefined) throw new Error(`no server runs on ${dataDir}`);
  const headers = { authorization: `Bearer ${note.secret}` };
  const answer = await fetch(`${note.url}/admin/channels`, { headers });
  const { channels } = (await answer.json()) as { channels: { name: string; address: string }[] };
  const adt = channels.find(({ name }) => name === 'adt-inbound');
  const mllp = Number(adt?.address.split(':').at(-1));
  return { mllp, http: Number(new URL(note.url).port), secret: note.secret };
}

const child = values.data === undefined ? startChild(newFolder()) : undefined;
try {
  const ready = await child?.ready;
  const server =
    ready === undefined
      ? await findServer(values.data ?? '')
      : {
          mllp: ready.ports['adt-inbound'] ?? 0,
          http: Number(new URL(ready.url).port),
          secret: ready.secret,
        };
  const kinds = Object.keys(FLOODS).filter((kind) => values.only.split(',').includes(kind));
  const options = { ...server, kinds, msEach: Number(values.seconds) * 1_000, note: print };
  const { quiet, rows, acknowledged, lost } = await attack(options);
  const most = Math.max(quiet.p99 * RATIO_MAX, FLOOR_MS);
  const slow = rows.filter(({ p99, refused }) => p99 > most || refused > 0);
  print(`allowed: p99 ${most.toFixed(1)} ms; ${acknowledged} acknowledged, ${lost.length} lost`);
  for (const row of slow) print(`too slow: ${lineOf(row)}`);
  for (const line of lost) print(`lost: ${line}`);
  if (slow.length + lost.length > 0) process.exitCode = 1;
} finally {
  await child?.stop();
  removeFolders();
}
