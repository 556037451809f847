// HL7 v2 through the pipeline: the project's own maps on whole messages, determinism, Provenance.
import { describe, expect, it } from 'vitest';
import { provenanceId, resourceId } from '../../src/crypto/uuid.ts';
import { validateResource } from '../../src/fhir/validate.ts';
import type { MappingSet } from '../../src/mapping/compile.ts';
import { loadMappings } from '../../src/mapping/load.ts';
import type { PipelineOutput } from '../../src/model/pipeline.ts';
import { runPipeline } from '../../src/pipeline/run.ts';
import { CHANNEL, ENVELOPE } from '../mapping/build.ts';

const { set } = await loadMappings('mappings');

const PID = 'PID|1||P1^^^NS&1.2.3&ISO^MR||DOE^JANE||19620320|F';
const PV1 = 'PV1|1|I|2000^2012^01||||004777^ATTEND^AARON||||||||||||V1^^^NS';

function message(event: string, ...segments: string[]): string {
  const header = `MSH|^~\\&|APP|FAC|||20240301083000+0100||${event}|1|P|2.5.1`;
  return `${[header, 'EVN||20240301083000+0100', ...segments].join('\r')}\r`;
}

function process(bytes: Uint8Array | string, mappings: MappingSet = set): PipelineOutput {
  const raw = typeof bytes === 'string' ? Buffer.from(bytes, 'utf8') : bytes;
  return runPipeline(
    { raw, envelope: ENVELOPE, channel: CHANNEL },
    { mappings, validateResource, account: false },
  );
}

function first(output: PipelineOutput, type: string) {
  return output.resources.find(({ resource }) => resource.resourceType === type);
}

const patientId = resourceId('default', 'Patient', 'urn:oid:1.2.3|P1');

describe('an ADT message', () => {
  const output = process(message('ADT^A01^ADT_A01', PID, PV1));

  it('makes valid resources in the compartment of its patient', () => {
    expect(output.issues.filter(({ severity }) => severity === 'error')).toEqual([]);
    expect(output.compartment).toBe(patientId);
    expect(first(output, 'Patient')?.compartment).toBe(patientId);
    expect(first(output, 'Encounter')?.compartment).toBe(patientId);
    expect(first(output, 'Practitioner')?.compartment).toBeNull();
  });

  it('gives the same bytes when it is run again', async () => {
    const again = process(
      message('ADT^A01^ADT_A01', PID, PV1),
      (await loadMappings('mappings')).set,
    );
    expect(JSON.stringify(again)).toBe(JSON.stringify(output));
  });

  it('has a Provenance that names every resource and no patient data', () => {
    const provenance = output.resources.at(-1);
    expect(provenance).toMatchObject({ mode: 'replace', compartment: patientId });
    expect(provenance?.resource).toMatchObject({
      resourceType: 'Provenance',
      id: provenanceId('default', ENVELOPE.id),
      recorded: ENVELOPE.receivedAt,
      entity: [
        {
          role: 'source',
          what: { identifier: { system: 'urn:artery:message', value: ENVELOPE.id } },
        },
      ],
    });
    const targets = output.resources.slice(0, -1).map(({ resource: { resourceType, id } }) => ({
      reference: `${resourceType}/${id}`,
    }));
    expect(provenance?.resource.target).toEqual(targets);
    expect(JSON.stringify(provenance)).not.toMatch(/DOE|JANE|1962|P1/);
  });

  it('means the same in other delimiters, whatever was read before', () => {
    const dg1 = 'DG1|1||A^B^I10';
    const text = message('ADT^A01^ADT_A01', PID, PV1, dg1);
    for (let i = 0; i < 3; i++) process(text);
    const other = text.replaceAll('^', '!').replace('MSH|!', 'MSH|$').replaceAll('!', '$');
    const odd = other.replace('A$B$I10', 'A^B^I10');
    const code = first(process(odd), 'Condition')?.resource.code;
    expect(code).toMatchObject({ coding: [{ code: 'A^B^I10' }] });
    const same = first(process(other), 'Condition');
    expect(same).toEqual(first(process(text), 'Condition'));
  });

  it('is read in the charset that its bytes are in', () => {
    const text = message('ADT^A01^ADT_A01', PID.replace('DOE', 'M\u00dcLLER'), PV1);
    const latin = Buffer.from(text.replace('2.5.1', '2.5.1||||||8859/1'), 'latin1');
    const name = first(process(latin), 'Patient')?.resource.name;
    expect(name).toMatchObject([{ family: 'M\u00dcLLER' }]);
  });
});

describe('faults', () => {
  it.each([
    ['', 'structure', 'MSH'],
    ['PID|1\r', 'structure', 'MSH'],
    [message('ADT^A99', PID), 'not-supported', 'MSH-9'],
    [message('ADT^A01', PV1), 'required', 'PID'],
    [message('ADT^A01', 'PID|1||', PV1), 'required', 'PID-3.1'],
  ])('of %j are issues: %s at %s', (text, code, at) => {
    const output = process(text);
    expect(output.resources).toEqual([]);
    expect(output.compartment).toBeNull();
    expect(output.issues).toContainEqual(expect.objectContaining({ severity: 'error', code, at }));
  });

  it('of the channel are issues as well', () => {
    const input = { raw: Buffer.from(message('ADT^A01', PID, PV1)), envelope: ENVELOPE };
    const channel = { ...CHANNEL, timezone: 'Nowhere/None' };
    const output = runPipeline({ ...input, channel }, { mappings: set, validateResource });
    expect(output.issues).toMatchObject([{ severity: 'error', at: 'channel.timezone' }]);
  });

  it('are cut off at a limit, errors first', () => {
    const obx = Array.from({ length: 700 }, (_, i) => `OBX|${i}|NM|||`);
    const output = process(message('ADT^A01', PID, PV1, ...obx));
    expect(output.issues.length).toBeLessThanOrEqual(501);
  });

  it('that FHIR validation finds keep the resources back', () => {
    const issue = { severity: 'error', code: 'value', at: 'Patient', text: 'x' } as const;
    const validate = () => [issue];
    const output = runPipeline(
      { raw: Buffer.from(message('ADT^A01', PID, PV1)), envelope: ENVELOPE, channel: CHANNEL },
      { mappings: set, validateResource: validate },
    );
    expect(output.resources).toEqual([]);
    expect(output.issues).toContainEqual(issue);
  });
});
