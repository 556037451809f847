// The interactions of the FHIR endpoint that succeed: create, read, update, history, search.
import { describe, expect, it } from 'vitest';
import { validateResource } from '../../src/fhir/validate.ts';
import { observation, patient } from '../fhir/samples.ts';
import { fhirServer } from './fhir-server.ts';

const server = fhirServer({ searchCountDefault: 10 });
const FHIR_JSON = 'application/fhir+json; charset=utf-8';

/** Stores a patient under a fresh id and answers the id. */
async function stored(elements: Record<string, unknown> = {}): Promise<string> {
  const { body } = await server.call('POST /Patient', { body: patient(elements) });
  return body.id;
}

describe('create', () => {
  it('answers 201 with Location, ETag and the stored resource', async () => {
    const answer = await server.call('POST /Patient', { body: patient({ id: 'mine' }) });
    const { id } = answer.body;
    expect(answer.status).toBe(201);
    expect(id).not.toBe('mine');
    expect(answer.headers).toMatchObject({
      location: `http://localhost:80/fhir/R4/Patient/${id}/_history/1`,
      etag: 'W/"1"',
      'content-type': FHIR_JSON,
    });
    expect(answer.body.meta.versionId).toBe('1');
    expect((await server.call(`GET /Patient/${id}`)).body).toEqual(answer.body);
  });

  it('honours Prefer', async () => {
    const send = (prefer: string) =>
      server.call('POST /Patient', { body: patient(), headers: { prefer: `return=${prefer}` } });
    expect((await send('minimal')).text).toBe('');
    expect((await send('OperationOutcome')).body.resourceType).toBe('OperationOutcome');
    expect((await send('representation')).body.resourceType).toBe('Patient');
  });

  it('keeps decimals as they were written', async () => {
    const text = JSON.stringify(observation()).replace('13.5', '13.50');
    const created = await server.call('POST /Observation', { body: text });
    expect(created.text).toContain('"value":13.50');
  });

  it('takes application/json as well', async () => {
    const types = ['application/json; charset=utf-8', 'application/fhir+json; fhirVersion=4.0'];
    for (const type of types) {
      const headers = { 'content-type': type };
      const answer = await server.call('POST /Patient', { body: patient(), headers });
      expect(answer.status).toBe(201);
    }
  });
});

describe('read', () => {
  it('answers 304 to who has it already', async () => {
    const id = await stored();
    const read = await server.call(`GET /Patient/${id}`);
    const since = String(read.headers['last-modified']);
    const same: Record<string, string>[] = [
      { 'if-none-match': 'W/"1"' },
      { 'if-none-match': '"1"' },
      { 'if-none-match': 'W/"7", W/"1"' },
      { 'if-modified-since': since },
    ];
    for (const headers of same) {
      const answer = await server.call(`GET /Patient/${id}`, { headers });
      expect([answer.status, answer.text]).toEqual([304, '']);
    }
    const headers = { 'if-none-match': 'W/"2"' };
    expect((await server.call(`GET /Patient/${id}`, { headers })).status).toBe(200);
  });

  it('serves HEAD', async () => {
    const id = await stored();
    const answer = await server.call(`HEAD /Patient/${id}`);
    expect([answer.status, answer.text, answer.headers.etag]).toEqual([200, '', 'W/"1"']);
  });
});

describe('update', () => {
  it('creates under the id of the URL, then makes versions of new content', async () => {
    const put = (elements = {}) =>
      server.call('PUT /Patient/chosen', { body: patient({ id: 'chosen', ...elements }) });
    const first = await put();
    expect([first.status, first.headers.etag]).toEqual([201, 'W/"1"']);
    const second = await put({ gender: 'male' });
    expect([second.status, second.headers.etag]).toEqual([200, 'W/"2"']);
    expect(second.headers.location).toBeUndefined();
    const third = await put({ gender: 'male' });
    expect([third.status, third.headers.etag]).toEqual([200, 'W/"2"']);
    expect((await server.call('GET /Patient/chosen/_history/1')).body.gender).toBe('female');
  });

  it('guards with If-Match and If-None-Match', async () => {
    const id = await stored();
    const put = (headers: Record<string, string>, active: boolean) =>
      server.call(`PUT /Patient/${id}`, { body: patient({ id, active }), headers });
    expect((await put({ 'if-match': 'W/"2"' }, true)).status).toBe(412);
    expect((await put({ 'if-none-match': '*' }, true)).status).toBe(412);
    expect((await put({ 'if-match': 'W/"1"' }, true)).status).toBe(200);
    expect((await put({ 'if-match': '"2"' }, false)).status).toBe(200);
    expect((await put({ 'if-match': 'two' }, false)).status).toBe(400);
  });

  it('lets one of two racing writers with the same If-Match win', async () => {
    const id = await stored();
    const answers = await Promise.all(
      ['male', 'other', 'unknown'].map((gender) =>
        server.call(`PUT /Patient/${id}`, {
          body: patient({ id, gender }),
          headers: { 'if-match': 'W/"1"' },
        }),
      ),
    );
    expect(answers.map((answer) => answer.status).sort()).toEqual([200, 412, 412]);
  });
});

