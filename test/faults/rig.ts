// Artery as it runs at a hospital: one embedded process, or a cluster of processes with roles over
// MongoDB and Redis, each started again by a supervisor when it ends. A process that ends without
// being told to is written down: the suites fail by it.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { formatRootKeys, makeRootKeys } from '../../src/crypto/keys.ts';
import { type Child, pause, type Ready, startChild } from '../support/child.ts';
import { throughProxy } from '../support/mongo/url.ts';
import type { Orders } from './preload.ts';
import { type Servers, startServers } from './servers.ts';

export type EngineName = 'embedded' | 'cluster';
export type Role = 'receive' | 'work' | 'api' | 'all';

export interface Member {
  name: string;
  role: Role;
  folder: string;
  child: Child;
  /** Of the process that runs now, or of the one that is being started. */
  ready: Promise<Ready>;
  /** The same, once it is ready. */
  now: Ready | undefined;
  /** Its end is the doing of a test. */
  doomed: boolean;
  orders: Orders;
  starts: number;
}

export interface RigOptions {
  engine: EngineName;
  /** Empty; removed by who made it. */
  folder: string;
  /** Of a cluster; default: one of each, which makes two for everything. */
  roles?: Role[];
  /** Default true: the hooks of preload.ts, and the servers behind proxies. */
  hooks?: boolean;
  environment?: Record<string, string>;
  /** Of a real MongoDB server, in place of the stand-in. */
  mongoUrl?: string;
}

const PRELOAD = pathToFileURL(join(import.meta.dirname, 'preload.ts')).href;
const CLUSTER: Role[] = ['receive', 'work', 'api', 'all'];
const RESTART_AFTER_MS = 100;
const NO_STORE = 'MongoDB does not answer';

/** Before the second attempt at a message. */
export const FIRST_DELAY_MS = 400;

/** Small so that faults meet what is rare else: signatures, attempts at a poisonous message. */
const ENVIRONMENT = {
  ARTERY_LOG_LEVEL: 'debug',
  ARTERY_CHECKPOINT_INTERVAL_MS: '1000',
  ARTERY_ATTEMPTS_MAX: '3',
  ARTERY_FIRST_DELAY_MS: String(FIRST_DELAY_MS),
};

export async function openRig(options: RigOptions): Promise<Rig> {
  const servers = options.engine === 'cluster' ? await startServers(options.mongoUrl) : undefined;
  const rig = new Rig(options, servers);
  try {
    await rig.whole();
  } catch (thrown) {
    await rig.close();
    throw thrown;
  }
  return rig;
}

export class Rig {
  readonly engine: EngineName;
  readonly members: Member[];
  readonly servers: Servers | undefined;
  /** Ends of processes that no test had ordered. */
  readonly unexpected: string[] = [];
  readonly #options: RigOptions;
  readonly #environment: Record<string, string>;
  #closing = false;
  #orderId = 0;

