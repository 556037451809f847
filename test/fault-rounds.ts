// `node test/fault-rounds.ts [--rounds 20] [--engine embedded] [--fault kill-all] [--hold 30]
// [--recovery 30]`: so many rounds per fault and engine, each fault on a rig of its own; hold and
// recovery are seconds. With `--messages 100000 [--patients 1000] [--workers 8] [--kills 2]`: that
// many through a cluster whose workers are killed. ARTERY_TEST_SEED replays. With MONGODB_URL (or
// ARTERY_TEST_MONGO=download) clusters run on that real server instead of the stand-in.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect, parseArgs } from 'node:util';
import { FAULTS, faultsOf } from './faults/catalog.ts';
import { mountSmallDisk } from './faults/disk.ts';
import { runLong } from './faults/long-run.ts';
import { Oracle } from './faults/oracle.ts';
import { type EngineName, openRig, type Rig, type Role } from './faults/rig.ts';
import { type FaultRow, type RoundReport, runRound } from './faults/round.ts';
import { realServer } from './support/mongo/real.ts';
import { randomFrom } from './support/store-units.ts';

const DISK_MIB = 512;
/** Some 120 messages a second, a third of what a cluster works off on two cores. */
const REST_MS = 400;

interface Options {
  rounds: number;
  holdMs: number;
  recoveryMsMax: number;
  seed: number;
}

/** Undefined: clusters run on the stand-in. */
const server = await realServer(process.env);
const mongo = server && { mongoUrl: server.url };

/** Open now: closed when the script is told to stop. */
const open = new Set<() => Promise<void>>();

const print = (text: string) => process.stdout.write(`${text}\n`);

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '20' },
      hold: { type: 'string', default: '30' },
      recovery: { type: 'string', default: '30' },
      engine: { type: 'string', multiple: true, default: ['embedded', 'cluster'] },
      fault: { type: 'string', multiple: true, default: FAULTS.map(({ name }) => name) },
      messages: { type: 'string', default: '0' },
      patients: { type: 'string', default: '1000' },
      workers: { type: 'string', default: '8' },
      kills: { type: 'string', default: '2' },
    },
  });
  const seed = Number(process.env.ARTERY_TEST_SEED ?? Date.now() % 1_000_000);
  print(`fault-rounds: seed ${seed}`);
  const [messages, patients, workers, kills] = [
    Number(values.messages),
    Number(values.patients),
    Number(values.workers),
    Number(values.kills),
  ];
  if (messages > 0) return killWorkers(workers, { messages, patients, kills, seed });
  const options: Options = {
    rounds: Number(values.rounds),
    holdMs: Number(values.hold) * 1_000,
    recoveryMsMax: Number(values.recovery) * 1_000,
    seed,
  };
  for (const engine of values.engine as EngineName[]) {
    const chosen = faultsOf(engine).filter(({ name }) => values.fault.includes(name));
    for (const fault of chosen) await runFault(engine, fault, options);
  }
}

async function runFault(engine: EngineName, fault: FaultRow, options: Options): Promise<void> {
  const what = `${engine} ${fault.name}`;
  if (engine === 'cluster' && server !== undefined && fault.standInOnly !== undefined) {
    print(`${what}: skipped, ${fault.standInOnly}`);
    return;
  }
  const needsDisk = engine === 'embedded' && fault.name === 'disk-full';
  const disk = needsDisk ? mountSmallDisk(DISK_MIB) : undefined;
  if (needsDisk && disk === undefined) {
    print(`${what}: skipped, no tmpfs may be mounted`);
    return;
  }
  const folder = disk?.folder ?? newFolder();
  const rig = await openRig({ engine, folder, ...mongo });
  const close = async () => {
    await rig.close();
    disk?.remove();
    rmSync(folder, { recursive: true, force: true });
  };
  open.add(close);
  const reports: RoundReport[] = [];
  try {
    const oracle = new Oracle(rig);
    const random = randomFrom(options.seed);
    for (let number = 1; number <= options.rounds; number += 1) {
      const { holdMs, recoveryMsMax } = options;
      const bounds = { holdMs, recoveryMsMax, restMs: REST_MS };
      const report = await runRound(rig, oracle, fault, { number, random, ...bounds });
      reports.push(report);
      const { note, messages, recoveryMs } = report;
      print(`  ${what} ${number}: ${note}; ${messages} messages, recovered in ${recoveryMs} ms`);
    }
  } catch (thrown) {
    printFailure(`${what} ${reports.length + 1}`, thrown, rig);
  } finally {
    await close();
    open.delete(close);
  }
  print(summary(what, reports));
}

async function killWorkers(
  workers: number,
  run: { messages: number; patients: number; kills: number; seed: number },
): Promise<void> {
  const folder = newFolder();
  const working = Array.from({ length: workers }, (): Role => 'work');
  const roles: Role[] = ['receive', 'receive', 'api', ...working];
  const environment = { ARTERY_LOG_LEVEL: 'silent' };
  const artery = { roles, hooks: false, environment };
  const rig = await openRig({ engine: 'cluster', folder, ...artery, ...mongo });
  const close = async () => {
    await rig.close();
    rmSync(folder, { recursive: true, force: true });
  };
  open.add(close);
  try {
    const random = randomFrom(run.seed);
    const told = await runLong(rig, { ...run, random, note: (text) => print(`  ${text}`) });
    print(`long run, ${workers} workers, ${run.kills} killed: good, ${told}`);
  } catch (thrown) {
    printFailure('long run', thrown, rig);
  } finally {
    await close();
    open.delete(close);
  }
}

function newFolder(): string {
  return mkdtempSync(join(tmpdir(), 'artery-faults-'));
}

function printFailure(what: string, thrown: unknown, rig: Rig): void {
  process.exitCode = 1;
  print(`  ${what}: FAILED\n${inspect(thrown)}\n${rig.unexpected.join('\n')}`);
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

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, async () => {
    await Promise.allSettled([...open].map((close) => close()));
    await server?.stop();
    process.exit(1);
  });
}
try {
  await main();
} finally {
  await server?.stop();
}
