// `node test/fuzz/run.ts [--seconds N] [--seed S] [--only frames,requests,...]`: the long form of
// the fuzz run, each kind of input for N seconds (default 120) against one started server.
import { parseArgs } from 'node:util';
import { newFolder, removeFolders } from '../support/folder.ts';
import { fuzz, TARGETS } from './fuzz.ts';

const print = (text: string) => process.stdout.write(`${text}\n`);

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '120' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    only: { type: 'string', default: TARGETS.join(',') },
  },
});
const seconds = Number(values.seconds);
const only = TARGETS.filter((target) => values.only.split(',').includes(target));
if (!(seconds > 0) || only.length === 0) {
  print(`fuzz: --seconds is a number, --only a list of ${TARGETS.join(', ')}`);
  process.exit(2);
}
try {
  const options = { folder: newFolder(), seed: Number(values.seed), targets: only, note: print };
  const { faults, counts } = await fuzz({ ...options, msEach: seconds * 1_000 });
  for (const fault of faults) print(`fault: ${fault}`);
  print(`fuzz: seed ${values.seed}, ${JSON.stringify(counts)}, ${faults.length} faults`);
  if (faults.length > 0) process.exitCode = 1;
} finally {
  removeFolders();
}
