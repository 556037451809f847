// Loaded by --import into each thread of a server under test, before the program: kills its process
// at a named step, sets its clock back, makes its commits slow, its pipeline throw, and its queue
// hand out each lane twice. What it is to do stands in a file of orders; without any, nothing.
//
// A step is a name of telemetry/events.ts (the moment at which it is logged), or one of STEPS.
import fs from 'node:fs';
import { registerHooks } from 'node:module';
import { Socket } from 'node:net';
import { DatabaseSync } from 'node:sqlite';

export interface Orders {
  /** Die at the nth time that a thread comes to the step; each order has an `id` of its own. */
  die?: { step: string; nth: number; id: number };
  /** Added to the clock of the machine. */
  clockMs?: number;
  /** Each commit of the embedded store takes so much longer. */
  slowMs?: number;
  /** Each lane is drained by two at the same time. */
  twice?: boolean;
}

/** Message bytes that hold this make the pipeline throw. */
export const POISON = 'Poisonous';

/** Steps at which nothing is logged, by what is about to be written, or was just written. */
const STEPS = [
  { step: 'commit.begin', mark: 'commitTransaction', after: false },
  { step: 'commit.sent', mark: 'commitTransaction', after: true },
  { step: 'ack.begin', mark: '\rMSA|', after: false },
  { step: 'ack.sent', mark: '\rMSA|', after: true },
  { step: 'lease.sent', mark: ':lease:', after: true },
  { step: 'answer.begin', mark: 'HTTP/1.1 20', after: false },
];
const ORDERS_EVERY_MS = 20;

let orders: Orders = {};
let met = 0;

function readOrders(file: string): void {
  try {
    const next: Orders = JSON.parse(fs.readFileSync(file, 'utf8'));
    if (next.die?.id !== orders.die?.id) met = 0;
    orders = next;
  } catch {
    // Not written yet, or not wholly: the next look finds it.
  }
}

function reach(step: string): void {
  if (orders.die?.step !== step) return;
  met += 1;
  if (met >= orders.die.nth) process.kill(process.pid, 'SIGKILL');
}

/** Logs go to stderr by fs.writeSync; here they end, but for warnings and errors. */
function watchEvents(): void {
  const write = fs.writeSync;
  const watched = (...given: unknown[]) => {
    const [fd, text] = given;
    const event = fd === 2 && typeof text === 'string' && /"event":"([a-z.-]+)"/.exec(text)?.[1];
    if (event) reach(event);
    const quiet = event && /"level":"(debug|info)"/.test(text);
    return quiet ? Buffer.byteLength(text) : Reflect.apply(write, fs, given);
  };
  fs.writeSync = watched as typeof fs.writeSync;
}

function watchSockets(): void {
  const write = Socket.prototype.write;
  const watched = function (this: Socket, ...given: unknown[]) {
    const here = orders.die === undefined ? [] : stepsOf(given[0]);
    for (const { step, after } of here) if (!after) reach(step);
    const result = Reflect.apply(write, this, given);
    for (const { step, after } of here) if (after) reach(step);
    return result;
  };
  Socket.prototype.write = watched as typeof write;
}

function stepsOf(chunk: unknown): typeof STEPS {
  if (typeof chunk !== 'string' && !(chunk instanceof Uint8Array)) return [];
  const bytes = Buffer.from(chunk as Uint8Array);
  return STEPS.filter(({ mark }) => bytes.includes(mark));
}

function watchDatabase(): void {
  const exec = DatabaseSync.prototype.exec;
  DatabaseSync.prototype.exec = function (sql) {
    const writes = sql === 'COMMIT' && begun.delete(this);
    if (sql === 'BEGIN IMMEDIATE') begun.add(this);
    if (writes) {
      reach('commit.begin');
      if (orders.slowMs)
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, orders.slowMs);
    }
    Reflect.apply(exec, this, [sql]);
    if (writes) reach('commit.sent');
  };
}

/** Databases in a transaction that writes. */
const begun = new WeakSet<DatabaseSync>();

function shiftClock(): void {
  const Machine = Date;
  const now = () => Machine.now() + (orders.clockMs ?? 0);
  globalThis.Date = new Proxy(Machine, {
    construct: (target, given, as) => Reflect.construct(target, given.length ? given : [now()], as),
    apply: () => new Machine(now()).toString(),
    get: (target, name) => (name === 'now' ? now : Reflect.get(target, name)),
  });
}

/** Modules of src/ that stand behind a wrapper here; `own` is the module itself. */
const WRAPPERS: Record<string, string> = {
  '/src/pipeline/run.ts': `
    export * from './run.ts?own';
    import { runPipeline as own } from './run.ts?own';
    export function runPipeline(input, means) {
      if (Buffer.from(input.raw).includes('${POISON}')) throw new TypeError('poison');
      return own(input, means);
    }`,
  '/src/queue/local.ts': `
    export * from './local.ts?own';
    import { openLocalQueue as own } from './local.ts?own';
    export const openLocalQueue = (options) => globalThis.faultsOfTests.twice(own(options));`,
  '/src/queue/bullmq.ts': `
    export * from './bullmq.ts?own';
    import { openBullQueue as own } from './bullmq.ts?own';
    export const openBullQueue = async (options) =>
      globalThis.faultsOfTests.twice(await own(options));`,
};

type Drain = (...given: unknown[]) => Promise<{ againInMs?: number }>;
type AnyQueue = { process(drain: Drain, concurrency: number): void };

function handOutTwice(queue: AnyQueue): AnyQueue {
  const start = queue.process.bind(queue);
  queue.process = (drain, concurrency) =>
    start(async (...given) => {
      const owners = orders.twice ? [drain, drain] : [drain];
      const ends = await Promise.all(owners.map((own) => own(...given)));
      const waits = ends.flatMap(({ againInMs }) => againInMs ?? []);
      return waits.length === 0 ? {} : { againInMs: Math.min(...waits) };
    }, concurrency);
  return queue;
}

function wrapModules(): void {
  Object.assign(globalThis, { faultsOfTests: { twice: handOutTwice } });
  registerHooks({
    load(url, context, next) {
      const source = WRAPPERS[Object.keys(WRAPPERS).find((path) => url.endsWith(path)) ?? ''];
      if (source === undefined) return next(url, context);
      return { format: 'module', source, shortCircuit: true };
    },
  });
}

/** Nothing happens where this file is imported for its types and names. */
const file = process.env.FAULT_ORDERS;
if (file !== undefined) {
  readOrders(file);
  setInterval(() => readOrders(file), ORDERS_EVERY_MS).unref();
  watchEvents();
  watchSockets();
  watchDatabase();
  shiftClock();
  wrapModules();
}
