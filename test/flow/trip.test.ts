// The whole trip on the embedded engine: what is sent in is read back as FHIR, once.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Json, openTestEngine, removeFolders, type TestEngine } from '../support/engine.ts';
import { adt, freshId, oru } from '../support/messages.ts';

let engine: TestEngine;
beforeAll(async () => {
  engine = await openTestEngine();
});
afterAll(async () => {
  await engine.stop();
  removeFolders();
});

async function search(query: string): Promise<Json[]> {
  const bundle = await engine.get(`/fhir/R4/${query}`);
  expect(bundle.resourceType).toBe('Bundle');
  return (bundle.entry ?? []).map((entry: Json) => entry.resource);
}

async function stateOf(id: string): Promise<Json> {
  return engine.get(`/admin/messages/${id}`);
}

describe('an ADT message', () => {
  it('is acknowledged and becomes a Patient and an Encounter', async () => {
    const rest = 'AL1|1|DA|70618^Penicillin^RXNORM|SV|Rash\nDG1|1||I20.9^Angina^I10||20260301|A';
    const [ack] = await engine.send('adt-inbound', adt({ id: 'TRIP-1', pid: 'TP1', rest }));
    expect(ack).toMatch(/\rMSA\|AA\|TRIP-1\r/);
    await engine.settle();
    const [patient] = await search('Patient?identifier=urn:oid:1.2.3.4|TP1');
    expect(patient.name[0]).toMatchObject({ family: 'Quillfeather', given: ['Ottoline', 'M'] });
    expect(patient.birthDate).toBe('1971-02-03');
    const about = `patient=Patient/${patient.id}`;
    const [encounter] = await search(`Encounter?${about}`);
    expect(encounter).toMatchObject({ status: 'in-progress', class: { code: 'IMP' } });
    expect(await search(`AllergyIntolerance?${about}`)).toHaveLength(1);
    expect(await search(`Condition?${about}&code=I20.9`)).toHaveLength(1);
  });

  it('A08 updates what A01 made, keeps what it does not value, removes what is ""', async () => {
    await engine.send('adt-inbound', adt({ pid: 'TP2', family: 'Oldname' }));
    const update = adt({ pid: 'TP2', family: 'Newname', event: 'A08' }).replace(
      '||19710203|F|||5 Mill Ln^^Tarn^^4711',
      '|||""|||""',
    );
    await engine.send('adt-inbound', update);
    await engine.settle();
    const [patient, ...others] = await search('Patient?identifier=TP2');
    expect(others).toEqual([]);
    expect(patient.meta.versionId).toBe('2');
    expect(patient.name[0].family).toBe('Newname');
    expect(patient.birthDate).toBe('1971-02-03');
    expect(patient.gender).toBeUndefined();
    expect(patient.address).toBeUndefined();
  });

  it('A03 ends the Encounter, A13 takes that back, A11 cancels it', async () => {
    const visit = { pid: 'TP3', visit: 'V3' };
    await engine.send('adt-inbound', adt(visit));
    const discharged = '20260305120000+0100';
    await engine.send('adt-inbound', adt({ ...visit, event: 'A03', discharged }));
    await engine.settle();
    const read = async () => (await search('Encounter?identifier=V3'))[0];
    expect(await read()).toMatchObject({
      status: 'finished',
      period: { start: '2026-03-01T08:00:00+01:00', end: '2026-03-05T12:00:00+01:00' },
    });
    await engine.send('adt-inbound', adt({ ...visit, event: 'A13' }));
    await engine.settle();
    expect(await read()).toMatchObject({ status: 'in-progress' });
    expect((await read()).period.end).toBeUndefined();
    await engine.send('adt-inbound', adt({ ...visit, event: 'A11' }));
    await engine.settle();
    expect(await read()).toMatchObject({ status: 'cancelled' });
  });

  it('A40 links two patients and deletes neither', async () => {
    await engine.send('adt-inbound', adt({ pid: 'OLD4' }), adt({ pid: 'NEW4' }));
    const merge = adt({ pid: 'NEW4', event: 'A40' })
      .replace('ADT^A40^ADT_A01', 'ADT^A40^ADT_A39')
      .replace(/PV1.*/, 'MRG|OLD4^^^HOSP&1.2.3.4&ISO^MR');
    await engine.send('adt-inbound', merge);
    await engine.settle();
    const [[old], [kept]] = await Promise.all([
      search('Patient?identifier=OLD4'),
      search('Patient?identifier=NEW4'),
    ]);
    expect(old).toMatchObject({ active: false, name: [{ family: 'Quillfeather' }] });
    expect(old.link).toEqual([{ other: { reference: `Patient/${kept.id}` }, type: 'replaced-by' }]);
    expect(kept.link).toEqual([{ other: { reference: `Patient/${old.id}` }, type: 'replaces' }]);
  });
});

describe('an ORU message', () => {
  it('becomes a report with results, and its correction updates them', async () => {
    await engine.send('lab-inbound', oru({ pid: 'TP5', filler: 'F5' }));
    await engine.settle();
    const [first] = await search('Observation?code=http://loinc.org|2823-3&status=final');
    expect(first.valueQuantity).toMatchObject({ value: 5.9, code: 'mmol/L' });
    await engine.send('lab-inbound', oru({ pid: 'TP5', filler: 'F5', value: '4.1', status: 'C' }));
    await engine.settle();
    const corrected = await engine.get(`/fhir/R4/Observation/${first.id}`);
    expect(corrected).toMatchObject({ status: 'corrected', valueQuantity: { value: 4.1 } });
    const history = await engine.get(`/fhir/R4/Observation/${first.id}/_history`);
    expect(history.entry).toHaveLength(2);
  });
});

