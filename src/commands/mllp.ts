// artery mllp send: sends files over MLLP, counts the acknowledgements and times them.
import { readFileSync } from 'node:fs';
import type { ConnectionOptions } from 'node:tls';
import type { Command } from 'commander';
import { connectMllp, type MllpClient } from '../source/mllp-client.ts';
import { act, type Call, columns, example, wholeNumber } from './call.ts';
import type { CommandContext } from './context.ts';
import {
  ACK_CODES,
  type AckCode,
  answersWanted,
  isPositive,
  makeRun,
  readAcknowledgement,
  readTemplate,
  type Template,
} from './feed.ts';
import { CommandError, EXIT, type ExitCode } from './outcome.ts';

interface Options {
  host: string;
  port: number;
  count?: number;
  patients: number;
  connections: number;
  timeout: number;
  tls?: boolean;
  ca?: string;
  cert?: string;
  key?: string;
  newIds?: boolean;
  cr?: boolean;
}

export function addMllp(program: Command, context: CommandContext): void {
  const mllp = program.command('mllp').description('HL7v2 over MLLP');
  const send = mllp
    .command('send')
    .description(
      'send HL7v2 files as they are, print the acknowledgements and sum them up; ' +
        'exit 0 only if all were positive',
    )
    .argument('<file...>', 'in it {{ID}} becomes a fresh control id, {{PID}} one of the patients')
    .requiredOption('--port <n>', 'port of the channel', wholeNumber(1, 65_535))
    .option('--host <name>', 'host of the channel', '127.0.0.1')
    .option(
      '--count <n>',
      'messages in all, with --new-ids; default: each file once',
      wholeNumber(1, 100_000_000),
    )
    .option('--new-ids', 'replace MSH-10 by a fresh control id')
    .option('--cr', 'end segments with CR where the file ends its lines with LF')
    .option('--patients <n>', 'distinct patients', wholeNumber(1, 10_000_000), 1_000)
    .option('--connections <n>', 'at the same time', wholeNumber(1, 1_000), 1)
    .option('--timeout <s>', 'seconds that an answer may take', wholeNumber(1, 3_600), 30)
    .option('--tls', 'over TLS; the server certificate is checked')
    .option(
      '--ca <file>',
      'PEM of the CA that made the server certificate; default: the CAs that Node trusts',
    )
    .option('--cert <file>', 'PEM client certificate, for mutual TLS')
    .option('--key <file>', 'PEM key of the client certificate')
    .action(act(context, sendFiles));
  example(
    send,
    'mllp send --port 2575 admit.hl7',
    'mllp send --port 2576 --count 1000 --patients 50 --connections 8 result.hl7',
    'mllp send --port 2575 --tls --ca ca.pem --cert client.pem --key client.key admit.hl7',
  );
}

/** What one run has seen so far. */
export interface Tally {
  sent: number;
  codes: Record<AckCode, number>;
  /** Answers whose MSA-2 is not the id that was sent. */
  mismatched: number;
  latenciesMs: number[];
  /** Reasons of refusals and how often each came. */
  reasons: Map<string, number>;
  /** The first answers, a segment a line. */
  answers: string[];
}

export function makeTally(): Tally {
  const codes = Object.fromEntries(ACK_CODES.map((code) => [code, 0])) as Record<AckCode, number>;
  return { sent: 0, codes, mismatched: 0, latenciesMs: [], reasons: new Map(), answers: [] };
}

async function sendFiles(call: Call<Options>): Promise<ExitCode | undefined> {
  const { options, context } = call;
  const run = makeRun(context.now());
  const newIds = options.newIds === true || options.count !== undefined;
  const { patients, cr = false } = options;
  const templates = call.args.map((file) => readTemplate(file, { run, patients, newIds, cr }));
  if ((options.tls || options.cert !== undefined) && options.ca === undefined) {
    context.note(
      'artery: no --ca: the server certificate is checked with the CAs that Node trusts',
    );
  }
  const total = options.count ?? templates.length;
  const tally = makeTally();
  const begun = performance.now();
  const progress = setInterval(
    () => context.note(`${answered(tally)} of ${total} answered`),
    2_000,
  );
  try {
    await sendAll(options, templates, total, tally);
  } finally {
    clearInterval(progress);
  }
  const summary = summarize(tally, total, performance.now() - begun);
  const shown = total <= ANSWERS_MAX ? tally.answers : [];
  call.print({ ...summary, answers: tally.answers }, [...shown, describe(summary)].join('\n\n'));
  const fine = tally.sent === total && tally.mismatched === 0 && allPositive(tally);
  return fine ? undefined : EXIT.failed;
}

/** More answers than these are counted and not printed. */
const ANSWERS_MAX = 10;

