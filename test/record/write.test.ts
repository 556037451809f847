// Writing what a message was mapped to: one commit, exactly once, versions only for changes, and
// no update lost between two records over one store.
import { describe, expect, it } from 'vitest';
import { provenanceId } from '../../src/crypto/uuid.ts';
import type { PipelineOutput } from '../../src/model/pipeline.ts';
import { acceptMessages } from '../../src/record/accept.ts';
import type { ClinicalRecord } from '../../src/record/context.ts';
import { messageHead, openMessage } from '../../src/record/message.ts';
import { readHistory, readResource } from '../../src/record/read.ts';
import { replayMessage } from '../../src/record/replay.ts';
import { createResource, updateResource } from '../../src/record/update.ts';
import { writeMapped } from '../../src/record/write.ts';
import {
  arrival,
  CLERK,
  mapped,
  openBench,
  output,
  PATIENT_ID,
  patient,
  provenance,
  receive,
  TENANT,
} from './open.ts';

const REF = { type: 'Patient', id: PATIENT_ID };

async function apply(record: ClinicalRecord, what: PipelineOutput) {
  const opened = await receive(record, arrival('raw'));
  const { written } = await writeMapped(record, opened, () => what, 1);
  return { opened, written: written ?? [] };
}

describe('writeMapped', () => {
  it('creates, then updates, then finds unchanged', async () => {
    const { record } = await openBench();
    const steps = [
      { elements: { gender: 'male' }, version: 1, outcome: 'created' },
      { elements: { birthDate: '1970-01-01' }, version: 2, outcome: 'updated' },
      { elements: { gender: 'male' }, version: 2, outcome: 'unchanged' },
    ];
    for (const { elements, version, outcome } of steps) {
      const { written } = await apply(record, output(mapped(patient(elements))));
      expect(written).toEqual([{ ...REF, version, outcome }]);
    }
    const { resource, head } = await readResource(record, CLERK, REF);
    expect(resource).toMatchObject({ gender: 'male', birthDate: '1970-01-01' });
    expect(resource.meta).toEqual({
      versionId: '2',
      lastUpdated: new Date(head.lastUpdated).toISOString(),
    });
  });

  it('takes another order of members for the same content', async () => {
    const { record } = await openBench();
    const first = mapped(patient({ gender: 'male', active: true }), { mode: 'replace' });
    const second = mapped(patient({ active: true, gender: 'male' }), { mode: 'replace' });
    await apply(record, output(first));
    expect((await apply(record, output(second))).written[0]?.outcome).toBe('unchanged');
  });

  it('folds several mappings of one resource into one version', async () => {
    const { record } = await openBench();
    const both = output(mapped(patient({ gender: 'male' })), mapped(patient({ active: true })));
    const { written } = await apply(record, both);
    expect(written).toEqual([{ ...REF, version: 1, outcome: 'created' }]);
    const { resource } = await readResource(record, CLERK, REF);
    expect(resource).toMatchObject({ gender: 'male', active: true });
  });

  it('leaves what is create-only alone', async () => {
    const { record } = await openBench();
    await apply(record, output(mapped(patient({ gender: 'male' }))));
    const lab = mapped(patient({ gender: 'unknown' }), { mode: 'create-only' });
    expect((await apply(record, output(lab))).written[0]?.outcome).toBe('unchanged');
    expect((await readResource(record, CLERK, REF)).resource.gender).toBe('male');
  });

  it('marks the message processed, with its outcome', async () => {
    const { record } = await openBench();
    const what = output(mapped(patient()));
    const { opened, written } = await apply(record, what);
    const { row, outcome } = await openMessage(record, CLERK, opened.row.id);
    expect(row).toMatchObject({ state: 'processed', compartment: PATIENT_ID, attempts: 1 });
    expect(outcome).toEqual({
      issues: [],
      resources: written,
      mapHash: 'ab'.repeat(32),
    });
  });

  it('points the Provenance to the versions, also when nothing changed', async () => {
    const { record } = await openBench();
    await apply(record, output(mapped(patient())));
    const opened = await receive(record, arrival('raw'));
    const what = output(provenance(opened.row.id), mapped(patient()));
    const { written } = await writeMapped(record, opened, () => what, 1);
    const ref = { type: 'Provenance', id: provenanceId(TENANT, opened.row.id) };
    expect(written).toEqual([
      { ...REF, version: 1, outcome: 'unchanged' },
      { ...ref, version: 1, outcome: 'created' },
    ]);
    expect((await readResource(record, CLERK, ref)).resource).toMatchObject({
      target: [{ reference: `Patient/${PATIENT_ID}/_history/1` }],
      entity: [{ what: { identifier: { value: opened.row.id } } }],
    });
  });

  it('has its effect once when two workers apply the same message', async () => {
    const { record, again } = await openBench();
    const other = again();
    const opened = await receive(record, arrival('raw'));
    const what = output(mapped(patient({ gender: 'male' })));
    const results = await Promise.all([
      writeMapped(record, opened, () => what, 1),
      writeMapped(other, opened, () => what, 1),
      writeMapped(record, opened, () => what, 1),
    ]);
    for (const result of results) expect(result).toEqual(results[0]);
    const history = await readHistory(record, CLERK, REF, { limit: 10 });
    expect(history.entries).toHaveLength(1);
  });

  it('gives the same bytes again when a message is replayed', async () => {
    const { record } = await openBench();
    const opened = await receive(record, arrival('raw'));
    const what = output(mapped(patient({ gender: 'male' })), provenance(opened.row.id));
    await writeMapped(record, opened, () => what, 1);
    await replayMessage(record, CLERK, opened.row.id);
    const second = await openMessage(record, CLERK, opened.row.id);
    const { written } = await writeMapped(record, second, () => what, 1);
    const outcomes = written?.map(({ version, outcome }) => `${version} ${outcome}`);
    expect(outcomes).toEqual(['1 unchanged', '1 unchanged']);
  });

  it('writes nothing of a message with errors', async () => {
    const { record } = await openBench();
    const opened = await receive(record, arrival('raw'));
    const issue = { severity: 'error', code: 'value', at: 'PID-7', text: 'No date.' } as const;
    const what = { ...output(mapped(patient())), issues: [issue] };
    expect((await writeMapped(record, opened, () => what, 1)).written).toBeNull();
    expect(await messageHead(record, TENANT, opened.row.id)).toMatchObject({ state: 'received' });
  });

  it('seals the bytes anew under the patient that the map found', async () => {
    const { record } = await openBench();
    const opened = await receive(record, arrival('{"bundle":1}', { subject: '' }));
    await writeMapped(record, opened, () => output(mapped(patient())), 1);
    const after = await openMessage(record, CLERK, opened.row.id);
    expect(opened.row.body.keyId).toBe('t0001');
    expect(after.row.body.keyId).toBe(`d/${PATIENT_ID}/0`);
    expect(Buffer.from(after.raw).toString()).toBe('{"bundle":1}');
  });
});

