// A record over the embedded store in a temporary folder, and the few shapes the tests write.
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { makeRootKeys, type RootKeys } from '../../src/crypto/keys.ts';
import { provenanceId, resourceId, uuid7 } from '../../src/crypto/uuid.ts';
import type { Envelope } from '../../src/model/message.ts';
import type { PipelineOutput } from '../../src/model/pipeline.ts';
import type { Principal } from '../../src/model/principal.ts';
import type { MappedResource, Resource } from '../../src/model/resource.ts';
import { type Arrival, acceptMessages, type Receipt } from '../../src/record/accept.ts';
import { type ClinicalRecord, openRecord, type RecordLimits } from '../../src/record/context.ts';
import { nextInbox, type OpenedMessage } from '../../src/record/message.ts';
import { openSqliteStore, type SqliteStore } from '../../src/store/sqlite/open.ts';

export const TENANT = 'default';
export const SUBJECT = 'urn:oid:1.2.3|PAT4711';
export const PATIENT_ID = resourceId(TENANT, 'Patient', SUBJECT);

export const CLERK: Principal = {
  tenant: TENANT,
  id: 'clerk',
  scopes: [],
  peer: '10.0.0.7',
  patient: null,
};

export interface Bench {
  record: ClinicalRecord;
  store: SqliteStore;
  folder: string;
  rootKeys: RootKeys;
  /** Another record over the same store, as another thread would have. */
  again(limits?: Partial<RecordLimits>, rootKeys?: RootKeys): ClinicalRecord;
  /** Moves the record's clock. */
  advance(ms: number): void;
}

/** Closed and removed when the test ends. */
export async function openBench(limits: Partial<RecordLimits> = {}): Promise<Bench> {
  const folder = mkdtempSync(join(tmpdir(), 'artery-record-'));
  const store = await openSqliteStore({ folder });
  onTestFinished(async () => {
    await store.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const rootKeys = makeRootKeys();
  let ahead = 0;
  const clock = (): number => Date.now() + ahead;
  return {
    record: openRecord({ store, rootKeys, clock, limits }),
    store,
    folder,
    rootKeys,
    again: (other = limits, keys = rootKeys) =>
      openRecord({ store, rootKeys: keys, clock, limits: other }),
    advance(ms) {
      ahead += ms;
    },
  };
}

let controlIds = 0;

/** A received message; every call has a control id of its own unless one is given. */
export function arrival(raw: string, envelope: Partial<Envelope> = {}): Arrival {
  controlIds += 1;
  const bytes = crypto.getRandomValues(new Uint8Array(10));
  return {
    envelope: {
      id: uuid7(Date.now(), bytes),
      tenant: TENANT,
      channel: 'adt-inbound',
      format: 'hl7v2',
      receivedAt: new Date().toISOString(),
      sender: 'HIS|HOSPITAL',
      controlId: `MSG${controlIds}`,
      type: 'ADT^A01^ADT_A01',
      subject: SUBJECT,
      orderingKey: 'PAT4711',
      ...envelope,
    },
    raw: Buffer.from(raw),
    verdict: 'received',
    issues: [],
  };
}

/** Accepts one message and opens it as the work thread would. */
export async function receive(record: ClinicalRecord, item: Arrival): Promise<OpenedMessage> {
  const [receipt] = await acceptMessages(record, CLERK, [item]);
  const { orderingKey } = accepted(receipt);
  const inbox = await nextInbox(record, { tenant: TENANT, orderingKey }, 1_000);
  const found = inbox.find(({ row }) => row.id === item.envelope.id);
  if (found === undefined || 'fault' in found) throw new Error('the message does not wait');
  return found;
}

export function accepted(receipt: Receipt | undefined): Receipt & { kind: 'accepted' } {
  if (receipt?.kind !== 'accepted') throw new Error(`not accepted but ${receipt?.kind}`);
  return receipt;
}

export function patient(elements: Record<string, unknown> = {}): Resource & { id: string } {
  return { resourceType: 'Patient', id: PATIENT_ID, ...elements };
}

export function mapped(
  resource: Resource & { id: string },
  options: Partial<MappedResource> = {},
): MappedResource {
  return { resource, mode: 'merge', cleared: [], compartment: PATIENT_ID, ...options };
}

export function output(...resources: MappedResource[]): PipelineOutput {
  const mapHash = 'ab'.repeat(32);
  return { resources, issues: [], accounts: [], mapHash, compartment: PATIENT_ID };
}

/** The Provenance of a message as the pipeline yields it, its targets without versions. */
export function provenance(messageId: string): MappedResource {
  const entity = [{ role: 'source', what: { identifier: { value: messageId } } }];
  const id = provenanceId(TENANT, messageId);
  return mapped({ resourceType: 'Provenance', id, target: [], entity }, { mode: 'replace' });
}

/** All bytes of all files below a folder, in latin1. */
export function bytesBelow(folder: string): string {
  return readdirSync(folder)
    .map((name) => join(folder, name))
    .map((path) => (statSync(path).isDirectory() ? bytesBelow(path) : readFileSync(path, 'latin1')))
    .join('\n');
}
