// The FHIR plugin on a small Fastify over a real record on the embedded store, for one test file.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Fastify, { type FastifyInstance } from 'fastify';
import { afterAll, beforeAll } from 'vitest';
import { fhirApi } from '../../src/api/fhir/plugin.ts';
import { defaultLimits, type Limits } from '../../src/config/limits.ts';
import { makeRootKeys } from '../../src/crypto/keys.ts';
import { EngineError } from '../../src/model/errors.ts';
import type { Principal } from '../../src/model/principal.ts';
import { type ClinicalRecord, openRecord } from '../../src/record/context.ts';
import type { Damage } from '../../src/record/damage.ts';
import { openSqliteStore, type SqliteStore } from '../../src/store/sqlite/open.ts';
import { createTelemetry, type Telemetry } from '../../src/telemetry/events.ts';
import { silentLogger } from '../../src/telemetry/logger.ts';
import { createMetrics } from '../../src/telemetry/metrics.ts';

export const PREFIX = '/fhir/R4';

export interface Answer {
  status: number;
  headers: Record<string, unknown>;
  // biome-ignore lint/suspicious/noExplicitAny: answers are looked into by path, as a client would
  body: any;
  text: string;
}

export interface CallOptions {
  token?: string;
  headers?: Record<string, string>;
  body?: unknown;
}

export interface FhirServer {
  app: FastifyInstance;
  record: ClinicalRecord;
  store: SqliteStore;
  /** Folder of the store. */
  folder: string;
  /** What was told of records that do not open. */
  damages: Damage[];
  /** `PUT /Patient/1`; the body is sent as FHIR JSON, a string as it is. Default token: `all`. */
  call(line: string, options?: CallOptions): Promise<Answer>;
}

/** Bearer tokens that the tests use, and their scopes. */
const TOKENS: Record<string, Partial<Principal>> = {
  all: { scopes: ['system/*.cruds'] },
  reader: { scopes: ['system/*.rs'] },
  labs: { scopes: ['system/Observation.cruds'] },
  mary: { scopes: ['patient/*.cruds'], patient: 'mary' },
  nothing: { scopes: [] },
};

/** Opened before the tests of the file, closed and removed after them. */
export function fhirServer(limits: Partial<Limits> = {}): FhirServer {
  const server = { damages: [] as Damage[] } as FhirServer;
  const folder = mkdtempSync(join(tmpdir(), 'artery-fhir-'));
  beforeAll(async () => {
    server.store = await openSqliteStore({ folder });
    const rootKeys = makeRootKeys();
    server.folder = folder;
    const damaged = (damage: Damage) => void server.damages.push(damage);
    server.record = openRecord({ store: server.store, rootKeys, clock: Date.now, damaged });
    server.app = Fastify({ logger: false });
    await server.app.register(fhirApi, {
      ...{ prefix: PREFIX, record: server.record, authenticate, telemetry: telemetry() },
      ...{ limits: { ...defaultLimits(), ...limits }, version: '0.1.0' },
    });
    server.call = (line, options) => call(server.app, line, options);
  });
  afterAll(async () => {
    await server.app.close();
    await server.record.close();
    await server.store.close();
    rmSync(folder, { recursive: true, force: true });
  });
  return server;
}

function telemetry(): Telemetry {
  return createTelemetry(silentLogger(), createMetrics());
}

async function authenticate(request: { headers: { authorization?: string } }): Promise<Principal> {
  const token = request.headers.authorization?.replace('Bearer ', '') ?? '';
  const grant = TOKENS[token];
  if (grant === undefined) throw new EngineError('UNAUTHENTICATED');
  return { tenant: 'default', id: token, peer: '10.0.0.1', scopes: [], patient: null, ...grant };
}

async function call(
  app: FastifyInstance,
  line: string,
  { token = 'all', headers = {}, body }: CallOptions = {},
): Promise<Answer> {
  const [method = '', path = ''] = line.split(' ');
  const answer = await app.inject({
    method: method as 'GET',
    url: PREFIX + path,
    headers: {
      ...(token === '' ? {} : { authorization: `Bearer ${token}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/fhir+json' }),
      ...headers,
    },
    ...(body === undefined
      ? {}
      : { payload: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  const text = answer.body;
  const isJson = String(answer.headers['content-type']).includes('json');
  return {
    status: answer.statusCode,
    headers: answer.headers,
    body: isJson && text !== '' ? JSON.parse(text) : undefined,
    text,
  };
}
