// npm run bench [-- --seconds 10 --soak 5 --only accept|trip|soak]: all scenarios of the embedded
// engine against a bare echo in the same run; npm run bench -- cluster: those of the cluster
// engine, against the embedded one too. The load generator is found by --tools (see README.md).
import { existsSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { clusterEngine } from './cluster.ts';
import { type Context, calibrate, durableAccept, type Row, soak, wholeTrip } from './scenarios.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: 'string', default: '10' },
    soak: { type: 'string', default: '5' },
    only: { type: 'string', default: 'all' },
    tools: { type: 'string', default: '../shared/tools' },
  },
});

function print(rows: Row[]): void {
  for (const row of rows) {
    const ratio = row.echo ? row.value / row.echo : undefined;
    const parts = [
      row.scenario.padEnd(66),
      figure(row).padStart(18),
      ratio === undefined ? ''.padStart(14) : `${ratio.toFixed(4)} of echo`.padStart(14),
      aimOf(row, ratio),
      row.note ?? '',
    ];
    process.stdout.write(`${parts.join('  ').trimEnd()}\n`);
  }
}

function figure({ value, unit }: Row): string {
  if (Number.isNaN(value)) return 'n/a';
  return `${value.toFixed(unit === 'msg/s' || unit === 'MiB' ? 0 : 2)} ${unit}`;
}

function aimOf({ aim, aimRatio, unit, value }: Row, ratio: number | undefined): string {
  if (aim === undefined || Number.isNaN(value)) return '';
  if (unit !== 'msg/s') return `aim <= ${aim}: ${value <= aim ? 'met' : 'MISSED'}`;
  const byRatio = ratio !== undefined && aimRatio !== undefined && ratio >= aimRatio;
  const met = value >= aim || byRatio;
  return `aim ${aim} or ${aimRatio} of echo: ${met ? 'met' : 'MISSED'}`;
}

if (!existsSync(`${values.tools}/mllp-load.mjs`)) {
  process.stderr.write(`bench: no load generator at ${values.tools}/mllp-load.mjs; give --tools\n`);
  process.exit(1);
}
const cluster = positionals.includes('cluster');
const unknown = positionals.find((name) => name !== 'cluster');
if (unknown !== undefined) {
  process.stderr.write(`bench: "${unknown}" is not cluster, and there is no other\n`);
  process.exit(1);
}
const context: Context = {
  tools: values.tools,
  seconds: Number(values.seconds),
  soakMinutes: Number(values.soak),
};
const wanted = (name: string) => values.only === 'all' || values.only === name;
const echo = await calibrate(context);
print(
  Object.entries(echo).map(([file, value]) => ({
    scenario: `bare echo, ${file}`,
    value,
    unit: 'msg/s',
  })),
);
if (cluster) for await (const rows of clusterEngine(context, echo)) print(rows);
else await embeddedEngine();

async function embeddedEngine(): Promise<void> {
  if (wanted('accept')) print(await durableAccept(context, echo));
  if (wanted('trip')) print(await wholeTrip(context, echo));
  if (wanted('soak') && context.soakMinutes > 0) print(await soak(context));
}
