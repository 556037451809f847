// A real redis-server (Debian's) for tests: on a free port, with an append-only file in a folder of
// its own, to be killed, stopped for a while and started again. Where the binary is absent, REDIS
// is undefined and the tests are skipped by name.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';

/** The version that answered, or undefined. */
export const REDIS = spawnSync('redis-server', ['--version'], { encoding: 'utf8' }).stdout?.trim();
export const WITHOUT_REDIS = REDIS === undefined || REDIS === '';
export const WHY_SKIPPED = WITHOUT_REDIS ? ' (skipped: redis-server is not installed)' : '';

export interface RedisServer {
  port: number;
  url: string;
  /** A connection for the test's own questions. */
  client: Redis;
  /** SIGKILL; the append-only file stays unless `forget`. */
  kill(options?: { forget: boolean }): Promise<void>;
  /** Starts it again on the same port and folder; resolves when it answers. */
  restart(): Promise<void>;
  /** SIGSTOP and SIGCONT: connections stay open and nothing is answered. */
  freeze(): void;
  thaw(): void;
  close(): Promise<void>;
}

export async function startRedis(): Promise<RedisServer> {
  const folder = mkdtempSync(join(tmpdir(), 'artery-redis-'));
  const port = await freePort();
  let child = await launch(folder, port);
  const client = new Redis(port, '127.0.0.1', { retryStrategy: () => 50 });
  client.on('error', () => undefined);
  return {
    port,
    url: `redis://127.0.0.1:${port}`,
    client,
    async kill(options) {
      await end(child);
      if (options?.forget) rmSync(join(folder, 'appendonlydir'), { recursive: true });
    },
    async restart() {
      child = await launch(folder, port);
      await client.ping();
    },
    freeze: () => void child.kill('SIGSTOP'),
    thaw: () => void child.kill('SIGCONT'),
    async close() {
      client.disconnect();
      child.kill('SIGCONT');
      await end(child);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function launch(folder: string, port: number): Promise<ChildProcess> {
  const settings = { port, bind: '127.0.0.1', dir: folder, appendonly: 'yes', save: '' };
  const argv = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const child = spawn('redis-server', argv, { stdio: ['ignore', 'pipe', 'ignore'] });
  await new Promise<void>((resolve, reject) => {
    child.once('exit', () => reject(new Error('redis-server ended while it started')));
    child.stdout.on('data', (chunk: Buffer) => {
      if (chunk.includes('Ready to accept connections')) resolve();
    });
  });
  return child;
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port was given');
  return address.port;
}
