// FHIR input: ids, rewritten references, what is refused.
import { describe, expect, it } from 'vitest';
import { resourceId } from '../../src/crypto/uuid.ts';
import { mustCompile, run } from '../mapping/build.ts';

const set = mustCompile({});
const id = (type: string, key: string) => resourceId('default', type, key);

function post(body: unknown, sender = 'S') {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return run(set, text, { channel: { format: 'fhir' }, envelope: { sender } });
}

const identifier = [{ system: 'urn:x', value: '1' }];
const patientId = id('Patient', 'urn:x|1');

function transaction(...entry: unknown[]) {
  return { resourceType: 'Bundle', type: 'transaction', entry };
}

function entry(resource: object, fullUrl?: string, request: object = { method: 'POST', url: 'x' }) {
  return { fullUrl, resource, request };
}

describe('ids', () => {
  it.each([
    ['an identifier with a system', { identifier }, undefined, 'urn:x|1'],
    ['an absolute fullUrl', {}, 'http://a/Patient/7', 'http://a/Patient/7'],
    [
      'an identifier within the sender',
      { identifier: [{ value: '1' }] },
      'urn:uuid:1',
      'sender|S|1',
    ],
    ['the id within the sender', { id: 'p' }, undefined, 'sender|S|id|p'],
    ['the place in the message', {}, undefined, '0192e7a0-0000-7000-8000-000000000001'],
  ])('are made from %s', (_name, more, fullUrl, key) => {
    const body = transaction(entry({ resourceType: 'Patient', ...more }, fullUrl));
    const expected = key.startsWith('0192') ? `message|${key}|0` : key;
    expect(post(body).resources[0]?.resource.id).toBe(id('Patient', expected));
  });

  it('of a PUT are respected, and it replaces', () => {
    const request = { method: 'PUT', url: 'Patient/given' };
    const output = post(
      transaction(entry({ resourceType: 'Patient', id: 'given' }, undefined, request)),
    );
    expect(output.resources[0]).toMatchObject({ mode: 'replace', resource: { id: 'given' } });
    expect(output.compartment).toBe('given');
  });

  it('of a conditional PUT come from the identifier', () => {
    const request = { method: 'PUT', url: 'Patient?identifier=urn:x%7C1' };
    const output = post(transaction(entry({ resourceType: 'Patient' }, undefined, request)));
    expect(output.resources[0]?.resource.id).toBe(patientId);
  });

  it('are the same for a single resource and an entry', () => {
    const output = post({ resourceType: 'Patient', identifier, meta: { versionId: '3' } });
    expect(output.resources[0]).toMatchObject({
      resource: { resourceType: 'Patient', identifier, id: patientId },
      mode: 'merge',
      cleared: [],
      compartment: patientId,
    });
  });
});

describe('references', () => {
  const observation = (reference: string) => ({
    resourceType: 'Observation',
    identifier: [{ system: 'urn:o', value: reference }],
    subject: { reference },
    extension: [{ url: 'u', valueReference: { reference } }],
  });
  const patient = { resourceType: 'Patient', id: 'old', identifier };

  it.each([
    ['urn:uuid:a', 'urn:uuid:a'],
    ['http://x/fhir/Patient/9', 'http://x/fhir/Patient/9'],
    ['http://x/fhir/Patient/9', 'http://x/fhir/Patient/9/_history/2'],
    ['urn:uuid:a', 'Patient/old'],
    ['urn:uuid:a', 'Patient?identifier=urn:x|1'],
  ])('to the entry %s are rewritten from %s', (fullUrl, reference) => {
    const body = transaction(entry(observation(reference)), entry(patient, fullUrl));
    const output = post(body);
    const target = { reference: `Patient/${patientId}` };
    expect(output.resources[0]?.resource).toMatchObject({
      subject: target,
      extension: [{ valueReference: target }],
    });
    expect(output.resources[0]?.compartment).toBe(patientId);
  });

  it.each(['Patient/elsewhere', '#inside', 'http://other/Patient/1'])('%s stays', (reference) => {
    const output = post(transaction(entry(observation(reference))));
    expect(output.resources[0]?.resource.subject).toEqual({ reference });
  });

  it('to an entry that is not there are an error', () => {
    const output = post(transaction(entry(observation('urn:uuid:none'))));
    expect(output.issues).toContainEqual(
      expect.objectContaining({ code: 'not-found', at: '/entry/0/resource/subject/reference' }),
    );
    expect(output.resources).toEqual([]);
  });
});

describe('a Bundle', () => {
  it.each(['batch', 'transaction'])('of type %s serves POST and PUT only', (type) => {
    const patient = { resourceType: 'Patient' };
    for (const method of ['DELETE', 'GET', 'PATCH', undefined]) {
      const body = {
        ...transaction(entry(patient, undefined, { method, url: 'Patient/1' })),
        type,
      };
      const output = post(body);
      expect(output.issues).toMatchObject([{ severity: 'error', at: '/entry/0/request/method' }]);
    }
  });

  it.each(['message', 'collection', 'document'])('of type %s needs no requests', (type) => {
    const body = {
      resourceType: 'Bundle',
      type,
      entry: [{ resource: { resourceType: 'Patient' } }],
    };
    const types = post(body).resources.map(({ resource }) => resource.resourceType);
    expect(types).toEqual(['Patient', 'Provenance']);
  });

  it('keeps what exists when ifNoneExist is given', () => {
    const request = { method: 'POST', url: 'Patient', ifNoneExist: 'identifier=urn:x|1' };
    const body = transaction(entry({ resourceType: 'Patient', identifier }, undefined, request));
    expect(post(body).resources[0]?.mode).toBe('create-only');
  });

  it.each([
    ['', 'The body is not JSON (line 1, column 1'],
    ['[]', 'no resourceType'],
    ['{"resourceType":"Bundle","type":"searchset"}', 'A Bundle of type'],
    ['{"resourceType":"Bundle","type":"batch"}', 'no entries'],
    ['{"resourceType":"Bundle","type":{"toString":1}}', 'A Bundle of type'],
    ['{"resourceType":"Bundle","type":[{"toString":1}]}', 'A Bundle of type'],
    [transaction({ request: { method: 'POST' } }), 'The entry has no resource.'],
    [
      transaction(
        entry({ resourceType: 'Patient' }, undefined, { method: 'PUT', url: 'Device/1' }),
      ),
      'The type of the url',
    ],
    [
      transaction(entry({ resourceType: 'Patient' }, undefined, { method: 'PUT', url: 'Patient' })),
      'The url of a PUT is',
    ],
    [
      transaction(
        entry({ resourceType: 'Patient', identifier }),
        entry({ resourceType: 'Patient', identifier }),
      ),
      'Another entry of the Bundle is the same resource',
    ],
  ])('is refused: %j', (body, text) => {
    const output = post(body);
    expect(output.resources).toEqual([]);
    expect(output.issues.map((issue) => issue.text).join()).toContain(text);
  });

  it('keeps decimals as they were written', () => {
    const body = `{"resourceType":"Observation","id":"o","valueQuantity":{"value":4.00}}`;
    expect(JSON.stringify(post(body).resources[0]?.resource)).toContain('"value":4.00');
  });
});