describe('a message that is sent again', () => {
  it('gets the same answer and has no second effect', async () => {
    const message = adt({ pid: 'TP6' });
    const answers = await engine.send('adt-inbound', message, message);
    expect(answers[1]).toBe(answers[0]);
    await engine.settle();
    const [patient] = await search('Patient?identifier=TP6');
    expect(patient.meta.versionId).toBe('1');
    expect(await search(`Provenance?target=Patient/${patient.id}`)).toHaveLength(1);
  });

  it('with other bytes is set aside and answered AE', async () => {
    const id = freshId();
    await engine.send('adt-inbound', adt({ id, pid: 'TP7' }));
    const [ack] = await engine.send('adt-inbound', adt({ id, pid: 'TP7', family: 'Other' }));
    expect(ack).toMatch(new RegExp(`\\rMSA\\|AE\\|${id}`));
    expect(ack).toMatch(/\rERR\|\|MSH\^1\^10\^1\|205\^/);
    await engine.settle();
    expect((await search('Patient?identifier=TP7'))[0].name[0].family).toBe('Quillfeather');
  });
});

describe('a bad message', () => {
  it('is answered AR with its reason when its type is not taken here, and kept', async () => {
    const [ack] = await engine.send('adt-inbound', adt({ event: 'A99' }));
    expect(ack).toMatch(/\rMSA\|AR\|/);
    expect(ack).toContain('|201^');
  });

  it('is set aside with every reason and blocks no other; corrected, it is replayed', async () => {
    const bad = adt({ pid: 'TP8' }).replace('TP8^^^HOSP&1.2.3.4&ISO^MR', '');
    await engine.send('adt-inbound', bad, adt({ pid: 'TP9' }));
    await engine.settle();
    expect(await search('Patient?identifier=TP9')).toHaveLength(1);
    const { messages } = await engine.get('/admin/messages?state=set-aside&limit=1');
    const { id } = messages[0];
    expect((await stateOf(id)).issues).toContainEqual(
      expect.objectContaining({ severity: 'error', at: 'PID-3.1' }),
    );
    const corrected = Buffer.from(adt({ pid: 'TP8' }).replaceAll('\n', '\r'));
    const body = JSON.stringify({ correction: corrected.toString('base64'), reason: 'no number' });
    const replay = await engine.request('POST', `/admin/messages/${id}/replay`, { body });
    expect(replay.status).toBe(202);
    await engine.settle();
    expect((await stateOf(id)).state).toBe('processed');
    expect(await search('Patient?identifier=TP8')).toHaveLength(1);
  });
});

describe('over HTTP', () => {
  it('takes an HL7v2 message, a FHIR bundle and a JSON record', async () => {
    const token = await engine.token('channel/*.write');
    const bundle = {
      resourceType: 'Bundle',
      type: 'transaction',
      entry: [
        {
          fullUrl: 'urn:uuid:0f1c0c5e-2f7b-4c9d-8d0e-5b1f3d8a9c11',
          resource: {
            resourceType: 'Patient',
            identifier: [{ system: 'urn:oid:1.2.3.4', value: 'TP10' }],
            name: [{ family: 'Bundleworth', given: ['Ada'] }],
          },
          request: { method: 'POST', url: 'Patient' },
        },
        {
          resource: {
            resourceType: 'Observation',
            status: 'final',
            code: { coding: [{ system: 'http://loinc.org', code: '8867-4' }] },
            subject: { reference: 'urn:uuid:0f1c0c5e-2f7b-4c9d-8d0e-5b1f3d8a9c11' },
            valueQuantity: { value: 62, unit: '/min' },
          },
          request: { method: 'POST', url: 'Observation' },
        },
      ],
    };
    const sent = await engine.request('POST', '/channels/fhir-inbound', {
      token,
      body: JSON.stringify(bundle),
      headers: { 'content-type': 'application/fhir+json' },
    });
    expect(sent.status).toBe(202);
    expect(sent.json).toMatchObject({ resourceType: 'OperationOutcome' });
    await engine.settle();
    const state = await engine.request('GET', String(sent.headers.location), { token });
    expect(state.json).toMatchObject({ state: 'processed', channel: 'fhir-inbound' });
    const [patient] = await search('Patient?name=bundleworth');
    const [pulse] = await search(`Observation?patient=${patient.id}&code=8867-4`);
    expect(pulse.subject).toEqual({ reference: `Patient/${patient.id}` });
  });

  it('refuses without a token, with the wrong scope, and with the wrong body', async () => {
    const post = (token: string, body: string) =>
      engine.request('POST', '/channels/rest-inbound', { token, body });
    expect((await post('none', '{}')).status).toBe(401);
    expect((await post(await engine.token('system/*.rs'), '{}')).status).toBe(403);
    const token = await engine.token('channel/rest-inbound.write');
    const refused = await post(token, '{"mrn": 7}');
    expect(refused.status).toBe(400);
    expect(refused.json.issues).toContainEqual(expect.objectContaining({ at: '/mrn' }));
    expect((await post(token, '{"mrn":')).status).toBe(400);
  });
});
