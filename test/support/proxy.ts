// A TCP proxy before a local port, whose connections can be cut or made half open: they stay open
// and nothing passes any more, as behind a firewall that has forgotten them.
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

export interface Proxy {
  port: number;
  /** Nothing passes on the connections that are open now; new ones work. */
  silence(): void;
  /** Ends the n-th connection ever made. */
  cut(n: number): void;
  close(): Promise<void>;
}

/** `target`: a local port, asked for with each connection where it may change. */
export async function openProxy(target: number | (() => number)): Promise<Proxy> {
  const pairs: [Socket, Socket][] = [];
  const server = createServer((near) => {
    const far = connect(typeof target === 'number' ? target : target(), '127.0.0.1');
    pairs.push([near, far]);
    near.pipe(far);
    far.pipe(near);
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      one.on('error', () => undefined);
      one.on('close', () => other.destroy());
    }
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port was given');
  return {
    port: address.port,
    silence() {
      for (const [near, far] of pairs) {
        near.unpipe(far).resume();
        far.unpipe(near).resume();
      }
    },
    cut: (n) => void pairs[n]?.[0].destroy(),
    async close() {
      for (const pair of pairs) for (const socket of pair) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
