// What the FHIR endpoint refuses: status, OperationOutcome, headers, no patient data in answers.
import { describe, expect, it } from 'vitest';
import { validateResource } from '../../src/fhir/validate.ts';
import { observation, patient } from '../fhir/samples.ts';
import { type CallOptions, fhirServer } from './fhir-server.ts';

const server = fhirServer({ fhirBodyBytesMax: 20_000 });
const SECRET = 'Zaphod-4711';

describe('every refusal is an OperationOutcome', () => {
  const xml = { accept: 'application/fhir+xml' };
  const form = { 'content-type': 'application/x-www-form-urlencoded' };
  const rows: [string, string, CallOptions, number, string][] = [
    ['no token', 'GET /Patient/1', { token: '' }, 401, 'login'],
    ['a wrong token', 'GET /Patient/1', { token: 'x' }, 401, 'login'],
    ['no token for an unknown type', 'GET /Nope/1', { token: '' }, 401, 'login'],
    ['no token for a body', 'POST /Patient', { token: '', body: '{' }, 401, 'login'],
    ['an unknown type', 'GET /Nope/1', {}, 404, 'not-found'],
    ['a name of Object.prototype', 'GET /constructor', {}, 404, 'not-found'],
    ['an unknown id', 'GET /Patient/nobody', {}, 404, 'not-found'],
    ['an impossible id', 'GET /Patient/a%20b', {}, 404, 'not-found'],
    ['an unknown version', 'GET /Patient/nobody/_history/1', {}, 404, 'not-found'],
    ['no version', 'GET /Patient/nobody/_history/x', {}, 404, 'not-found'],
    ['the history of nobody', 'GET /Patient/nobody/_history', {}, 404, 'not-found'],
    ['an unknown address', 'GET /a/b/c/d/e', {}, 404, 'not-found'],
    ['XML by Accept', 'GET /Patient/1', { headers: xml }, 406, 'not-supported'],
    ['XML by _format', 'GET /Patient?_format=xml', {}, 406, 'not-supported'],
    ['XML at /metadata', 'GET /metadata', { token: '', headers: xml }, 406, 'not-supported'],
    ['JSON refused', 'GET /Patient/1', { headers: { accept: '*/*;q=0' } }, 406, 'not-supported'],
    [
      'an XML body',
      'POST /Patient',
      { body: '<x/>', headers: { 'content-type': 'application/fhir+xml' } },
      415,
      'not-supported',
    ],
    [
      'a form that is no search',
      'POST /Patient',
      { body: 'a=b', headers: form },
      415,
      'not-supported',
    ],
    ['broken JSON', 'POST /Patient', { body: `{"name":"${SECRET}"` }, 400, 'invalid'],
    ['nothing', 'POST /Patient', {}, 400, 'invalid'],
    ['an array', 'POST /Patient', { body: [] }, 400, 'invalid'],
    [
      'JSON that is too deep',
      'POST /Patient',
      { body: '['.repeat(70) + ']'.repeat(70) },
      400,
      'invalid',
    ],
    [
      'a body that is too large',
      'POST /Patient',
      { body: patient({ language: 'x'.repeat(30_000) }) },
      413,
      'too-long',
    ],
    ['another type', 'POST /Patient', { body: observation() }, 400, 'invalid'],
    ['no type', 'POST /Patient', { body: {} }, 400, 'invalid'],
    [
      'an own __proto__',
      'POST /Patient',
      { body: '{"resourceType":"Patient","__proto__":{"a":1}}' },
      400,
      'invalid',
    ],
    ['an unknown element', 'POST /Patient', { body: patient({ hair: SECRET }) }, 400, 'structure'],
    ['a bad code', 'POST /Patient', { body: patient({ gender: SECRET }) }, 422, 'code-invalid'],
    ['a bad date', 'POST /Patient', { body: patient({ birthDate: '2026-02-30' }) }, 422, 'value'],
    ['another id', 'PUT /Patient/1', { body: patient({ id: '2' }) }, 400, 'invalid'],
    ['no id', 'PUT /Patient/1', { body: patient({ id: undefined }) }, 400, 'invalid'],
    [
      'a conditional create',
      'POST /Patient',
      { body: patient(), headers: { 'if-none-exist': 'a=b' } },
      400,
      'invalid',
    ],
    [
      'a transaction',
      'POST /',
      { body: { resourceType: 'Bundle', type: 'transaction' } },
      422,
      'not-supported',
    ],
    ['a search over all types', 'GET /?_id=1', {}, 422, 'not-supported'],
    ['an unknown parameter', 'GET /Patient?hair=red', {}, 400, 'not-supported'],
    ['a bad value', `GET /Patient?birthdate=${SECRET}`, {}, 400, 'value'],
    ['a chain', 'GET /Observation?patient.name=x', {}, 400, 'not-supported'],
    ['a false cursor', 'GET /Patient?_cursor=abc', {}, 400, 'invalid'],
    ['a false history cursor', 'GET /Patient/_history?_cursor=abc', {}, 400, 'invalid'],
    ['_count=0 of a history', 'GET /Patient/_history?_count=0', {}, 400, 'invalid'],
    ['a history by name', 'GET /Patient/_history?name=x', {}, 400, 'invalid'],
  ];
  it.each(rows)('%s: %s', async (_name, line, options, status, code) => {
    const answer = await server.call(line, options);
    expect([answer.status, answer.body?.issue?.[0]?.code]).toEqual([status, code]);
    expect(answer.headers['content-type']).toBe('application/fhir+json; charset=utf-8');
    expect(validateResource(answer.body)).toEqual([]);
    expect(answer.text).not.toContain(SECRET);
    if (status === 401) expect(answer.headers['www-authenticate']).toContain('Bearer');
  });
});

