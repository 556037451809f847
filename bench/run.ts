// npm run bench [-- --seconds 10 --soak 5 --only accept|trip|soak]: all scenarios against a bare
// echo in the same run. The load generator and its messages are found by --tools (see README
// there).
import { existsSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { type Context, calibrate, durableAccept, type Row, soak, wholeTrip } from './scenarios.ts';

const { values } = parseArgs({
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
      row.scenario.padEnd(52),
      `${row.value.toFixed(row.unit === 'ms' ? 2 : 0)} ${row.unit}`.padStart(14),
      ratio === undefined ? ''.padStart(16) : `${ratio.toFixed(4)} of echo`.padStart(16),
      aimOf(row, ratio),
      row.note ?? '',
    ];
    process.stdout.write(`${parts.join('  ').trimEnd()}\n`);
  }
}

function aimOf({ aim, aimRatio, unit, value }: Row, ratio: number | undefined): string {
  if (aim === undefined) return '';
  if (unit === 'ms') return `aim < ${aim} ms: ${value < aim ? 'met' : 'MISSED'}`;
  const byRatio = ratio !== undefined && aimRatio !== undefined && ratio >= aimRatio;
  const met = value >= aim || byRatio;
  return `aim ${aim} or ${aimRatio} of echo: ${met ? 'met' : 'MISSED'}`;
}

if (!existsSync(`${values.tools}/mllp-load.mjs`)) {
  process.stderr.write(`bench: no load generator at ${values.tools}/mllp-load.mjs; give --tools\n`);
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
if (wanted('accept')) print(await durableAccept(context, echo));
if (wanted('trip')) print(await wholeTrip(context, echo));
if (wanted('soak') && context.soakMinutes > 0) print(await soak(context));
