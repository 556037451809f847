// What every command gets from the process, so that tests can pass their own. It reads nothing.
import type { Config, Environment } from '../config/config.ts';

/** Parts of the engine that a process runs: taking messages in, applying them, answering HTTP. */
export type Role = 'receive' | 'work' | 'api';

export interface OpenOptions {
  roles: readonly Role[];
  /** false: nothing listens; the caller uses `fastify.inject`. */
  listen: boolean;
  /** The bearer token that stands for the operator on this machine. */
  operatorSecret: string;
}

/** Answers a request without a socket; a Fastify instance is one. */
export interface Injector {
  inject(request: {
    method: 'GET' | 'POST' | 'DELETE';
    url: string;
    headers: Record<string, string>;
    payload?: string | Buffer;
  }): Promise<{ statusCode: number; rawPayload: Uint8Array }>;
}

/** The running engine. src/app.ts makes it. */
export interface App {
  readonly fastify: Injector;
  /** `http://127.0.0.1:8080`; '' when nothing listens. */
  readonly address: string;
  /** Reads channel, mapping and certificate files again; a faulty one is refused. */
  reload(): void;
  /** Finishes what runs, then releases everything. */
  close(): Promise<void>;
}

export type OpenApp = (config: Config, options: OpenOptions) => Promise<App>;

export interface CommandContext {
  /** Results: what a script reads. */
  out(text: string): void;
  /** Progress and errors: what a person reads. */
  note(text: string): void;
  /** Bytes for `--raw`. */
  outBytes(bytes: Uint8Array): void;
  environment: Environment;
  openApp: OpenApp;
  now(): number;
  /** Calls `reload` at each SIGHUP; in a terminal, which so tells its end, SIGHUP stops instead. */
  onReload(reload: () => void): void;
  /** Resolves at SIGTERM, SIGINT or when the launcher is gone. */
  untilStopped(): Promise<void>;
}
