// A TCP proxy between the driver and a MongoDB server, a real one too: connections are cut, fall
// silent or are refused. It knows no protocol, so TLS passes. What it counts are requests: bytes of
// the client after bytes of the server; those of the driver's own monitoring are among them.
import { connect, createServer, type Server, type Socket } from 'node:net';
import { MongoClient } from 'mongodb';

/**
 * cut: the connection, before the request is delivered. lost-reply: after the server began to
 * answer it. half-open: nobody is there any more who reads or answers, the connection stays.
 */
export type NetworkFault = 'cut' | 'lost-reply' | 'half-open';

export interface MongoProxy {
  /** The server's url through the proxy. */
  readonly url: string;
  /** For one request, the nth from now. */
  fault(kind: NetworkFault, nth?: number): void;
  clearFaults(): void;
  /** Refuses connections and cuts those that are open. */
  down(): Promise<void>;
  up(): Promise<void>;
  stop(): Promise<void>;
}

/** In front of a replica set's primary, else of the url's first host (mongodb:// only). */
export async function startMongoProxy(url: string): Promise<MongoProxy> {
  const client = await new MongoClient(url).connect();
  const hello = await client.db('admin').command({ hello: 1 });
  const [first] = client.options.hosts;
  await client.close();
  const proxy = new RunningProxy(url, String(hello.primary ?? first));
  await proxy.up();
  return proxy;
}

class RunningProxy implements MongoProxy {
  readonly #url: string;
  readonly #host: string;
  readonly #hostPort: number;
  readonly #sockets = new Set<Socket>();
  #faults: { kind: NetworkFault; passes: number }[] = [];
  #server: Server | undefined;
  #port = 0;

  constructor(url: string, address: string) {
    const colon = address.lastIndexOf(':');
    this.#url = url;
    this.#host = address.slice(0, colon);
    this.#hostPort = Number(address.slice(colon + 1));
  }

  /** Direct: a replica set would name its members, and the driver go round the proxy. */
  get url(): string {
    const [, user = '', database = '', query = ''] =
      /^mongodb:\/\/([^/?]*@)?[^/?]*(\/[^?]*)?(?:\?(.*))?$/.exec(this.#url) ?? [];
    const options = query.split('&').filter((one) => one !== '' && !/^replicaSet=/i.test(one));
    options.push('directConnection=true');
    if (/tls=true|ssl=true/i.test(query) && !/Invalid/.test(query)) {
      options.push('tlsAllowInvalidHostnames=true');
    }
    return `mongodb://${user}127.0.0.1:${this.#port}${database || '/'}?${options.join('&')}`;
  }

  fault(kind: NetworkFault, nth = 1): void {
    this.#faults.push({ kind, passes: nth - 1 });
  }

  clearFaults(): void {
    this.#faults = [];
  }

  async up(): Promise<void> {
    if (this.#server !== undefined) return;
    const server = createServer({ noDelay: true }, (socket) => this.#accept(socket));
    this.#server = server;
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(this.#port, '127.0.0.1', resolve);
    });
    const address = server.address();
    if (address !== null && typeof address === 'object') this.#port = address.port;
  }

  async down(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    for (const socket of this.#sockets) socket.destroy();
    if (server !== undefined) await new Promise((resolve) => server.close(resolve));
  }

  stop(): Promise<void> {
    return this.down();
  }

  #accept(client: Socket): void {
    if (this.#server === undefined) {
      client.destroy();
      return;
    }
    const server = connect({ host: this.#host, port: this.#hostPort, noDelay: true });
    const end = (): void => {
      client.destroy();
      server.destroy();
    };
    for (const socket of [client, server]) {
      this.#sockets.add(socket);
      socket.on('error', end);
      socket.on('close', () => {
        this.#sockets.delete(socket);
        end();
      });
    }
    let asking = false;
    let met: NetworkFault | undefined;
    client.on('data', (bytes: Buffer) => {
      if (!asking) met ??= this.#take();
      asking = true;
      if (met === 'cut') end();
      else if (met === 'half-open') client.pause();
      else server.write(bytes);
    });
    server.on('data', (bytes: Buffer) => {
      asking = false;
      if (met === 'lost-reply') end();
      else if (met === undefined) client.write(bytes);
    });
  }

  /** The fault that this request meets; every armed one counts it. */
  #take(): NetworkFault | undefined {
    const due = this.#faults.find(({ passes }) => passes === 0);
    this.#faults = this.#faults.filter((one) => one !== due);
    for (const one of this.#faults) if (one.passes > 0) one.passes -= 1;
    return due?.kind;
  }
}