describe('methods that are not served', () => {
  const rows: [string, string][] = [
    ['DELETE /Patient/1', 'GET, HEAD, PUT'],
    ['PATCH /Patient/1', 'GET, HEAD, PUT'],
    ['DELETE /Patient', 'GET, HEAD, POST'],
    ['PUT /Patient', 'GET, HEAD, POST'],
    ['POST /Patient/1', 'GET, HEAD, PUT'],
    ['GET /Patient/_search', 'POST'],
    ['DELETE /Patient/1/_history/1', 'GET, HEAD'],
  ];
  it.each(rows)('%s is answered 405', async (line, allow) => {
    const headers = { 'content-type': 'application/json-patch+json' };
    const answer = await server.call(line, line.startsWith('GET') ? {} : { body: '[]', headers });
    expect([answer.status, answer.headers.allow]).toEqual([405, allow]);
    expect(answer.body.resourceType).toBe('OperationOutcome');
  });
});

describe('access', () => {
  const rows: [string, string, string, number][] = [
    ['reader', 'GET /Patient', '', 200],
    ['reader', 'POST /Patient', 'Patient', 403],
    ['reader', 'PUT /Patient/1', 'Patient', 403],
    ['labs', 'GET /Observation', '', 200],
    ['labs', 'GET /Patient', '', 403],
    ['labs', 'GET /Patient/1', '', 403],
    ['labs', 'GET /Patient/_history', '', 403],
    ['labs', 'POST /Observation', 'Observation', 201],
    ['nothing', 'GET /Patient/1', '', 403],
    ['nothing', 'GET /metadata', '', 200],
  ];
  it.each(rows)('%s: %s', async (token, line, type, status) => {
    const body = type === 'Observation' ? observation() : patient({ id: '1' });
    const answer = await server.call(line, type === '' ? { token } : { token, body });
    expect(answer.status).toBe(status);
  });

  it('writes a denial into the audit log', async () => {
    await server.record.denials.flush();
    const before = await server.store.audit.head('default');
    await server.call('GET /Patient/1', { token: 'nothing' });
    await server.record.close();
    const rows = await server.store.audit.entries('default', before.seq + 1, 10);
    expect(rows.map((row) => JSON.parse(row.entry))).toMatchObject([{ action: 'deny' }]);
  });
});

describe('a token of one patient', () => {
  const token = 'mary';
  const of = (id: string) => observation({ subject: { reference: `Patient/${id}` } });

  it('reads and searches its own compartment only', async () => {
    await server.call('PUT /Patient/mary', { body: patient({ id: 'mary' }) });
    await server.call('PUT /Patient/john', { body: patient({ id: 'john' }) });
    await server.call('PUT /Observation/hers', { body: { ...of('mary'), id: 'hers' } });
    await server.call('PUT /Observation/his', { body: { ...of('john'), id: 'his' } });
    const status = async (line: string) => (await server.call(line, { token })).status;
    expect(await status('GET /Patient/mary')).toBe(200);
    expect(await status('GET /Patient/john')).toBe(404);
    expect(await status('GET /Observation/hers')).toBe(200);
    expect(await status('GET /Observation/his')).toBe(404);
    expect(await status('GET /Observation/his/_history')).toBe(404);
    const { body } = await server.call('GET /Observation?code=718-7', { token });
    expect(body.entry.map((entry: { resource: { id: string } }) => entry.resource.id)).toEqual([
      'hers',
    ]);
    const history = await server.call('GET /Patient/_history', { token });
    expect(history.text).not.toContain('john');
  });

  it('writes into its own compartment only, and takes nothing over', async () => {
    const send = async (line: string, body: unknown) =>
      (await server.call(line, { token, body })).status;
    expect(await send('POST /Observation', of('mary'))).toBe(201);
    expect(await send('POST /Observation', of('john'))).toBe(403);
    expect(await send('POST /Practitioner', { resourceType: 'Practitioner' })).toBe(403);
    await server.call('PUT /Observation/his', { body: { ...of('john'), id: 'his' } });
    expect(await send('PUT /Observation/his', { ...of('mary'), id: 'his' })).toBe(403);
    expect(await send('PUT /Observation/new', { ...of('mary'), id: 'new' })).toBe(201);
  });
});
