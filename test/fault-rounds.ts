// `node test/fault-rounds.ts [--rounds 20] [--engine embedded] [--fault kill-all] [--hold 30]`: so
// many rounds per fault and engine, each fault on a rig of its own. ARTERY_TEST_SEED replays.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { FAULTS } from './faults/catalog.ts';
import { mountSmallDisk } from './faults/disk.ts';
import { Oracle } from './faults/oracle.ts';
import { type EngineName, openRig } from './faults/rig.ts';
import { type FaultRow, type RoundReport, runRound } from './faults/round.ts';
import { randomFrom } from './support/store-units.ts';

const RECOVERY_MS_MAX = 30_000;
const DISK_MIB = 512;

interface Options {
  rounds: number;
  holdMs: number;
  seed: number;
}

const print = (text: string) => process.stdout.write(`${text}\n`);

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '20' },
      hold: { type: 'string', default: '30' },
      engine: { type: 'string', multiple: true, default: ['embedded', 'cluster'] },
      fault: { type: 'string', multiple: true, default: FAULTS.map(({ name }) => name) },
    },
  });
  const seed = Number(process.env.ARTERY_TEST_SEED ?? Date.now() % 1_000_000);
  const options = { rounds: Number(values.rounds), holdMs: Number(values.hold) * 1_000, seed };
  print(`fault-rounds: seed ${seed}`);
  for (const engine of values.engine as EngineName[]) {
    const chosen = FAULTS.filter(({ name }) => values.fault.includes(name));
    for (const fault of chosen.filter(({ engines }) => engines.includes(engine))) {
      await runFault(engine, fault, options);
    }
  }
}

async function runFault(engine: EngineName, fault: FaultRow, options: Options): Promise<void> {
  const what = `${engine} ${fault.name}`;
  const needsDisk = engine === 'embedded' && fault.name === 'disk-full';
  const disk = needsDisk ? mountSmallDisk(DISK_MIB) : undefined;
  if (needsDisk && disk === undefined) {
    print(`${what}: skipped, no tmpfs may be mounted`);
    return;
  }
  const folder = disk?.folder ?? mkdtempSync(join(tmpdir(), 'artery-faults-'));
  const rig = await openRig({ engine, folder });
  const reports: RoundReport[] = [];
  try {
    const oracle = new Oracle(rig);
    const random = randomFrom(options.seed);
    for (let number = 1; number <= options.rounds; number += 1) {
      const { holdMs } = options;
      const bounds = { holdMs, recoveryMsMax: RECOVERY_MS_MAX };
      const report = await runRound(rig, oracle, fault, { number, random, ...bounds });
      reports.push(report);
      const { note, messages, recoveryMs } = report;
      print(`  ${what} ${number}: ${note}; ${messages} messages, recovered in ${recoveryMs} ms`);
    }
  } catch (thrown) {
    process.exitCode = 1;
    const text = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
    print(`  ${what} ${reports.length + 1}: FAILED\n${text}\n${rig.unexpected.join('\n')}`);
  } finally {
    await rig.close();
    disk?.remove();
    rmSync(folder, { recursive: true, force: true });
  }
  print(summary(what, reports));
}

function summary(what: string, reports: RoundReport[]): string {
  const sum = (of: (report: RoundReport) => number) => reports.reduce((n, one) => n + of(one), 0);
  const times = reports.map(({ recoveryMs }) => recoveryMs).sort((a, b) => a - b);
  const median = times[Math.floor(times.length / 2)] ?? 0;
  return [
    `${what}: ${reports.length} rounds good, ${sum(({ messages }) => messages)} messages`,
    `${sum(({ resent }) => resent)} sent again, ${sum(({ refused }) => refused)} refusals`,
    `${sum(({ updates }) => updates)} FHIR updates`,
    `recovery ${median} ms median, ${times.at(-1) ?? 0} ms longest`,
  ].join(', ');
}

await main();
