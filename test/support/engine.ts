// The whole engine on the embedded adapters, in a temporary folder and on free ports, with the
// project's own channels and mappings; and what a test needs to talk to it.
import { join } from 'node:path';
import { openApp } from '../../src/app.ts';
import type { App, Role } from '../../src/commands/context.ts';
import { loadConfig } from '../../src/config/config.ts';
import { connectMllp } from '../../src/source/mllp-client.ts';
import { newFolder, removeFolders } from './folder.ts';

const SECRET = 'operator-secret-of-a-test-0123456789';

export interface TestEngine {
  app: App;
  folder: string;
  /** Sends HL7v2 texts one after the other on one connection; answers the texts of the answers. */
  send(channel: string, ...messages: string[]): Promise<string[]>;
  request(
    method: 'GET' | 'POST' | 'PUT' | 'DELETE',
    url: string,
    options?: { token?: string; body?: string | Buffer; headers?: Record<string, string> },
  ): Promise<TestResponse>;
  /** GET as the operator, parsed. */
  get<T = Json>(url: string): Promise<T>;
  token(...scopes: string[]): Promise<string>;
  /** Waits until no message is waiting; fails after a minute. */
  settle(): Promise<void>;
  /** Stops the engine; `open` on the same folder starts it again. */
  stop(): Promise<void>;
}

// biome-ignore lint/suspicious/noExplicitAny: parsed JSON that the test looks into freely
export type Json = any;

export interface TestResponse {
  status: number;
  headers: Record<string, unknown>;
  text: string;
  json: Json;
}

export interface TestEngineOptions {
  folder?: string;
  roles?: readonly Role[];
  environment?: Record<string, string>;
}

export { newFolder, removeFolders };

export async function openTestEngine(options: TestEngineOptions = {}): Promise<TestEngine> {
  const folder = options.folder ?? newFolder();
  const config = loadConfig({
    ARTERY_DATA_DIR: join(folder, 'data'),
    ARTERY_HTTP_PORT: '0',
    ARTERY_ADT_PORT: '0',
    ARTERY_LAB_PORT: '0',
    ARTERY_LOG_LEVEL: 'silent',
    ...options.environment,
  });
  const roles = options.roles ?? (['receive', 'work', 'api'] as const);
  const app = await openApp(config, { roles, listen: true, operatorSecret: SECRET });
  const engine: TestEngine = {
    app,
    folder,
    request: (method, url, request) => call(app, method, url, request),
    get: async (url) => (await call(app, 'GET', url)).json,
    async send(channel, ...messages) {
      return sendAll(await addressOf(engine, channel), messages);
    },
    async token(...scopes) {
      const body = JSON.stringify({ scopes, label: 'test' });
      const made = await call(app, 'POST', '/admin/tokens', { body });
      return made.json.token;
    },
    settle: () => settle(engine),
    stop: () => app.close(),
  };
  return engine;
}

async function call(
  app: App,
  method: 'GET' | 'POST' | 'PUT' | 'DELETE',
  url: string,
  options: { token?: string; body?: string | Buffer; headers?: Record<string, string> } = {},
): Promise<TestResponse> {
  const response = await fetch(new URL(url, app.address), {
    method,
    headers: {
      authorization: `Bearer ${options.token ?? SECRET}`,
      ...(options.body === undefined ? {} : { 'content-type': 'application/json' }),
      ...options.headers,
    },
    ...(options.body === undefined ? {} : { body: new Uint8Array(Buffer.from(options.body)) }),
  });
  const text = await response.text();
  const headers = Object.fromEntries(response.headers);
  return { status: response.status, headers, text, json: parse(text) };
}

function parse(text: string): Json {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

async function addressOf(
  engine: TestEngine,
  name: string,
): Promise<{ host: string; port: number }> {
  const { channels } = await engine.get('/admin/channels');
  const address: string = channels.find((one: Json) => one.name === name).address;
  const port = Number(address.split(':').at(-1));
  return { host: '127.0.0.1', port };
}

async function sendAll(
  address: { host: string; port: number },
  messages: string[],
): Promise<string[]> {
  const client = await connectMllp({ ...address, timeoutMs: 15_000 });
  const answers: string[] = [];
  for (const message of messages) {
    const bytes = Buffer.from(message.replaceAll('\n', '\r'));
    const [answer] = await client.send(bytes, 1);
    answers.push(Buffer.from(answer ?? []).toString('latin1'));
  }
  await client.close();
  return answers;
}

async function settle(engine: TestEngine): Promise<void> {
  const end = Date.now() + 60_000;
  for (;;) {
    const { messages } = await engine.get('/admin/messages?state=received&limit=1');
    if (messages.length === 0) return;
    if (Date.now() > end) throw new Error('messages still wait after a minute');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
