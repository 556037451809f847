// Names that every object has (`toString`) where the engine looks something up by a name from
// outside: they are unknown names, as any other.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseDocument } from 'yaml';
import { processEnvironment } from '../../src/config/config.ts';
import { expandVariables } from '../../src/config/expand.ts';
import { compartmentPlaces, parametersOf } from '../../src/fhir/parameters.ts';
import { validateResource } from '../../src/fhir/validate.ts';
import { ERRORS } from '../../src/model/errors.ts';
import { tableOf } from '../../src/model/table.ts';
import { type Json, openTestEngine, removeFolders, type TestEngine } from '../support/engine.ts';

const NAMES = Object.getOwnPropertyNames(Object.prototype);

let engine: TestEngine;

beforeAll(async () => {
  engine = await openTestEngine();
});

afterAll(async () => {
  await engine.stop();
  removeFolders();
});

describe.each(NAMES)('%s', (name) => {
  it('is in no table', () => {
    const table: Record<string, number> = tableOf({ known: 1 });
    expect([table[name], name in ERRORS]).toEqual([undefined, false]);
    expect(() => compartmentPlaces(name)).not.toThrow();
    expect(compartmentPlaces(name)).toEqual([]);
    expect(parametersOf(name).has(name)).toBe(false);
    expect(validateResource({ resourceType: name })[0]?.code).toBe('structure');
  });

  it('is no resource type, parameter, modifier, sort key or history of /fhir', async () => {
    for (const [path, status] of [
      [`/${name}`, 404],
      [`/${name}/1`, 404],
      [`/${name}/_history`, 404],
      [`/Patient?${name}=1`, 400],
      [`/Patient?name:${name}=1`, 400],
      [`/Patient?_sort=${name}`, 400],
      [`/Observation?subject:${name}=1`, 400],
      [`/Patient/_history?${name}=1`, 400],
    ] as const) {
      const answer = await engine.request('GET', `/fhir/R4${path}`);
      expect([path, answer.status]).toEqual([path, status]);
    }
  });

  it('is no resource type, element or parameter of what is posted', async () => {
    const headers = { 'content-type': 'application/fhir+json' };
    for (const body of [
      `{"resourceType":"${name}"}`,
      `{"resourceType":"Patient","${name}":"x"}`,
      `{"resourceType":"Patient","name":[{"${name}":"x"}]}`,
      `{"resourceType":"Patient","contained":[{"resourceType":"${name}","id":"a"}]}`,
    ]) {
      const answer = await engine.request('POST', '/fhir/R4/Patient', { headers, body });
      expect(answer.status, body).toBe(400);
    }
  });

  it('sets a bundle aside at the first attempt, and it can be looked at', async () => {
    const resource = `{"resourceType":"${name}","identifier":[{"system":"urn:a:b","value":"1"}]}`;
    const entry = `{"request":{"method":"POST","url":"${name}"},"resource":${resource}}`;
    const bundle = `{"resourceType":"Bundle","type":"transaction","entry":[${entry}]}`;
    const message = await post('fhir-inbound', bundle);
    expect([message.state, message.attempts]).toEqual(['set-aside', 1]);
    const alone = await engine.request('POST', '/channels/fhir-inbound', { body: resource });
    expect(alone.status).toBe(400);
  });

  it('is no member of a record, and no channel, message or token', async () => {
    const record = `{"mrn":"1","family":"A","birthDate":"1980-02-03","${name}":"x"}`;
    const body = Buffer.from(record);
    const answer = await engine.request('POST', '/channels/rest-inbound', { body });
    expect(answer.status, answer.text).toBe(400);
    expect((await engine.request('POST', `/channels/${name}`, { body })).status).toBe(404);
    const statuses = [
      (await engine.request('GET', `/admin/messages?${name}=1`)).status,
      (await engine.request('GET', `/admin/messages?state=${name}`)).status,
      (await engine.request('POST', '/admin/tokens', { body: `{"scopes":["${name}"]}` })).status,
      (await engine.request('POST', '/admin/keys/rotate', { body: `{"key":"${name}"}` })).status,
    ];
    expect(statuses).toEqual([400, 400, 400, 400]);
  });

  it('names no variable of a channel file', () => {
    const document = parseDocument(`host: "${'$'}{${name}:-fallback}"`);
    expect(expandVariables(document, processEnvironment())).toEqual([]);
    expect(document.get('host')).toBe('fallback');
  });

  it('is no message type, charset or segment of HL7v2', async () => {
    const id = `proto-${name.replaceAll('_', '')}`;
    const header = `MSH|^~\\&|${name}|FAC|A|F|20260131||${name}^${name}^${name}|${id}|P|2.5.1`;
    const [ack = ''] = await engine.send('adt-inbound', `${header}||||||${name}\n${name}|1`);
    expect(ack).toMatch(/MSA\|A[ER]\|/);
  });
});

async function post(channel: string, body: string): Promise<Json> {
  const headers = { 'content-type': 'application/json' };
  const taken = await engine.request('POST', `/channels/${channel}`, { headers, body });
  expect(taken.status, taken.text).toBe(202);
  await engine.settle();
  const [id] = /[0-9a-f]{8}-[0-9a-f-]{27}/.exec(taken.text) ?? [];
  const shown = await engine.request('GET', `/admin/messages/${id}`);
  expect(shown.status, shown.text).toBe(200);
  return shown.json;
}
