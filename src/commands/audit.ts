// artery audit verify | ls: the audit log checked and read.
import { existsSync, readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { anchorsFile } from '../assembly/checkpoints.ts';
import type { Config } from '../config/config.ts';
import { tableOf } from '../model/table.ts';
import { act, type Call, columns, example, wholeNumber } from './call.ts';
import { bodiesText, checkAllBodies } from './check-bodies.ts';
import { withServer } from './connection.ts';
import type { CommandContext } from './context.ts';
import { CommandError, EXIT, type ExitCode } from './outcome.ts';

interface Report {
  verdict: 'whole' | 'broken' | 'unknown';
  entries: number;
  checkpoints: number;
  head: { seq: number; hash: string };
  fault?: { seq: number; reason: string };
  faults: { seq: number; reason: string }[];
  contradicted: number;
  doubt?: string;
}

interface AuditEvent {
  id?: string;
  recorded?: string;
  action?: string;
  outcome?: string;
  type?: { code?: string };
  subtype?: { code?: string }[];
  agent?: { who?: { display?: string; identifier?: { value?: string } } }[];
  entity?: { what?: { reference?: string; identifier?: { value?: string } } }[];
}

export function addAudit(program: Command, context: CommandContext): void {
  const audit = program.command('audit').description('the audit log');
  const verify = audit
    .command('verify')
    .description('check the chain, its signatures and what it says is stored; exit 3: cannot tell')
    .option('--anchors <file>', 'signatures kept outside; default: <data>/audit/anchors.jsonl')
    .option('--bodies', 'also open everything that is stored, and name what does not open')
    .action(act(context, verifyLog));
  example(verify, 'audit verify', 'audit verify --bodies');
  const list = audit
    .command('ls')
    .description('show entries in order')
    .option('--from <seq>', 'first entry', wholeNumber(1, Number.MAX_SAFE_INTEGER), 1)
    .option('--limit <n>', 'how many', wholeNumber(1, 1_000), 50)
    .action(act(context, listEntries));
  example(list, 'audit ls --from 100 --limit 20', 'audit ls --json | jq .entries[0]');
}

async function verifyLog(
  call: Call<{ anchors?: string; bodies?: boolean }>,
): Promise<ExitCode | undefined> {
  const path = '/admin/audit/verify';
  const json = { anchors: readAnchors(call.config(), call.options.anchors) };
  const { report, bodies } = await withServer(call.context, call.config(), async (server) => ({
    report: await server.ask<Report>('POST', path, { json }),
    bodies: call.options.bodies ? await checkAllBodies(server, () => undefined) : undefined,
  }));
  const text = reportText(report);
  if (bodies === undefined) call.print(report, text);
  else {
    const named = bodies.names.map((name) => `damaged: ${name}`);
    call.print({ ...report, bodies }, [text, ...named, bodiesText(bodies)].join('\n'));
  }
  if (report.verdict === 'broken' || (bodies?.damaged ?? 0) > 0) return EXIT.failed;
  return report.verdict === 'unknown' ? EXIT.notFound : undefined;
}

function reportText(report: Report): string {
  const size = `${report.entries} entries, ${report.checkpoints} checkpoints`;
  const last = `last entry ${report.head.seq}`;
  if (report.verdict === 'whole') return `The audit log is whole: ${size}, ${last}.`;
  if (report.verdict === 'unknown') {
    return `Nothing wrong was found (${size}, ${last}), but it cannot be told: ${report.doubt}.`;
  }
  const { seq, reason } = report.fault ?? { seq: 0, reason: '' };
  const named = report.faults.map((fault) => `entry ${fault.seq}: ${fault.reason}`);
  const more = report.contradicted - named.length;
  const rest = more > 0 ? [`and ${more} more`] : [];
  return [`The audit log is broken at entry ${seq}: ${reason}`, ...named, ...rest].join('\n');
}

/** One JSON object a line. A last line that was torn off by a crash is left out. */
function readAnchors(config: Config, named: string | undefined): unknown[] {
  const file = named ?? anchorsFile(config.dataDir);
  if (named === undefined && !existsSync(file)) return [];
  const lines = readFileSync(file, 'utf8').split('\n');
  return lines.slice(0, -1).map((line, index) => {
    try {
      return JSON.parse(line) as unknown;
    } catch (cause) {
      throw new CommandError(EXIT.failed, `${file}:${index + 1}: no JSON`, { cause });
    }
  });
}

async function listEntries(call: Call<{ from: number; limit: number }>): Promise<undefined> {
  const { from, limit } = call.options;
  const query = { from, limit };
  await withServer(call.context, call.config(), async (server) => {
    const page = await server.ask<{ entries: AuditEvent[] }>('GET', '/admin/audit', { query });
    const rows = page.entries.map((entry, index) => [String(from + index), ...cellsOf(entry)]);
    call.print(page, columns([['SEQ', 'TIME', 'WHAT', 'OUTCOME', 'WHO', 'ABOUT'], ...rows]));
  });
}

/** FHIR R4 audit-event-outcome. */
const OUTCOMES: Record<string, string> = tableOf({
  0: 'success',
  4: 'minor failure',
  8: 'failure',
  12: 'disaster',
});

function cellsOf(entry: AuditEvent): string[] {
  const who = entry.agent?.[0]?.who;
  const what = entry.subtype?.[0]?.code ?? entry.type?.code ?? entry.action ?? '-';
  const about = entry.entity?.map(
    (one) => one.what?.reference ?? one.what?.identifier?.value ?? '',
  );
  return [
    entry.recorded ?? '-',
    what,
    OUTCOMES[entry.outcome ?? ''] ?? '-',
    who?.identifier?.value ?? who?.display ?? '-',
    about?.filter((one) => one !== '').join(' ') || '-',
  ];
}