async function sendAll(
  options: Options,
  templates: Template[],
  total: number,
  tally: Tally,
): Promise<void> {
  const tls = tlsOf(options);
  const { host, port } = options;
  const target = { host, port, timeoutMs: options.timeout * 1_000, ...(tls ? { tls } : {}) };
  const count = Math.min(options.connections, total);
  const clients = await Promise.all(Array.from({ length: count }, () => connectMllp(target)));
  let next = 0;
  const work = clients.map(async (client) => {
    while (next < total) {
      const sequence = ++next;
      const template = templates[(sequence - 1) % templates.length];
      if (template === undefined || !(await sendOne(client, template, sequence, tally))) return;
    }
  });
  await Promise.all(work);
  await Promise.all(clients.map((client) => client.close()));
}

/** One message and its answers; false = the connection is gone. */
export async function sendOne(
  client: MllpClient,
  template: Template,
  sequence: number,
  tally: Tally,
): Promise<boolean> {
  const { id, bytes } = template(sequence);
  const begun = performance.now();
  tally.sent++;
  try {
    const answers = await client.send(bytes, answersWanted(bytes));
    tally.latenciesMs.push(performance.now() - begun);
    const read = answers.map((answer) => readAcknowledgement(answer, id));
    const room = ANSWERS_MAX - tally.answers.length;
    tally.answers.push(...read.slice(0, Math.max(0, room)).map((one) => one.text));
    const worst = read.find((one) => !isPositive(one.code)) ?? read.at(-1);
    tally.codes[worst?.code ?? 'none']++;
    if (read.some((one) => !one.matches)) tally.mismatched++;
    if (worst !== undefined && !isPositive(worst.code)) count(tally.reasons, worst.reason);
    return true;
  } catch (thrown) {
    tally.codes.none++;
    count(tally.reasons, thrown instanceof Error ? thrown.message : 'unknown failure');
    return false;
  }
}

const REASONS_MAX = 20;

function count(reasons: Map<string, number>, reason: string): void {
  if (reason === '' || (!reasons.has(reason) && reasons.size >= REASONS_MAX)) return;
  reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
}

function answered(tally: Tally): number {
  return ACK_CODES.reduce((sum, code) => sum + tally.codes[code], 0);
}

function allPositive(tally: Tally): boolean {
  return ACK_CODES.every((code) => isPositive(code) || tally.codes[code] === 0);
}

function tlsOf(options: Options): ConnectionOptions | undefined {
  const { tls, ca, cert, key } = options;
  if (!tls && ca === undefined && cert === undefined) return undefined;
  if ((cert === undefined) !== (key === undefined)) {
    throw new CommandError(EXIT.usage, '--cert and --key belong together.');
  }
  const given = Object.entries({ ca, cert, key }).filter(([, file]) => file !== undefined);
  return Object.fromEntries(given.map(([name, file]) => [name, readFileSync(String(file))]));
}

interface Summary {
  messages: number;
  sent: number;
  acks: Record<AckCode, number>;
  mismatched: number;
  seconds: number;
  perSecond: number;
  latencyMs: { p50: number; p95: number; p99: number; max: number };
  reasons: { reason: string; count: number }[];
}

function summarize(tally: Tally, total: number, ms: number): Summary {
  const sorted = tally.latenciesMs.toSorted((one, other) => one - other);
  const at = (part: number): number =>
    round(sorted[Math.max(0, Math.ceil(sorted.length * part) - 1)] ?? 0);
  return {
    messages: total,
    sent: tally.sent,
    acks: tally.codes,
    mismatched: tally.mismatched,
    seconds: round(ms / 1_000),
    perSecond: round((sorted.length / ms) * 1_000),
    latencyMs: { p50: at(0.5), p95: at(0.95), p99: at(0.99), max: at(1) },
    reasons: [...tally.reasons].map(([reason, times]) => ({ reason, count: times })),
  };
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}

function describe(summary: Summary): string {
  const { acks, latencyMs: ms } = summary;
  const codes = ACK_CODES.map((code) => `${code} ${acks[code]}`).join('  ');
  const rows = [
    [
      'Messages',
      `${summary.sent} of ${summary.messages} in ${summary.seconds} s, ${summary.perSecond}/s`,
    ],
    ['Answers', `${codes}${summary.mismatched > 0 ? `  wrong id ${summary.mismatched}` : ''}`],
    ['Latency', `p50 ${ms.p50} ms, p95 ${ms.p95} ms, p99 ${ms.p99} ms, max ${ms.max} ms`],
    ...summary.reasons.map((one) => ['Reason', `${one.count} x ${one.reason}`]),
  ];
  return columns(rows);
}
