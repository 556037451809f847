// A MongoDB stand-in for tests: TCP, wire protocol, faults. To the unmodified driver it is a
// replica set of one primary (or a mongos, a standalone without transactions, a DocumentDB).
//
// What it does not imitate: durability (all in memory), secondaries and replication, oplog,
// authentication, TLS, compression, change streams, cluster time (snapshot times are a logical
// clock), collations, JavaScript, text, geo, sparse, hashed and wildcard indexes, the TTL monitor
// (expireAfterSeconds is only declared), views, capped collections, bulkWrite, validators, a
// versioned catalog (a collection made in a transaction stays), the numeric types (int32, int64
// and double are one JavaScript number; an int64 beyond 2^53 sorts as a double), the order of
// strings beyond the basic plane, error texts, index intersection and the racing of plans: explain
// shows its own simple choice (planner.ts). A cursor is filled when it is opened. A multi-document
// write outside transactions is atomic here; one that waits for a transaction is not interrupted by
// a stepdown or the loss of its client. A commit takes no time. Operators are those of mingo.
// A passing test here is no proof about a real server: `npm run test:mongo` is.
import { createServer, type Server, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { COMMANDS, collectionName } from './commands.ts';
import { checkKnown, compatibleReply, heeded } from './compatible.ts';
import { Engine } from './engine.ts';
import {
  badValue,
  diskFull,
  errorReply,
  notPrimary,
  ServerError,
  writeConflict,
} from './errors.ts';
import { type Fault, Faults } from './faults.ts';
import { placeOf, runCommand, sessionKey } from './sessions.ts';
import { Topology, type TopologyKind } from './topology.ts';
import { type Doc, isDoc } from './values.ts';
import { encodeReply, type Message, MessageReader } from './wire.ts';

export type { Fault } from './faults.ts';

export interface StandInOptions {
  /** 0 = any free port. */
  port: number;
  topology?: TopologyKind;
  /** transactionLifetimeLimitSeconds, in ms; default 60,000. */
  transactionLifetimeMs?: number;
  /** Refuses commits with a write concern below w: majority, which a single member cannot tell. */
  majorityCommits?: boolean;
}

export interface StandIn {
  /** Without a database name. */
  readonly url: string;
  /** Commands per name since the start or resetCounts(), the driver's own (hello) included. */
  counts(): Record<string, number>;
  resetCounts(): void;
  fault(fault: Fault): void;
  clearFaults(): void;
  /** What was refused: commands, options, operators, stages; each with its sentence. */
  readonly refused: string[];
  /** Open transactions, for tests that look for forgotten ones. */
  openTransactions(): number;
  /** A secondary for `ms`, every open transaction aborted; then primary again. */
  stepDown(ms: number): void;
  /** Unreachable: no listener, no connection; the data and the open transactions stay. */
  down(): Promise<void>;
  /** As down(), and open transactions and cursors are gone; what was committed stays. */
  crash(): Promise<void>;
  /** Listens again on the same port. */
  up(): Promise<void>;
  stop(): Promise<void>;
}

export async function startMongoStandIn(options: StandInOptions): Promise<StandIn> {
  const standIn = new RunningStandIn(options);
  await standIn.up();
  return standIn;
}

const EXPIRY_CHECK_MS = 500;

class RunningStandIn implements StandIn {
  readonly #engine: Engine;
  readonly #topology: Topology;
  readonly #faults = new Faults();
  readonly #sockets = new Set<Socket>();
  readonly #counts = new Map<string, number>();
  readonly #expiry: NodeJS.Timeout;
  readonly #port: number;
  readonly #majorityCommits: boolean;
  #server: Server | undefined;
  #rise: NodeJS.Timeout | undefined;

  constructor(options: StandInOptions) {
    this.#engine = new Engine(
      options.transactionLifetimeMs ?? 60_000,
      options.topology === 'documentdb',
    );
    this.#topology = new Topology(options.topology ?? 'replica-set');
    this.#port = options.port;
    this.#majorityCommits = options.majorityCommits ?? false;
    const check = (): void => this.#engine.txns.abortExpired(Date.now());
    this.#expiry = setInterval(check, EXPIRY_CHECK_MS).unref();
  }

  get url(): string {
    return this.#topology.url;
  }

  get #compatible(): boolean {
    return this.#topology.kind === 'documentdb';
  }

  get refused(): string[] {
    return this.#engine.refused;
  }

  counts(): Record<string, number> {
    return Object.fromEntries(this.#counts);
  }

  resetCounts(): void {
    this.#counts.clear();
  }

  fault(fault: Fault): void {
    this.#faults.add(fault);
  }

  clearFaults(): void {
    this.#faults.clear();
  }

  openTransactions(): number {
    return this.#engine.txns.open.size;
  }

  stepDown(ms: number): void {
    this.#engine.txns.abortAll();
    this.#topology.change(false);
    clearTimeout(this.#rise);
    this.#rise = setTimeout(() => this.#topology.change(true), ms).unref();
  }

  async up(): Promise<void> {
    if (this.#server !== undefined) return;
    const server = createServer({ noDelay: true }, (socket) => this.#accept(socket));
    this.#server = server;
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(this.#topology.port || this.#port, '127.0.0.1', resolve);
    });
    const address = server.address();
    if (address !== null && typeof address === 'object') this.#topology.port = address.port;
  }

  async down(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    for (const socket of this.#sockets) socket.destroy();
    this.#topology.release();
    if (server !== undefined) await new Promise((resolve) => server.close(resolve));
  }

  async crash(): Promise<void> {
    await this.down();
    this.#engine.crash();
  }

  async stop(): Promise<void> {
    clearInterval(this.#expiry);
    clearTimeout(this.#rise);
    await this.down();
    this.#engine.txns.abortAll();
  }

  #accept(socket: Socket): void {
    this.#sockets.add(socket);
    const reader = new MessageReader();
    let order: Promise<void> = Promise.resolve();
    socket.on('close', () => this.#sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    socket.on('data', (chunk: Buffer) => {
      try {
        for (const message of reader.push(chunk)) {
          order = order
            .then(() => this.#serve(socket, message))
            .catch((e) => this.#drop(socket, e));
        }
      } catch (error) {
        this.#drop(socket, error);
      }
    });
  }

  #drop(socket: Socket, error: unknown): void {
    this.#engine.refused.push(error instanceof Error ? error.message : String(error));
    socket.destroy();
  }

  async #serve(socket: Socket, message: Message): Promise<void> {
    const { command } = message;
    const name = Object.keys(command)[0] ?? '';
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1);
    const fault = this.#faults.take(name, collectionName(command));
    if (fault?.kind === 'half-open') return new Promise(() => {});
    if (fault?.kind === 'cut') {
      socket.destroy();
      return;
    }
    if (fault?.kind === 'slow') await delay(fault.ms ?? 0);
    const reply = await this.#answer(name, command, fault);
    if (fault?.kind === 'lost-reply') socket.destroy();
    else if (!message.silent && !socket.destroyed) socket.write(encodeReply(message, reply));
  }

  async #answer(name: string, command: Doc, fault: Fault | undefined): Promise<Doc> {
    try {
      if (name === 'hello' || name === 'isMaster' || name === 'ismaster') {
        return await this.#topology.hello(command);
      }
      if (name === 'ping') return { ok: 1 };
      if (name === 'buildInfo') return { version: '8.0.0', versionArray: [8, 0, 0, 0], ok: 1 };
      if (this.#majorityCommits && name === 'commitTransaction') checkMajority(command);
      this.#scripted(command, fault);
      this.#checkPrimary(name, command);
      if (this.#compatible) {
        checkKnown(name);
        const kept = command.autocommit === false ? command : heeded(command);
        return await runCommand(this.#engine, kept, true);
      }
      return await runCommand(this.#engine, command, this.#topology.kind !== 'standalone');
    } catch (error) {
      return this.#failed(command, error);
    }
  }

  #failed(command: Doc, error: unknown): Doc {
    if (!(error instanceof ServerError)) {
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
      this.#engine.refused.push(text);
      return errorReply(new ServerError(8, 'UnknownError', text), placeOf(command));
    }
    const refused = error.code === 59 || error.message.includes('stand-in refuses');
    if (refused || error.message.includes('unknown')) this.#engine.refused.push(error.message);
    if (this.#compatible) return compatibleReply(error);
    return errorReply(error, placeOf(command));
  }

  /** Faults that answer with an error; each ends the transaction of its command. */
  #scripted(command: Doc, fault: Fault | undefined): void {
    const error = fault === undefined ? undefined : scriptedError(fault);
    if (error === undefined) return;
    if (error.code === 10107) this.#topology.change(true);
    const session = sessionKey(command.lsid);
    for (const txn of [...this.#engine.txns.open]) {
      if (command.autocommit === false && txn.session === session) this.#engine.txns.abortTxn(txn);
    }
    throw error;
  }

  #checkPrimary(name: string, command: Doc): void {
    if (this.#topology.primary) return;
    const preference = command.$readPreference;
    const anywhere =
      typeof preference === 'object' && preference !== null && 'mode' in preference
        ? preference.mode !== 'primary'
        : false;
    if (COMMANDS[name]?.kind !== 'read' || command.autocommit === false) throw notPrimary();
    if (anywhere) return;
    const text = 'not primary and secondaryOk=false';
    throw new ServerError(13435, 'NotPrimaryNoSecondaryOk', text);
  }
}

function scriptedError({ kind }: Fault): ServerError | undefined {
  switch (kind) {
    case 'not-primary':
      return notPrimary();
    case 'full':
      return diskFull();
    case 'write-conflict':
      return writeConflict(true);
    case 'exceeded':
      return new ServerError(50, 'MaxTimeMSExpired', 'operation exceeded time limit');
    default:
      return undefined;
  }
}

function checkMajority({ writeConcern }: Doc): void {
  if (isDoc(writeConcern) && writeConcern.w === 'majority') return;
  throw badValue('the stand-in refuses a commit of less than a majority');
}
