// A TCP proxy before a server: its connections are cut, late, refused, or made half open, which is
// that they stay and nothing passes, as behind a firewall that has forgotten them. It knows no
// protocol, so TLS passes. What it counts are requests: bytes of the client after the server's.
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

/**
 * cut: the connection, before the request is delivered. lost-reply: after the server began to
 * answer it. half-open: nobody is there any more who reads or answers, the connection stays.
 */
export type RequestFault = 'cut' | 'lost-reply' | 'half-open';

export interface Proxy {
  readonly port: number;
  /** For one request, the nth from now. */
  fault(kind: RequestFault, nth?: number): void;
  /** Faults that no request has met yet. */
  readonly armed: number;
  clearFaults(): void;
  /** What a client sends comes so much later, until 0. */
  slow(ms: number): void;
  /** Nothing passes on the connections that are open now; new ones work. */
  silence(): void;
  /** Ends the n-th connection ever made; by default all that are open. New ones work. */
  cut(n?: number): void;
  /** Refuses connections and cuts those that are open. */
  down(): Promise<void>;
  /** Listens again on the same port. */
  up(): Promise<void>;
  close(): Promise<void>;
}

/** A local port, asked for with each connection where it may change, or `host:port`. */
export type Target = number | string | (() => number);

export async function openProxy(target: Target): Promise<Proxy> {
  const proxy = new RunningProxy(target);
  await proxy.up();
  return proxy;
}

interface Link {
  number: number;
  near: Socket;
  far: Socket;
  silent: boolean;
}

class RunningProxy implements Proxy {
  readonly #target: Target;
  readonly #links = new Set<Link>();
  #faults: { kind: RequestFault; passes: number }[] = [];
  #lateMs = 0;
  #made = 0;
  #port = 0;
  #server: Server | undefined;

  constructor(target: Target) {
    this.#target = target;
  }

  get port(): number {
    return this.#port;
  }

  get armed(): number {
    return this.#faults.length;
  }

  fault(kind: RequestFault, nth = 1): void {
    this.#faults.push({ kind, passes: nth - 1 });
  }

  clearFaults(): void {
    this.#faults = [];
  }

  slow(ms: number): void {
    this.#lateMs = ms;
  }

  silence(): void {
    for (const link of this.#links) link.silent = true;
  }

  cut(n?: number): void {
    for (const link of this.#links) if (n === undefined || link.number === n) end(link);
  }

  async up(): Promise<void> {
    if (this.#server !== undefined) return;
    this.#server = createServer({ noDelay: true }, (near) => this.#accept(near));
    this.#server.listen(this.#port, '127.0.0.1');
    await once(this.#server, 'listening');
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('no port was given');
    this.#port = address.port;
  }

  async down(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    this.cut();
    if (server !== undefined) await new Promise((resolve) => server.close(resolve));
  }

  close(): Promise<void> {
    return this.down();
  }

  #accept(near: Socket): void {
    if (this.#server === undefined) {
      near.destroy();
      return;
    }
    const far = connect({ ...addressOf(this.#target), noDelay: true });
    const link = { number: this.#made++, near, far, silent: false };
    this.#links.add(link);
    for (const socket of [near, far]) {
      socket.on('error', () => end(link));
      socket.on('close', () => this.#links.delete(link));
    }
    near.on('close', () => far.destroySoon());
    far.on('close', () => near.destroySoon());
    this.#pass(link);
  }

  #pass(link: Link): void {
    const { near, far } = link;
    let asking = false;
    let met: RequestFault | undefined;
    near.on('data', (bytes: Buffer) => {
      if (!asking) met ??= this.#take();
      asking = true;
      if (met === 'cut') end(link);
      else if (met === 'half-open') near.pause();
      else if (!link.silent) void forward(near, far, bytes, this.#lateMs);
    });
    far.on('data', (bytes: Buffer) => {
      asking = false;
      if (met === 'lost-reply') end(link);
      else if (met === undefined && !link.silent) void forward(far, near, bytes, 0);
    });
  }

  /** The fault that this request meets; every armed one counts it. */
  #take(): RequestFault | undefined {
    const due = this.#faults.find(({ passes }) => passes === 0);
    this.#faults = this.#faults.filter((one) => one !== due);
    for (const one of this.#faults) if (one.passes > 0) one.passes -= 1;
    return due?.kind;
  }
}

/** One piece after the other, and no more than what the other side takes. */
async function forward(from: Socket, to: Socket, bytes: Buffer, lateMs: number): Promise<void> {
  from.pause();
  if (lateMs > 0) await new Promise((resolve) => setTimeout(resolve, lateMs));
  to.write(bytes, () => from.resume());
}

function end({ near, far }: Link): void {
  near.destroy();
  far.destroy();
}

function addressOf(target: Target): { host: string; port: number } {
  if (typeof target === 'number') return { host: '127.0.0.1', port: target };
  if (typeof target === 'function') return addressOf(target());
  const colon = target.lastIndexOf(':');
  // An IPv6 address stands in brackets.
  const host = target.slice(0, colon).replace(/^\[|\]$/g, '');
  return { host, port: Number(target.slice(colon + 1)) };
}
