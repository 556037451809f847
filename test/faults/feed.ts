// Senders of HL7v2 messages that go on whatever happens, as real ones do: what is not acknowledged
// is sent again, in its order, on another connection, until it is. Judges nothing: see oracle.ts.
import { connectMllp, type MllpClient } from '../../src/source/mllp-client.ts';
import { pause } from '../support/child.ts';
import { adt, oru } from '../support/messages.ts';
import { openProxy, type Proxy as TcpProxy } from '../support/proxy.ts';
import { POISON } from './preload.ts';
import type { Rig } from './rig.ts';

export interface Sent {
  id: string;
  /** What it writes into its patient's resource, and no other message does. */
  trace: string;
  bytes: Uint8Array;
  attempts: number;
  /** Short name of the id under which it is stored, from MSH-10 of the answer. */
  storedAs: string;
  poison: boolean;
}

/** What is told of one patient, in sequence. */
export interface Line {
  channel: 'adt-inbound' | 'lab-inbound';
  pid: string;
  /** In the order of sending, which is that of being acknowledged. */
  acked: Sent[];
  open: Sent[];
  made: number;
}

export interface FeedOptions {
  /** Of patients and control ids: another one in each round. */
  prefix: string;
  random(): number;
  /** Messages of one patient that may be sent before the first of them is answered. */
  depth: number;
  /** Patients of the ADT and of the laboratory, shared out among so many connections each. */
  patients: [number, number];
  connections: [number, number];
  /** Each line ends by itself after so many; default: when it is told to stop. */
  perPatient?: number;
  /** Longest rest between two sendings of one patient. */
  restMs: number;
  /** How long an answer is waited for; default 6 s. */
  answerMsMax?: number;
  /** Through proxies, whose connections can be made half open. */
  proxied?: boolean;
}

const ANSWER_MS_MAX = 6_000;
const RECONNECT_MS = 100;

export class Feed {
  readonly lines: Line[] = [];
  /** Answers other than AA. */
  readonly refused: string[] = [];
  readonly #rig: Rig;
  readonly #options: FeedOptions;
  readonly #proxies = new Map<string, Promise<TcpProxy>>();
  readonly #running: Promise<void>;
  #stopping = false;
  #aborted = false;
  #poison = 0;

  constructor(rig: Rig, options: FeedOptions) {
    this.#rig = rig;
    this.#options = options;
    const senders = [
      ...this.#shareOut('adt-inbound', options.patients[0], options.connections[0]),
      ...this.#shareOut('lab-inbound', options.patients[1], options.connections[1]),
    ];
    this.#running = Promise.all(senders.map((lines) => this.#send(lines))).then(() => undefined);
    // Awaited by `finish`.
    this.#running.catch(() => undefined);
  }

  get acked(): number {
    return this.lines.reduce((sum, { acked }) => sum + acked.length, 0);
  }

  get resent(): number {
    const all = this.lines.flatMap(({ acked }) => acked);
    return all.filter(({ attempts }) => attempts > 1).length;
  }

