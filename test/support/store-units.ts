// Small builders of what a store takes: units, messages, resources, keys. No test logic.
import { randomUUID } from 'node:crypto';
import type {
  CredentialWrite,
  IntakeWrite,
  KeyWrite,
  ResourceWrite,
  Sealed,
  SearchPlan,
  Transition,
  Unit,
} from '../../src/store/port.ts';

export const T0 = Date.UTC(2026, 0, 1);

/** A tenant that no other test uses. */
export function freshTenant(): string {
  return `tenant-${randomUUID()}`;
}

export function sealed(text: string, keyId = 'key-1'): Sealed {
  return { keyId, bytes: new TextEncoder().encode(text) };
}

export function textOf(body: Sealed | null | undefined): string | undefined {
  return body ? new TextDecoder().decode(body.bytes) : undefined;
}

/** A blind token of a readable name: 16 hex characters. */
export function token(name: string): string {
  return Buffer.from(name.padEnd(8, '.')).toString('hex').slice(0, 16);
}

export function message(set: Partial<IntakeWrite> = {}): IntakeWrite {
  const id = set.id ?? randomUUID();
  return {
    id,
    channel: 'adt',
    format: 'hl7v2',
    receivedAt: T0,
    state: 'received',
    orderingKey: 'key-a',
    dedupe: null,
    digest: `digest of ${id}`,
    body: sealed(`body of ${id}`),
    detail: null,
    ...set,
  };
}

export function transition(id: string, set: Partial<Transition> = {}): Transition {
  return {
    id,
    from: 'received',
    to: 'processed',
    at: T0 + 5,
    attempts: 1,
    compartment: null,
    detail: null,
    ...set,
  };
}

/** Version `expected + 1`; the first version where `expected` is not given. */
export function resource(id: string, set: Partial<ResourceWrite> = {}): ResourceWrite {
  const expected = set.expected ?? 0;
  const type = set.type ?? 'Patient';
  return {
    type,
    id,
    expected,
    version: expected + 1,
    lastUpdated: T0 + expected,
    deleted: false,
    compartment: null,
    fingerprint: `${'0'.repeat(60)}${String(expected + 1).padStart(4, '0')}`,
    body: sealed(`${type}/${id} version ${expected + 1}`),
    tokens: [],
    ranges: [],
    ...set,
  };
}

export function dataKey(id: string, set: Partial<KeyWrite> = {}): KeyWrite {
  return {
    id,
    kind: 'data',
    compartment: null,
    wrappedBy: 'tenant-key',
    wrapped: new TextEncoder().encode(`wrapped ${id}`),
    createdAt: T0,
    rewrap: false,
    ...set,
  };
}

export function credential(id: string, set: Partial<CredentialWrite> = {}): CredentialWrite {
  return {
    id,
    tokenHash: `hash of ${id}`,
    label: 'a test',
    scopes: ['system/*.rs'],
    createdAt: T0,
    expiresAt: null,
    revokedAt: null,
    mac: `mac of ${id}`,
    ...set,
  };
}

export function plan(tenant: string, set: Partial<SearchPlan> = {}): SearchPlan {
  return {
    tenant,
    type: 'Patient',
    tokens: [],
    ranges: [],
    sort: { by: 'lastUpdated', descending: true },
    limit: 100,
    ...set,
  };
}

/** A unit that writes resources, each with an audit entry. */
export function writing(tenant: string, ...resources: ResourceWrite[]): Unit {
  const audit = resources.map(({ type, id, version }) => ({
    at: T0,
    entry: JSON.stringify({ type, id, version }),
  }));
  return { tenant, resources, audit };
}

/** A small generator of equal sequences for equal seeds (mulberry32), in [0, 1). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