describe('two records over one store', () => {
  it('lose no update of the same patient', async () => {
    const { record, again } = await openBench({ commitAttempts: 60 });
    const records = [record, again({ commitAttempts: 60 })];
    const count = 30;
    await Promise.all(
      Array.from({ length: count }, async (_, n) => {
        const each = records[n % 2] ?? record;
        const elements = { [`element${n}`]: n };
        await apply(each, output(mapped(patient(elements))));
      }),
    );
    const { resource, head } = await readResource(record, CLERK, REF);
    expect(head.version).toBe(count);
    for (let n = 0; n < count; n += 1) expect(resource[`element${n}`]).toBe(n);
  });

  it('do not call unchanged what the other has changed', async () => {
    const { record, again } = await openBench();
    await apply(record, output(mapped(patient({ gender: 'male' }))));
    await updateResource(again(), CLERK, patient({ gender: 'female' }));
    const { written } = await apply(record, output(mapped(patient({ gender: 'male' }))));
    expect(written).toEqual([{ ...REF, version: 3, outcome: 'updated' }]);
  });

  it('make a key of a new patient once', async () => {
    const { record, again } = await openBench();
    const records = [record, again(), again()];
    const items = records.map(() => arrival('raw'));
    await Promise.all(
      records.map((each, at) => acceptMessages(each, CLERK, items.slice(at, at + 1))),
    );
    for (const { envelope } of items) {
      const { row } = await openMessage(again(), CLERK, envelope.id);
      expect(row.body.keyId).toBe(`d/${PATIENT_ID}/0`);
    }
  });
});