  /** Resolves when `count` more messages of each line are acknowledged, or the line has ended. */
  async progress(count: number): Promise<void> {
    const { perPatient = Number.POSITIVE_INFINITY } = this.#options;
    const goals = this.lines.map(({ acked }) => Math.min(acked.length + count, perPatient));
    const isShort = () => this.lines.some(({ acked }, n) => acked.length < (goals[n] ?? 0));
    while (isShort() && !this.#aborted) await pause(10);
  }

  /** Makes so many of the next messages poisonous, each of another patient. */
  poison(count: number): void {
    this.#poison += count;
  }

  /** Of all connections that are open now. */
  async silence(): Promise<void> {
    for (const proxy of this.#proxies.values()) (await proxy).silence();
  }

  /** Makes no new messages; resolves when all that were made are acknowledged. */
  async finish(): Promise<void> {
    this.#stopping = true;
    await this.#running;
    for (const proxy of this.#proxies.values()) await (await proxy).close();
  }

  /** Leaves everything as it is: a round has failed. */
  abort(): void {
    this.#aborted = true;
  }

  #shareOut(channel: Line['channel'], patients: number, connections: number): Line[][] {
    const lines = Array.from({ length: patients }, (_, n): Line => {
      const pid = `${this.#options.prefix}${channel === 'adt-inbound' ? 'A' : 'L'}${n}`;
      return { channel, pid, acked: [], open: [], made: 0 };
    });
    this.lines.push(...lines);
    return Array.from({ length: Math.min(connections, patients) }, (_, n) =>
      lines.filter((_, at) => at % connections === n),
    );
  }

  /** One connection after the other. */
  async #send(lines: Line[]): Promise<void> {
    const channel = lines[0]?.channel ?? 'adt-inbound';
    while (lines.some((line) => !this.#isDone(line))) {
      const client = await this.#connect(channel);
      if (client === undefined) await pause(RECONNECT_MS);
      else {
        await Promise.all(lines.map((line) => this.#tell(line, client)));
        await client.close();
      }
    }
  }

  #isDone({ open, made }: Line): boolean {
    if (this.#aborted) return true;
    return open.length === 0 && (this.#stopping || made >= (this.#options.perPatient ?? made + 1));
  }

  /** Until nothing is left to tell, or the connection is of no more use. */
  async #tell(line: Line, client: MllpClient): Promise<void> {
    const { random, depth, restMs, perPatient = Number.POSITIVE_INFINITY } = this.#options;
    while (!this.#isDone(line)) {
      const size = 1 + Math.floor(random() * depth);
      const isFull = () => this.#stopping || line.made >= perPatient || line.open.length >= size;
      while (!isFull()) this.#make(line);
      const batch = line.open.slice(0, size);
      const answers = await Promise.all(batch.map((message) => ask(client, message)));
      const broken = answers.includes(undefined);
      for (const [n, message] of batch.entries()) this.#take(line, message, answers[n]);
      if (broken) return;
      await pause(random() * restMs);
    }
  }

  #make(line: Line): void {
    line.made += 1;
    const poison = this.#poison > 0 && line.channel === 'adt-inbound' && line.made > 1;
    if (poison) this.#poison -= 1;
    const id = `${line.pid}-${line.made}`;
    const trace = line.channel === 'lab-inbound' ? String(line.made) : `Fam${id}`;
    const family = poison ? `${POISON}${line.made}` : trace;
    const event = line.made === 1 ? 'A01' : 'A08';
    const text =
      line.channel === 'lab-inbound'
        ? oru({ id, pid: line.pid, filler: `F${line.pid}`, value: trace })
        : adt({ id, pid: line.pid, family, event });
    const bytes = Buffer.from(text.replaceAll('\n', '\r'));
    line.open.push({ id, trace, bytes, attempts: 0, storedAs: '', poison });
  }

  #take(line: Line, message: Sent, answer: string | undefined): void {
    if (answer === undefined) return;
    if (!answer.includes(`\rMSA|AA|${message.id}\r`)) {
      this.refused.push(`${message.id}: ${answer.replaceAll('\r', ' / ')}`);
      return;
    }
    message.storedAs = answer.split('|')[9] ?? '';
    line.acked.push(message);
    line.open.splice(line.open.indexOf(message), 1);
  }

  /** To any of the receivers that are there. */
  async #connect(channel: string): Promise<MllpClient | undefined> {
    const there = this.#rig.playing('receive').filter(({ now }) => now !== undefined);
    const member = there[Math.floor(this.#options.random() * there.length)];
    if (member === undefined) return undefined;
    const target = () => member.now?.ports[channel] ?? 1;
    const port = this.#options.proxied
      ? await this.#proxyTo(`${member.name} ${channel}`, target)
      : target();
    const options = {
      host: '127.0.0.1',
      port,
      timeoutMs: this.#options.answerMsMax ?? ANSWER_MS_MAX,
    };
    return connectMllp(options).catch(() => undefined);
  }

  async #proxyTo(name: string, target: () => number): Promise<number> {
    const known = this.#proxies.get(name) ?? openProxy(target);
    this.#proxies.set(name, known);
    return (await known).port;
  }
}

/** Undefined when no answer came: it may be stored or not. */
async function ask(client: MllpClient, message: Sent): Promise<string | undefined> {
  message.attempts += 1;
  try {
    const [answer] = await client.send(message.bytes, 1);
    return Buffer.from(answer ?? []).toString('latin1');
  } catch {
    return undefined;
  }
}
