// A server in a process of its own, as an operator starts it: to be killed, and started again on
// the same folder. What a test asks of it goes over its own HTTP and MLLP ports.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { projectDir } from '../../src/config/config.ts';
import { readRunFile } from '../../src/config/run-file.ts';
import type { Json } from './engine.ts';

export interface Child {
  pid: number;
  /** Resolves when the server is ready; rejects when the process ended before. */
  ready: Promise<Ready>;
  /** Everything that it wrote to stdout and stderr. */
  output(): string;
  /** Resolves when the process is gone: its exit code, or the signal that ended it. */
  gone: Promise<number | NodeJS.Signals | null>;
  /** SIGSTOP, SIGCONT: to stand still for a while. */
  signal(name: NodeJS.Signals): void;
  /** SIGKILL, and waits until the process is gone. */
  kill(): Promise<void>;
  /** SIGTERM; answers the exit code. */
  stop(): Promise<number | null>;
}

export interface Ready {
  /** ms from the start of the process. */
  startMs: number;
  url: string;
  /** The operator's bearer token. */
  secret: string;
  /** MLLP ports by channel. */
  ports: Record<string, number>;
  ask(method: 'GET' | 'POST', path: string, body?: object): Promise<Json>;
  text(path: string): Promise<string>;
}

/**
 * Starts `artery start` on `folder`/data; `environment` is added to a quiet default, `argv` to
 * Artery's arguments and `execArgv` to those of node.
 */
export function startChild(
  folder: string,
  environment: Record<string, string> = {},
  argv: string[] = [],
  execArgv: string[] = [],
): Child {
  const dataDir = join(folder, 'data');
  const begun = performance.now();
  const main = join(projectDir(), 'src', 'main.ts');
  const child = spawn(process.execPath, [...execArgv, main, 'start', '--json', ...argv], {
    cwd: projectDir(),
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: process.env.PATH,
      ARTERY_DATA_DIR: dataDir,
      ARTERY_HTTP_PORT: '0',
      ARTERY_ADT_PORT: '0',
      ARTERY_LAB_PORT: '0',
      ARTERY_LOG_LEVEL: 'silent',
      ...environment,
    },
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString('utf8');
    });
  }
  const ready = waitReady(child, dataDir, begun, () => output);
  // Who kills a starting server does not wait for it.
  ready.catch(() => undefined);
  return {
    pid: child.pid ?? 0,
    ready,
    output: () => output,
    gone: once(child, 'exit').then(([code, signal]) => signal ?? code),
    signal: (name) => void child.kill(name),
    async kill() {
      await end(child, 'SIGKILL');
    },
    stop: () => end(child, 'SIGTERM'),
  };
}

async function waitReady(
  child: ChildProcess,
  dataDir: string,
  begun: number,
  output: () => string,
): Promise<Ready> {
  for (;;) {
    if (child.exitCode !== null || child.signalCode !== null) {
      const how = `${child.exitCode ?? child.signalCode}: ${output().slice(-500)}`;
      throw new Error(`the server ended while it started, ${how}`);
    }
    const note = existsSync(dataDir) ? readRunFile(dataDir) : undefined;
    if (note?.pid === child.pid && note !== undefined) {
      const startMs = Math.round(performance.now() - begun);
      return openReady(note.url, note.secret, startMs);
    }
    await pause(10);
  }
}

async function openReady(url: string, secret: string, startMs: number): Promise<Ready> {
  const headers = { authorization: `Bearer ${secret}`, 'content-type': 'application/json' };
  const call = async (method: string, path: string, body?: object) => {
    const init = body === undefined ? {} : { body: JSON.stringify(body) };
    const { response, text } = await askAgain(new URL(path, url), { method, headers, ...init });
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return text;
  };
  const ask: Ready['ask'] = async (method, path, body) => {
    return JSON.parse(await call(method, path, method === 'POST' ? (body ?? {}) : body));
  };
  const { channels } = await ask('GET', '/admin/channels');
  const ports: Record<string, number> = {};
  for (const { name, address } of channels) ports[name] = Number(address.split(':').at(-1));
  return { startMs, url, secret, ports, ask, text: (path) => call('GET', path) };
}

const TRIES = 3;

/** The server may close an idle connection just when it is used again: a busy machine. */
async function askAgain(url: URL, init: RequestInit) {
  for (let n = 1; ; n += 1) {
    try {
      const response = await fetch(url, init);
      return { response, text: await response.text() };
    } catch (thrown) {
      if (n === TRIES) throw thrown;
    }
  }
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  if (child.exitCode === null && child.signalCode === null) {
    const exit = once(child, 'exit');
    child.kill(signal);
    await exit;
  }
  return child.exitCode;
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

const STALL_MS = 30_000;

/** Messages that wait, as the server knows it. */
export async function waitingAt(ready: Ready): Promise<number> {
  const { messages } = await ready.ask('GET', '/admin/stats');
  return messages
    .filter((row: Json) => row.state === 'received')
    .reduce((sum: number, row: Json) => sum + row.count, 0);
}

/** Waits until no message waits; fails when none was worked off for half a minute. */
export async function settle(ready: Ready): Promise<void> {
  let least = Number.POSITIVE_INFINITY;
  for (let end = performance.now() + STALL_MS; performance.now() < end; await pause(100)) {
    const waiting = await waitingAt(ready);
    if (waiting === 0) return;
    if (waiting < least) end = performance.now() + STALL_MS;
    least = Math.min(least, waiting);
  }
  throw new Error(`${least} messages wait and are not worked off`);
}
