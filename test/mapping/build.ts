// Compiles maps that a test writes as YAML texts by file name, and runs a message through them.
import { compileMappings, type MappingSet } from '../../src/mapping/compile.ts';
import {
  formatFault,
  isFault,
  type Layer,
  type MapSource,
  readSource,
} from '../../src/mapping/source.ts';
import type { Channel } from '../../src/model/channel.ts';
import type { Envelope } from '../../src/model/message.ts';
import type { PipelineOutput } from '../../src/model/pipeline.ts';
import { runPipeline } from '../../src/pipeline/run.ts';

export type Files = Record<string, string>;

/** Compiles; `sites/x/…` files are the overlay of site x. Faults come as formatted lines. */
export function compile(files: Files): { set: MappingSet; faults: string[] } {
  const faults: string[] = [];
  const base: MapSource[] = [];
  const sites = new Map<string, MapSource[]>();
  for (const [file, text] of Object.entries(files)) {
    const parts = file.split('/');
    const source = readSource(parts.at(-2) as Layer, file, text);
    if (isFault(source)) faults.push(formatFault(source));
    else if (parts[0] === 'sites') {
      const site = parts[1] ?? '';
      sites.set(site, [...(sites.get(site) ?? []), source]);
    } else base.push(source);
  }
  const compiled = compileMappings(base, sites, { targets: 'any' });
  return { set: compiled.set, faults: [...faults, ...compiled.faults.map(formatFault)] };
}

/** Compiles and expects no faults. */
export function mustCompile(files: Files): MappingSet {
  const { set, faults } = compile(files);
  if (faults.length > 0) throw new Error(faults.join('\n'));
  return set;
}

export const CHANNEL: Channel = {
  name: 'test',
  enabled: true,
  tenant: 'default',
  format: 'hl7v2',
  source: { kind: 'http', bodyBytesMax: 1_000_000 },
  timezone: 'Europe/Berlin',
  accepts: [],
  processingIds: ['P'],
  otherProcessing: 'refuse',
  charset: '',
  orderBy: 'PID-3.1',
  site: '',
  record: null,
  retry: { attempts: 1, firstDelayMs: 0, delayMsMax: 0 },
};

export const ENVELOPE: Envelope = {
  id: '0192e7a0-0000-7000-8000-000000000001',
  tenant: 'default',
  channel: 'test',
  format: 'hl7v2',
  receivedAt: '2026-01-01T00:00:00.000Z',
  sender: 'A|B',
  controlId: '1',
  type: '',
  subject: '',
  orderingKey: '',
};

export interface RunOptions {
  account?: boolean;
  site?: string;
  channel?: Partial<Channel>;
  envelope?: Partial<Envelope>;
}

/** Runs a text through the pipeline, without FHIR validation. */
export function run(set: MappingSet, text: string, options: RunOptions = {}): PipelineOutput {
  const { account = false, site = '' } = options;
  const channel = { ...CHANNEL, site, ...options.channel };
  const envelope = { ...ENVELOPE, format: channel.format, ...options.envelope };
  const raw = Buffer.from(text, 'utf8');
  return runPipeline(
    { raw, envelope, channel },
    { mappings: set, validateResource: () => [], account },
  );
}

/** An ADT^A01 of these segments after MSH. */
export function adt(...segments: string[]): string {
  const header = 'MSH|^~\\&|APP|FAC|||20240301083000+0100||ADT^A01^ADT_A01|1|P|2.5.1';
  return `${[header, ...segments].join('\r')}\r`;
}

const TINY = `
events: [ADT^A01]
structure: MSH [PID] [PV1] [{OBX}]
resources:
  patient:
    type: Patient
    at: PID
    key: [[PID-3.1]]
    maps: [PID-Patient]
`;

/** A set with one message map of one Patient filled by these rows of PID. */
export function patientOf(rows: string, more: Files = {}): Files {
  return {
    'messages/ADT_A01.yaml': TINY,
    'segments/PID-Patient.yaml': `segment: PID\nresource: Patient\nrows:\n${rows}\n`,
    ...more,
  };
}

/** The Patient that one PID gives under rows, without its id. */
export function mapPatient(rows: string, pid: string, more: Files = {}): Record<string, unknown> {
  const output = run(mustCompile(patientOf(rows, more)), adt(pid));
  const {
    resourceType: _type,
    id: _id,
    ...rest
  } = output.resources[0]?.resource ?? {
    resourceType: 'none',
  };
  return rest;
}
