// The grid of scopes, routes and interactions. The routes come from the router itself; what each
// needs is written down here a second time, so that a wrong declaration shows.
import Fastify, { type FastifyInstance } from 'fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RouteRow, requireAccess } from '../../src/api/route-access.ts';
import { openTestEngine, removeFolders, type TestEngine } from '../support/engine.ts';

/** `system/Patient.r`, `admin/tokens.c`; `channel`, `token` (any) or `open` (none). */
const NEEDS: Record<string, string> = {
  'GET /livez': 'open',
  'GET /readyz': 'open',
  'GET /health': 'open',
  'GET /metrics': 'admin/metrics.r',
  'GET /fhir/R4/metadata': 'open',
  'GET /fhir/R4/:type/:id': 'system/Patient.r',
  'GET /fhir/R4/:type/:id/_history/:version': 'system/Patient.r',
  'GET /fhir/R4/:type/:id/_history': 'system/Patient.r',
  'GET /fhir/R4/:type/_history': 'system/Patient.s',
  'GET /fhir/R4/:type': 'system/Patient.s',
  'POST /fhir/R4/:type/_search': 'system/Patient.s',
  'POST /fhir/R4/:type': 'system/Patient.c',
  'PUT /fhir/R4/:type/:id': 'system/Patient.u',
  'GET /admin/messages': 'admin/messages.s',
  'GET /admin/messages/:id': 'admin/messages.r',
  'GET /admin/messages/:id/raw': 'admin/messages.r',
  'POST /admin/messages/:id/replay': 'admin/messages.u',
  'POST /admin/messages/replay': 'admin/messages.u',
  'GET /admin/channels': 'admin/channels.s',
  'GET /admin/stats': 'admin/stats.r',
  'POST /admin/tokens': 'admin/tokens.c',
  'GET /admin/tokens': 'admin/tokens.s',
  'DELETE /admin/tokens/:id': 'admin/tokens.d',
  'GET /admin/audit': 'admin/audit.s',
  'GET /admin/audit/bodies': 'admin/audit.r',
  'POST /admin/audit/verify': 'admin/audit.r',
  'GET /admin/keys': 'admin/keys.r',
  'POST /admin/keys/rotate': 'admin/keys.u',
  'POST /admin/patients/:id/forget': 'admin/patients.d',
  'POST /admin/backup': 'admin/backup.c',
  'POST /channels/:name': 'channel',
  'GET /channels/:name/messages/:id': 'channel',
};

const CHANNEL = 'fhir-inbound';
const VERBS = ['c', 'r', 'u', 'd', 's'];
/** Every subset of the verbs but the empty one, in the order that SMART asks for. */
const SUBSETS = Array.from({ length: 31 }, (_, i) =>
  VERBS.filter((_verb, bit) => (i + 1) & (1 << bit)).join(''),
);

let engine: TestEngine;
const tokens = new Map<string, string>();

beforeAll(async () => {
  // Who has no token asks here more often than a stranger may.
  const environment = { ARTERY_STRANGER_FAILURES_PER_MINUTE: '100000' };
  engine = await openTestEngine({ environment });
  await engine.request('PUT', '/fhir/R4/Patient/stored', {
    headers: { 'content-type': 'application/fhir+json' },
    body: '{"resourceType":"Patient","id":"stored","name":[{"family":"Gridsdottir"}]}',
  });
});

afterAll(async () => {
  await engine.stop();
  removeFolders();
});

describe('the grid', () => {
  it('names every route of the router that does more than refuse, and no other', () => {
    const served = table().filter(({ access }) => access.kind !== 'token');
    const names = served.filter(({ method }) => method !== 'HEAD').map(nameOf);
    expect(names.sort()).toEqual(Object.keys(NEEDS).sort());
  });

  it('lets a caller in exactly where a scope of his says so', async () => {
    const wrong: string[] = [];
    for (const row of table()) {
      const needs = row.access.kind === 'token' ? 'token' : needsOf(row);
      for (const [scopes, expected] of casesOf(needs)) {
        const status = await statusOf(row.method, urlOf(row.url), scopes);
        const isIn = status !== 401 && status !== 403;
        if (isIn !== expected) wrong.push(`${nameOf(row)} with ${scopes}: ${status}`);
      }
    }
    expect(wrong).toEqual([]);
  }, 120_000);

  it('refuses to register a route that declares no access', () => {
    const app = Fastify();
    requireAccess(app);
    expect(() => app.get('/left-open', async () => 'data')).toThrow('declares no access');
  });
});