  constructor(options: RigOptions, servers: Servers | undefined) {
    this.#options = options;
    this.engine = options.engine;
    this.servers = servers;
    this.#environment = { ...ENVIRONMENT, ...options.environment };
    if (servers !== undefined) {
      const { mongo, redis } = servers.proxies;
      const { url } = servers.mongo;
      this.#environment.MONGODB_URL = options.hooks === false ? url : throughProxy(url, mongo.port);
      const port = options.hooks === false ? servers.redis.port : redis.port;
      this.#environment.REDIS_URL = `redis://127.0.0.1:${port}`;
      this.#environment.ARTERY_ROOT_KEY = formatRootKeys(makeRootKeys());
    }
    const roles = options.engine === 'embedded' ? (['all'] as Role[]) : (options.roles ?? CLUSTER);
    this.members = roles.map((role, n) => this.#join(role, `${role}-${n}`));
  }

  /** Its servers; throws for the embedded engine. */
  get cluster(): Servers {
    if (this.servers === undefined) throw new Error('the embedded engine has no servers');
    return this.servers;
  }

  /** Those that play the role, alone or among others. */
  playing(role: Role): Member[] {
    return this.members.filter((member) => member.role === role || member.role === 'all');
  }

  /** One that plays the role and is ready now, the nth of them; waits for it. */
  async reach(role: Exclude<Role, 'all'>, nth = 0): Promise<Ready> {
    for (;;) {
      const there = this.playing(role).flatMap(({ now }) => now ?? []);
      const ready = there[nth % there.length];
      if (ready !== undefined) return ready;
      if (this.#closing) throw new Error('the rig is closed');
      await pause(20);
    }
  }

  /** Takes effect within a moment, in all threads of the process. */
  order(member: Member, orders: Orders): void {
    member.orders = { ...member.orders, ...orders };
    writeFileSync(ordersFile(member.folder), JSON.stringify(member.orders));
  }

  /**
   * Has it killed at the nth time that it comes to `step`; by this process, should it not come
   * there within `patienceMs`. Answers whether it came there.
   */
  async killAt(member: Member, step: string, nth: number, patienceMs: number): Promise<boolean> {
    member.doomed = true;
    this.#orderId += 1;
    this.order(member, { die: { step, nth, id: this.#orderId } });
    const { child } = member;
    const stop = new AbortController();
    const late = pause(patienceMs).then(() => 'late');
    const came = (await Promise.race([child.gone, late])) !== 'late';
    stop.abort();
    if (!came) await child.kill();
    return came;
  }

  /** Waits until all members are ready; throws when one ended by itself. */
  async whole(): Promise<void> {
    while (this.members.some(({ now }) => now === undefined)) {
      if (this.unexpected.length > 0) throw new Error(this.unexpected.join('\n'));
      await pause(20);
    }
  }

  async close(): Promise<void> {
    this.#closing = true;
    await Promise.all(this.members.map(({ child }) => child.kill()));
    await this.servers?.close();
  }

  /** By SIGTERM; answers the exit codes. */
  async stop(): Promise<(number | null)[]> {
    await this.whole();
    this.#closing = true;
    const codes = await Promise.all(this.members.map(({ child }) => child.stop()));
    await this.servers?.close();
    return codes;
  }

  #join(role: Role, name: string): Member {
    const { folder: parent } = this.#options;
    const folder = this.engine === 'embedded' ? parent : join(parent, name);
    mkdirSync(folder, { recursive: true });
    const member = { name, role, folder, now: undefined, doomed: false, orders: {}, starts: 0 };
    return this.#start(member as unknown as Member);
  }

  #start(member: Member): Member {
    const hooked = this.#options.hooks !== false;
    const environment = { ...this.#environment, FAULT_ORDERS: ordersFile(member.folder) };
    const execArgv = hooked ? ['--disable-warning=ExperimentalWarning', '--import', PRELOAD] : [];
    const argv = member.role === 'all' ? [] : ['--role', member.role];
    const { die: _, ...orders } = member.orders;
    this.order({ ...member, orders: {} }, orders);
    member.orders = orders;
    member.starts += 1;
    member.doomed = false;
    member.now = undefined;
    const child = startChild(member.folder, environment, argv, execArgv);
    member.child = child;
    member.ready = child.ready;
    child.ready.then(
      (ready) => {
        if (member.child === child) member.now = ready;
      },
      () => undefined,
    );
    void child.gone.then((how) => this.#ended(member, how));
    return member;
  }

  async #ended(member: Member, how: number | string | null): Promise<void> {
    // A start that finds no store ends, and is repeated: the machine may be slow and busy.
    const isPatient = member.now === undefined && member.child.output().includes(NO_STORE);
    member.now = undefined;
    if (this.#closing) return;
    if (!member.doomed && !isPatient) {
      this.unexpected.push(`${member.name}: ${how}: ${member.child.output().slice(-800)}`);
    }
    await pause(RESTART_AFTER_MS);
    if (!this.#closing) this.#start(member);
  }
}

function ordersFile(folder: string): string {
  return join(folder, 'orders.json');
}