describe('writes of the FHIR API', () => {
  it('create under a fresh id', async () => {
    const { record } = await openBench();
    const saved = await createResource(record, CLERK, patient({ gender: 'male' }));
    expect(saved.outcome).toBe('created');
    expect(saved.resource.id).not.toBe(PATIENT_ID);
    const { resource } = await readResource(record, CLERK, { ...REF, id: saved.resource.id });
    expect(resource).toEqual(saved.resource);
  });

  it('replace whole, make no version of the same, and create what is unknown', async () => {
    const { record } = await openBench();
    const steps = [
      { elements: { gender: 'male' }, version: 1, outcome: 'created' },
      { elements: { active: true }, version: 2, outcome: 'updated' },
      { elements: { active: true }, version: 2, outcome: 'unchanged' },
    ];
    for (const { elements, version, outcome } of steps) {
      const saved = await updateResource(record, CLERK, patient(elements));
      expect(saved).toMatchObject({ outcome, head: { version } });
      expect(saved.resource.meta?.versionId).toBe(String(version));
      expect(saved.resource.gender).toBe(version === 1 ? 'male' : undefined);
    }
  });

  it.each([
    { ifMatch: 1, stored: 1, passes: true },
    { ifMatch: 2, stored: 1, passes: false },
    { ifMatch: 0, stored: 0, passes: true },
    { ifMatch: 1, stored: 0, passes: false },
    { ifMatch: 0, stored: 1, passes: false },
  ])(
    'with If-Match $ifMatch over version $stored: $passes',
    async ({ ifMatch, stored, passes }) => {
      const { record, again } = await openBench();
      if (stored === 1) await updateResource(again(), CLERK, patient({ active: true }));
      const saving = updateResource(record, CLERK, patient({ active: false }), { ifMatch });
      if (passes) expect((await saving).head.version).toBe(stored + 1);
      else await expect(saving).rejects.toMatchObject({ code: 'PRECONDITION_FAILED' });
    },
  );

  it('keep other members of meta, and set version and time', async () => {
    const { record } = await openBench();
    const meta = { profile: ['http://example.org/p'], versionId: '99', lastUpdated: '1999' };
    const { resource } = await updateResource(record, CLERK, patient({ meta }));
    expect(resource.meta).toMatchObject({ profile: ['http://example.org/p'], versionId: '1' });
    expect(resource.meta?.lastUpdated).not.toBe('1999');
  });
});

describe('reads', () => {
  it('give each version, and what is not there is not found', async () => {
    const { record } = await openBench();
    await updateResource(record, CLERK, patient({ gender: 'male' }));
    await updateResource(record, CLERK, patient({ gender: 'female' }));
    const first = await readResource(record, CLERK, REF, { version: 1 });
    expect(first.resource).toMatchObject({ gender: 'male', meta: { versionId: '1' } });
    const missing = [
      readResource(record, CLERK, REF, { version: 3 }),
      readResource(record, CLERK, { ...REF, id: 'nobody' }),
      readResource(record, CLERK, REF, { compartments: ['another'] }),
      readResource(record, { ...CLERK, tenant: 'other' }, REF),
      readHistory(record, CLERK, { ...REF, id: 'nobody' }, { limit: 5 }),
      readHistory(record, CLERK, REF, { limit: 5, compartments: [] }),
    ];
    for (const each of missing) await expect(each).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('page through the history, newest first', async () => {
    const { record } = await openBench();
    for (let n = 1; n <= 5; n += 1) {
      await updateResource(record, CLERK, patient({ multipleBirthInteger: n }));
    }
    const first = await readHistory(record, CLERK, REF, { limit: 3 });
    const rest = await readHistory(record, CLERK, REF, { limit: 3, before: first.next });
    const versions = [...first.entries, ...rest.entries].map(({ head }) => head.version);
    expect(versions).toEqual([5, 4, 3, 2, 1]);
    expect(rest.next).toBeUndefined();
    expect(rest.entries.at(-1)?.resource?.multipleBirthInteger).toBe(1);
  });
});
