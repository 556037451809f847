// Promise 8: no patient data in clear in any file of the data folder, in the log at its most
// talkative, in the metrics, in what the queue is told, and in what senders are told of faults.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sendAtOnce } from '../support/burst.ts';
import { type Child, pause, type Ready, settle, startChild } from '../support/child.ts';
import { newFolder, removeFolders } from '../support/engine.ts';
import { openFlowBench } from '../support/flow-bench.ts';
import { adt, freshId, oru } from '../support/messages.ts';
import { filesBelow, findTraces, formsOf, haystackOf } from '../support/traces.ts';

const SECRETS = [
  'Zwetschgenbaum',
  'Theodolinde',
  'MRN77553311',
  '19620320',
  '1962-03-20',
  'Quittenallee',
  '030-5557788',
  'Fingerkuppenbefund',
  'Bundelworth-Ashby',
  'Recordington',
  'MRN88664422',
  'PID|1||MRN',
  'VISIT-771199',
];
const [FAMILY = '', GIVEN = '', MRN = '', BIRTH = '', DAY = '', STREET = '', PHONE = ''] = SECRETS;
const [, , , , , , , NOTE = '', BUNDLED = '', RECORDED = '', OTHER_MRN = '', , VISIT = ''] =
  SECRETS;

let folder: string;
let child: Child;
let ready: Ready;
/** Everything that senders and operators were told about faults. */
let told: string[] = [];
let metrics = '';

function secretAdt(set: Parameters<typeof adt>[0] = {}): string {
  const rest = `NTE|1||${NOTE}`;
  return adt({ pid: MRN, family: FAMILY, visit: VISIT, rest, ...set })
    .replace('Ottoline^M', GIVEN)
    .replace('19710203', BIRTH)
    .replace('5 Mill Ln^^Tarn^^4711', `${STREET} 47^^Tarn^^4711||${PHONE}`);
}

function secretOru(): string {
  const text = oru({ pid: MRN }).replace('Quillfeather^Ottoline', `${FAMILY}^${GIVEN}`);
  return `${text.replace('19710203', BIRTH)}\nNTE|1||${NOTE}`;
}

async function post(path: string, body: string, type = 'application/json'): Promise<number> {
  const { token } = await ready.ask('POST', '/admin/tokens', {
    scopes: ['channel/*.write', 'system/*.cruds'],
    label: 'test',
  });
  const response = await fetch(new URL(path, ready.url), {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': type },
    body,
  });
  const text = await response.text();
  if (response.status !== 201) told.push(text);
  return response.status;
}

beforeAll(async () => {
  folder = newFolder();
  child = startChild(folder, { ARTERY_LOG_LEVEL: 'debug' });
  ready = await child.ready;
  await feedHl7();
  await feedHttp();
  await search();
  await replay();
  // The work thread tells its figures every two seconds.
  while (!metrics.includes('event="message.processed"')) {
    await pause(100);
    metrics = await ready.text('/metrics');
  }
}, 60_000);

afterAll(async () => {
  await child.kill();
  removeFolders();
});

/** Good, repeated, reused, set aside, refused, with a faulty date, and unreadable. */
async function feedHl7(): Promise<void> {
  const port = ready.ports['adt-inbound'] ?? 0;
  const id = freshId();
  const good = secretAdt({ id });
  told = await sendAtOnce(port, [
    good,
    good,
    secretAdt({ id, event: 'A08' }),
    secretAdt().replace(`${MRN}^^^HOSP&1.2.3.4&ISO^MR`, ''),
    secretAdt({ event: 'A99' }),
    secretAdt().replace(BIRTH, `${BIRTH}X${DAY}`),
    secretAdt().replace('|F|||', `|${FAMILY}|||`),
    `PID|1||${MRN}||${FAMILY}`,
  ]);
  told.push(...(await sendAtOnce(ready.ports['lab-inbound'] ?? 0, [secretOru(), secretOru()])));
  await settle(ready);
}

async function feedHttp(): Promise<void> {
  const patient = {
    resourceType: 'Patient',
    identifier: [{ system: 'urn:oid:1.2.3.4', value: OTHER_MRN }],
    name: [{ family: BUNDLED, given: [GIVEN] }],
    birthDate: DAY,
  };
  const bundle = (resource: object) =>
    JSON.stringify({
      resourceType: 'Bundle',
      type: 'transaction',
      entry: [{ resource, request: { method: 'POST', url: 'Patient' } }],
    });
  const fhir = '/channels/fhir-inbound';
  expect(await post(fhir, bundle(patient))).toBe(202);
  expect(await post(fhir, bundle({ ...patient, gender: BUNDLED }))).toBe(202);
  expect(await post(fhir, `{"resourceType":"Bundle","x":"${BUNDLED}`)).toBe(400);
  const record = { mrn: OTHER_MRN, family: RECORDED, given: [GIVEN], birthDate: DAY };
  expect(await post('/channels/rest-inbound', JSON.stringify(record))).toBe(202);
  const wrong = { ...record, sex: RECORDED, unknown: RECORDED };
  expect(await post('/channels/rest-inbound', JSON.stringify(wrong))).toBe(400);
  const fhirPatient = '/fhir/R4/Patient';
  expect(await post(fhirPatient, JSON.stringify(patient), 'application/fhir+json')).toBe(201);
  const odd = JSON.stringify({ ...patient, birthDate: `${DAY}T` });
  expect(await post(fhirPatient, odd, 'application/fhir+json')).toBe(422);
  await settle(ready);
}