describe('history', () => {
  it('pages through the versions of one resource, newest first', async () => {
    const id = await stored();
    for (const gender of ['male', 'other', 'unknown']) {
      await server.call(`PUT /Patient/${id}`, { body: patient({ id, gender }) });
    }
    const seen: string[] = [];
    let path: string | undefined = `/Patient/${id}/_history?_count=2`;
    for (let page = 0; path !== undefined && page < 5; page++) {
      const { body } = await server.call(`GET ${path}`);
      expect(validateResource(body)).toEqual([]);
      for (const { resource } of body.entry ?? []) seen.push(resource.meta.versionId);
      path = nextOf(body);
    }
    expect(seen).toEqual(['4', '3', '2', '1']);
  });

  it('serves a type, and _since', async () => {
    await stored();
    const all = await server.call('GET /Patient/_history?_count=3');
    expect(all.body.entry).toHaveLength(3);
    const none = await server.call('GET /Patient/_history?_since=2999-01-01T00:00:00Z');
    expect(none.body.entry).toBeUndefined();
    expect(nextOf(none.body)).toBeUndefined();
  });
});

/** Path of the next page, without the prefix. */
function nextOf(bundle: { link: { relation: string; url: string }[] }): string | undefined {
  const next = bundle.link.find((link) => link.relation === 'next');
  return next?.url.replace(/^.*\/fhir\/R4/, '');
}

describe('search', () => {
  const ids = (body: { entry?: { resource: { id: string } }[] }): string[] =>
    (body.entry ?? []).map(({ resource }) => resource.id).sort();

  it('finds by name, identifier and birth date, and nothing else', async () => {
    const id = await stored({
      name: [{ family: 'Ångström', given: ['Liv'] }],
      identifier: [{ system: 'urn:oid:9.9', value: 'S-1' }],
      birthDate: '1911-03-04',
    });
    const queries = [
      'family=angs',
      'name=liv',
      'identifier=urn:oid:9.9|s-1',
      'birthdate=1911-03-04',
      'birthdate=ge1911-03-01&birthdate=lt1911-04',
      `_id=${id}`,
      `_id=${id}&family:exact=Ångström`,
    ];
    for (const query of queries) {
      const { body } = await server.call(`GET /Patient?${encodeURI(query)}`);
      expect(ids(body), query).toEqual([id]);
      expect(validateResource(body), query).toEqual([]);
    }
    expect(ids((await server.call('GET /Patient?family=angs&gender=male')).body)).toEqual([]);
  });

  it('takes the same by POST', async () => {
    const id = await stored({ identifier: [{ system: 'urn:oid:9.9', value: 'S-2' }] });
    const { body, status } = await server.call('POST /Patient/_search?_count=5', {
      body: 'identifier=urn%3Aoid%3A9.9%7CS-2',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
    });
    expect([status, ids(body)]).toEqual([200, [id]]);
  });

  it('pages, sorts and counts the observations of a patient', async () => {
    const subject = { reference: `Patient/${await stored()}` };
    const days = ['2024-03-01', '2024-01-01', '2024-02-01', '2024-05-01', '2024-04-01'];
    for (const effectiveDateTime of days) {
      await server.call('POST /Observation', { body: observation({ subject, effectiveDateTime }) });
    }
    const query = `patient=${subject.reference}&code=718-7&_sort=-date`;
    const seen: string[] = [];
    let path: string | undefined = `/Observation?${query}&_count=2&_total=accurate`;
    for (let page = 0; path !== undefined && page < 5; page++) {
      const { body } = await server.call(`GET ${path}`);
      expect(body.total).toBe(5);
      for (const { resource } of body.entry ?? []) seen.push(resource.effectiveDateTime);
      path = nextOf(body);
    }
    expect(seen).toEqual([...days].sort().reverse());
    const count = await server.call(`GET /Observation?${query}&_summary=count`);
    expect([count.body.total, count.body.entry]).toEqual([5, undefined]);
    const some = await server.call(`GET /Observation?${query}&date=ge2024-03-01&_total=accurate`);
    expect([some.body.total, some.body.entry.length]).toEqual([3, 3]);
  });

  it('with handling=lenient tells what it left out', async () => {
    const headers = { prefer: 'handling=lenient' };
    const { body, status } = await server.call('GET /Patient?hair=red&_count=1', { headers });
    expect(status).toBe(200);
    expect(body.entry.at(-1).search.mode).toBe('outcome');
    expect(body.link[0].url).not.toContain('hair');
  });
});

it('serves /metadata without a token', async () => {
  const { status, body } = await server.call('GET /metadata', { token: '' });
  expect(status).toBe(200);
  expect(body).toMatchObject({ resourceType: 'CapabilityStatement', fhirVersion: '4.0.1' });
  expect(validateResource(body)).toEqual([]);
});
