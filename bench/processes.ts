// Starts what a scenario needs, each in a process of its own: echo, Artery, load generator.
import { type ChildProcess, execFile, fork } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const SECRET = 'operator-secret-of-a-bench-0123456789';

export interface LoadResult {
  rate: number;
  p50: number;
  p99: number;
  acked: number;
  refused: number;
}

export interface Load {
  port: number;
  file: string;
  connections: number;
  seconds: number;
  /** Distinct patients. */
  patients: number;
  /** Messages in all; overrides `seconds`. */
  count?: number;
  /** Open loop: messages per second. */
  ratePerS?: number;
}

/** Runs the load generator of `tools` (mllp-load.mjs) to its end. */
export function runLoad(tools: string, load: Load): Promise<LoadResult> {
  const environment: Record<string, string> = { JSON: '1', KEYS: String(load.patients) };
  if (load.count) environment.COUNT = String(load.count);
  if (load.ratePerS) environment.RATE = String(load.ratePerS);
  const warmup = load.count ? '0' : '2';
  const file = join(tools, 'messages', load.file);
  const shape = [String(load.connections), String(load.seconds), '1', warmup];
  const argv = [join(tools, 'mllp-load.mjs'), '127.0.0.1', String(load.port), file, ...shape];
  return new Promise((resolve, reject) => {
    execFile(
      process.execPath,
      argv,
      { env: { ...environment, PATH: process.env.PATH ?? '' }, maxBuffer: 1 << 24 },
      (error, stdout) => {
        if (error) return reject(error);
        const r = JSON.parse(stdout);
        const refused = r.AE + r.AR + r.other + r.mismatch + r.unacked;
        resolve({ rate: r['msg/s'], p50: r.p50, p99: r.p99, acked: r.acked, refused });
      },
    );
  });
}

export interface Echo {
  port: number;
  stop(): Promise<void>;
}

export async function startEcho(): Promise<Echo> {
  const child = fork(here('./echo.ts'));
  const { port } = await firstMessage<{ port: number }>(child);
  return { port, stop: () => stopChild(child) };
}

export interface Server {
  pid: number;
  url: string;
  ports: Record<string, number>;
  get(path: string, token?: string): Promise<Response>;
  /** GET with a bare keep-alive client, whose own time is small; answers the status. */
  read(path: string): Promise<number>;
  /** Accepted messages that wait. */
  waiting(): Promise<number>;
  stop(): Promise<void>;
}

/** Artery on an empty data folder, which goes with it; `settings` are added to its environment. */
export async function startServer(
  roles: string,
  settings: Record<string, string> = {},
): Promise<Server> {
  const folder = mkdtempSync(join(tmpdir(), 'artery-bench-'));
  // Nothing else: MONGODB_URL of the bench's own environment would choose the engine.
  const env = { PATH: process.env.PATH, ...settings };
  const child = fork(here('./server.ts'), [join(folder, 'data'), roles, SECRET], { env });
  const { url } = await firstMessage<{ url: string }>(child);
  const headers = { authorization: `Bearer ${SECRET}`, 'content-type': 'application/json' };
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const get = (path: string) => fetch(`${url}${path}`, { headers });
  const { channels } = (await (await get('/admin/channels')).json()) as {
    channels: { name: string; address: string }[];
  };
  const ports = channels.map(({ name, address }) => [name, Number(address.split(':').at(-1))]);
  return {
    pid: child.pid ?? 0,
    url,
    ports: Object.fromEntries(ports),
    get,
    read: (path) => read(`${url}${path}`, headers, agent),
    async waiting() {
      const text = await (await get('/metrics')).text();
      return Number(/^artery_intake_waiting (\d+)/m.exec(text)?.[1] ?? Number.NaN);
    },
    async stop() {
      agent.destroy();
      await stopChild(child);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function read(url: string, headers: Record<string, string>, agent: Agent): Promise<number> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { headers, agent }, (response) => {
      response.resume();
      response.on('end', () => resolve(response.statusCode ?? 0));
    });
    sent.on('error', reject);
    sent.end();
  });
}

function here(file: string): string {
  return fileURLToPath(new URL(file, import.meta.url));
}

function firstMessage<T>(child: ChildProcess): Promise<T> {
  return new Promise((resolve, reject) => {
    child.once('message', (message) => resolve(message as T));
    child.once('exit', (code) => reject(new Error(`the process ended with ${code}`)));
  });
}

function stopChild(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    child.once('exit', () => resolve());
    child.disconnect();
  });
}
