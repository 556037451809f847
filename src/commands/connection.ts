// How a command reaches the data: over HTTP to the server that runs on this data folder, else by
// opening the same application in this process without listening. Both answer the same requests.
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from '../config/config.ts';
import { readRunFile } from '../config/run-file.ts';
import { EngineError, ERRORS, type ErrorCode } from '../model/errors.ts';
import type { App, CommandContext } from './context.ts';
import { CommandError, EXIT, exitCodeOf } from './outcome.ts';

export interface Request {
  query?: Record<string, string | number | boolean | undefined>;
  json?: unknown;
  bytes?: Uint8Array;
  headers?: Record<string, string>;
}

export interface Connection {
  /** Throws CommandError for every answer that is no success, with the server's reason. */
  call(method: 'GET' | 'POST' | 'DELETE', path: string, request?: Request): Promise<Uint8Array>;
  /** call() and JSON.parse. */
  ask<T>(method: 'GET' | 'POST' | 'DELETE', path: string, request?: Request): Promise<T>;
}

interface Answer {
  status: number;
  body: Uint8Array;
}
type Send = (
  method: 'GET' | 'POST' | 'DELETE',
  url: string,
  headers: Record<string, string>,
  body: string | Uint8Array | undefined,
) => Promise<Answer>;

/** A server that starts has its folder for a while before it answers. */
const FOLDER_WAIT_MS = 15_000;
const FOLDER_LOOK_MS = 200;

/** Opens, uses and closes. Waits for a folder that somebody else has just opened. */
export async function withServer<T>(
  context: CommandContext,
  config: Config,
  use: (connection: Connection) => Promise<T>,
): Promise<T> {
  const until = performance.now() + FOLDER_WAIT_MS;
  for (;;) {
    const running = readRunFile(config.dataDir);
    if (running !== undefined && (await answers(running.url))) {
      return use(connectionOver(sendHttp(running.url), running.secret));
    }
    const operatorSecret = makeSecret();
    const app = await openHere(context, config, operatorSecret, performance.now() < until);
    if (app !== undefined) {
      return use(connectionTo(app, operatorSecret)).finally(() => app.close());
    }
    await sleep(FOLDER_LOOK_MS);
  }
}

/** Undefined when another process has the folder and `mayWait`; else that is thrown. */
async function openHere(
  context: CommandContext,
  config: Config,
  operatorSecret: string,
  mayWait: boolean,
): Promise<App | undefined> {
  const quiet: Config = Object.freeze({ ...config, logLevel: 'silent' });
  try {
    return await context.openApp(quiet, { roles: ['api'], listen: false, operatorSecret });
  } catch (thrown) {
    if (mayWait && thrown instanceof EngineError && thrown.code === 'STORE_LOCKED') return;
    throw thrown;
  }
}

/** A connection to an application of this process. */
export function connectionTo(app: App, operatorSecret: string): Connection {
  return connectionOver(sendInject(app), operatorSecret);
}

export function makeSecret(): string {
  return randomBytes(32).toString('base64url');
}

/** The run file may outlive its server, and its number may be another process's by now. */
async function answers(url: string): Promise<boolean> {
  try {
    await fetch(`${url}/livez`, { signal: AbortSignal.timeout(5_000) });
    return true;
  } catch {
    return false;
  }
}

function connectionOver(send: Send, secret: string): Connection {
  const call: Connection['call'] = async (method, path, request = {}) => {
    const headers: Record<string, string> = {
      authorization: `Bearer ${secret}`,
      ...request.headers,
    };
    const body = bodyOf(request, headers);
    const answer = await send(method, `${path}${queryOf(request.query)}`, headers, body);
    if (answer.status >= 200 && answer.status < 300) return answer.body;
    throw refusalOf(answer);
  };
  return {
    call,
    ask: async (method, path, request) => {
      const body = await call(method, path, request);
      return JSON.parse(Buffer.from(body).toString('utf8')) as never;
    },
  };
}

function bodyOf(
  request: Request,
  headers: Record<string, string>,
): string | Uint8Array | undefined {
  if (request.bytes !== undefined) {
    headers['content-type'] ??= 'application/octet-stream';
    return request.bytes;
  }
  if (request.json === undefined) return undefined;
  headers['content-type'] = 'application/json';
  return JSON.stringify(request.json);
}

function queryOf(query: Request['query']): string {
  const given = Object.entries(query ?? {}).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, String(value)] satisfies [string, string]],
  );
  return given.length === 0 ? '' : `?${new URLSearchParams(given)}`;
}

function sendHttp(base: string): Send {
  return async (method, url, headers, body) => {
    const sent =
      body === undefined ? {} : { body: typeof body === 'string' ? body : new Uint8Array(body) };
    const response = await fetch(`${base}${url}`, { method, headers, ...sent });
    return { status: response.status, body: new Uint8Array(await response.arrayBuffer()) };
  };
}

function sendInject(app: App): Send {
  return async (method, url, headers, body) => {
    const payload =
      body === undefined ? {} : { payload: typeof body === 'string' ? body : Buffer.from(body) };
    const response = await app.fastify.inject({ method, url, headers, ...payload });
    return { status: response.statusCode, body: response.rawPayload };
  };
}

interface OutcomeIssue {
  diagnostics?: string;
  details?: { text?: string };
}

/** Problem details or an OperationOutcome, as one line. */
function refusalOf(answer: Answer): CommandError {
  const text = Buffer.from(answer.body).toString('utf8');
  let detail = `The server answered ${answer.status}.`;
  let code: ErrorCode | undefined;
  let problem: Record<string, unknown> | undefined;
  try {
    problem = JSON.parse(text) as Record<string, unknown>;
    if (typeof problem.detail === 'string') detail = problem.detail;
    if (typeof problem.code === 'string' && Object.hasOwn(ERRORS, problem.code))
      code = problem.code as ErrorCode;
    const [issue] = (problem.issue as OutcomeIssue[] | undefined) ?? [];
    detail = issue?.diagnostics ?? issue?.details?.text ?? detail;
  } catch {
    // Not of our making: the status is all there is to say.
  }
  return new CommandError(
    code === undefined ? exitCodeOfStatus(answer.status) : exitCodeOf(code),
    detail,
    { answer: problem },
  );
}

function exitCodeOfStatus(status: number): (typeof EXIT)[keyof typeof EXIT] {
  if (status === 404 || status === 410) return EXIT.notFound;
  if (status === 400 || status === 422) return EXIT.usage;
  return status >= 401 && status < 500 ? EXIT.refused : EXIT.failed;
}