describe('other spellings of an address', () => {
  const paths = [
    ...['/Patient/_history', '/Patient/%5Fhistory', '/Patient/_history/', '/Patient//_history'],
    ...['/Patient', '/Patient/', '/Patient?', '/Patient?_format=json', '//Patient', '/patient'],
    ...['/Patient/_search', '/Patient/_search?family=x', '/Patient;x', '/Patient%2F_history'],
    ...['/PATIENT/_history', '/./Patient/_history', '/Patient/_history?_format=json', '/%50atient'],
    ...['/', '/_history', '/_search', '/Patient/*', '/Patient/_history/_history', '?_type=Patient'],
  ];
  it.each(paths)('%s shows no list to one who may read an instance only', async (path) => {
    for (const method of ['GET', 'HEAD', 'POST']) {
      const status = await statusOf(method, `/fhir/R4${path}`, 'system/Patient.r');
      expect([method, status < 300]).toEqual([method, false]);
    }
  });

  const instances = [
    ...['/Patient/stored', '/Patient/stored/_history', '/Patient/stored/_history/1'],
    ...[
      '/Patient/stored?_format=json',
      '/Patient/%73tored',
      '/Patient/stored/',
      '/Patient/stored?',
    ],
  ];
  it.each(instances)('%s shows no instance to one who may search only', async (path) => {
    for (const method of ['GET', 'HEAD']) {
      expect(await statusOf(method, `/fhir/R4${path}`, 'system/Patient.cuds')).not.toBe(200);
    }
  });
});

function table(): readonly RouteRow[] {
  return (engine.app.fastify as FastifyInstance).routeTable;
}

function nameOf({ method, url }: RouteRow): string {
  return `${method} ${url}`;
}

/** HEAD shows as much as GET does not; it needs the same. */
function needsOf(row: RouteRow): string {
  const needs = NEEDS[`${row.method === 'HEAD' ? 'GET' : row.method} ${row.url}`];
  if (needs === undefined) throw new Error(`${nameOf(row)} is not in the grid`);
  return needs;
}

function urlOf(url: string): string {
  const id = url.startsWith('/fhir') ? 'stored' : '01a203ba-54b3-7ffc-a8be-000000000000';
  return url
    .replace(':type', 'Patient')
    .replace(':id', id)
    .replace(':version', '1')
    .replace(':name', CHANNEL);
}

/** Scopes and whether they open a route that needs this. */
function casesOf(needs: string): [string, boolean][] {
  const any = needs === 'open' || needs === 'token';
  const everything = ['system/*.cruds', 'admin/*.cruds', 'channel/*.write'];
  if (any)
    return [['', needs === 'open'], ...everything.map((one): [string, boolean] => [one, true])];
  if (needs === 'channel') {
    const [fhir = '', admin = '', all = ''] = everything;
    return [
      ...([
        ['', false],
        [fhir, false],
        [admin, false],
        [all, true],
      ] as [string, boolean][]),
      [`channel/${CHANNEL}.write`, true],
      ['channel/rest-inbound.write', false],
    ];
  }
  const [, context = '', subject = '', verb = ''] = /^(\w+)\/(\w+)\.(\w)$/.exec(needs) ?? [];
  const subsets = (scope: string) =>
    SUBSETS.map((verbs): [string, boolean] => [`${scope}.${verbs}`, verbs.includes(verb)]);
  const other = context === 'admin' ? 'admin/nothing' : 'system/Observation';
  const isFhir = context === 'system';
  return [
    ['', false],
    [`${other}.cruds`, false],
    [isFhir ? 'admin/*.cruds' : 'system/*.cruds', false],
    ['channel/*.write', false],
    ['patient/Patient.cruds', false],
    ...subsets(`${context}/${subject}`),
    ...subsets(`${context}/*`),
    ...(isFhir ? subsets(`user/${subject}`) : []),
  ];
}

/** '' = without a token. */
async function statusOf(method: string, url: string, scopes: string): Promise<number> {
  const headers: Record<string, string> = {};
  if (scopes !== '') headers.authorization = `Bearer ${await tokenOf(scopes)}`;
  const answer = await engine.app.fastify.inject({ method: method as 'GET', url, headers });
  return answer.statusCode;
}

async function tokenOf(scopes: string): Promise<string> {
  const known = tokens.get(scopes);
  if (known !== undefined) return known;
  const made = await engine.token(scopes);
  tokens.set(scopes, made);
  return made;
}