async function search(): Promise<void> {
  const queries = [
    `name=${FAMILY}`,
    `family=${FAMILY.slice(0, 9)}`,
    `given=${GIVEN}&birthdate=${DAY}`,
    `identifier=urn:oid:1.2.3.4|${MRN}`,
    `identifier=${OTHER_MRN}`,
    `birthdate=ge${DAY}`,
  ];
  for (const query of queries) {
    const bundle = await ready.ask('GET', `/fhir/R4/Patient?${query}`);
    expect(bundle.entry?.length, query).toBeGreaterThan(0);
  }
  const refused = await fetch(new URL(`/fhir/R4/Patient?name=${FAMILY}`, ready.url));
  expect(refused.status).toBe(401);
}

async function replay(): Promise<void> {
  const { messages } = await ready.ask('GET', '/admin/messages?state=set-aside');
  expect(messages.length).toBeGreaterThan(3);
  for (const { id } of messages) {
    const { issues } = await ready.ask('GET', `/admin/messages/${id}`);
    told.push(JSON.stringify(issues));
  }
  const correction = Buffer.from(secretAdt().replaceAll('\n', '\r'));
  const answer = await fetch(new URL(`/admin/messages/${messages.at(-1).id}/replay`, ready.url), {
    method: 'POST',
    headers: {
      authorization: `Bearer ${ready.secret}`,
      'content-type': 'application/json',
    },
    body: JSON.stringify({
      correction: correction.toString('base64'),
      reason: 'wrong field',
      force: true,
    }),
  });
  expect(answer.status).toBe(202);
  await settle(ready);
}

describe('no trace of a patient', () => {
  it('is in any file, while it runs and after it was killed', async () => {
    const tracesOf = () =>
      filesBelow(join(folder, 'data')).flatMap(({ path, bytes }) =>
        findTraces(haystackOf(bytes), SECRETS).map((trace) => `${path}: ${trace}`),
      );
    expect(tracesOf()).toEqual([]);
    expect(
      filesBelow(join(folder, 'data'))
        .map(({ path }) => path)
        .join(),
    ).toContain('-wal');
    await child.kill();
    expect(tracesOf()).toEqual([]);
    writeFileSync(join(folder, 'data', 'planted'), Buffer.from(`... ${FAMILY} ...`, 'utf16le'));
    expect(tracesOf().join()).toContain(`planted: ${FAMILY} as utf16le`);
  });

  it('is in the log at level debug', () => {
    const log = child.output();
    expect(log).toContain('message.processed');
    expect(log).toContain('message.refused');
    expect(findTraces(haystackOf(log), SECRETS)).toEqual([]);
  });

  it('is in the metrics', () => {
    expect(metrics).toContain('event="message.set-aside"');
    expect(findTraces(haystackOf(metrics), SECRETS)).toEqual([]);
  });

  it('is in what senders and operators are told about faults', () => {
    expect(told.join('\n')).toContain('MSA|AE|');
    expect(findTraces(haystackOf(...told), SECRETS)).toEqual([]);
  });

  it('is in what the queue is told', async () => {
    const bench = await openFlowBench({ workers: 1 });
    await bench.send(secretAdt());
    await bench.ended(1);
    expect(bench.wakes).toHaveLength(1);
    expect(findTraces(haystackOf(JSON.stringify(bench.wakes)), SECRETS)).toEqual([]);
    await bench.close();
  });
});

describe('the search for traces', () => {
  it('finds each secret in each form wherever it begins', () => {
    for (const secret of SECRETS) {
      for (const [name, form] of Object.entries(formsOf(secret))) {
        const planted = Buffer.from(`\x00\xff ${form} \x80`, 'latin1');
        expect(findTraces(haystackOf(planted), [secret]).join()).toContain(`${secret} as ${name}`);
      }
      for (const before of ['', 'a', 'ab', 'abc']) {
        const text = Buffer.from(`${before}${secret}rest`).toString('base64');
        expect(findTraces(haystackOf(text), [secret]).join()).toContain('as base64');
      }
    }
  });

  it('finds nothing in what holds nothing', () => {
    expect(findTraces(haystackOf(adt(), oru()), SECRETS)).toEqual([]);
  });
});
