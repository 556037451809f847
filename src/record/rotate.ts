// Key rotation without rewriting data: keys are wrapped anew, bodies stay as they are.
import type { KeyObject } from 'node:crypto';
import { entryText } from '../audit/entry.ts';
import { findRootKey, makeSecretKey, type RootKeys, unwrapKey, wrapKey } from '../crypto/keys.ts';
import type { Principal } from '../model/principal.ts';
import type { KeyRow, KeyWrite } from '../store/port.ts';
import { retryConflicts } from './commit.ts';
import type { ClinicalRecord } from './context.ts';
import { tenantKeyId } from './tenant-keys.ts';
import { actor } from './trail.ts';

const PAGE = 500;
const TENANT_KEYS_MAX = 1_000;

interface Parent {
  id: string;
  key: KeyObject;
}

/**
 * Wraps every tenant key of every tenant with `rootKeys.current`. `rootKeys` must be
 * `addRootKey(record.keyring.rootKeys)`, the keys as they are now, not as they were at the start,
 * and must stand in the key file already; when it resolves, the older ones may be dropped there.
 * Other threads' records need `keyring.useRootKeys(rootKeys)` before. Throws KEY_UNAVAILABLE, with
 * nothing changed, when the key that is current now is not among them.
 */
export async function rotateRootKey(
  record: ClinicalRecord,
  principal: Principal,
  rootKeys: RootKeys,
): Promise<{ rewrapped: number }> {
  findRootKey(rootKeys, record.keyring.rootKeys.current.id);
  record.keyring.useRootKeys(rootKeys);
  let rewrapped = 0;
  for (const tenant of await record.store.audit.tenants()) {
    // Until none is left: another thread may have added one with the older key meanwhile.
    for (let count = 1; count > 0; rewrapped += count) {
      count = await rewrapTenant(record, principal, tenant, rootKeys);
    }
  }
  return { rewrapped };
}

async function rewrapTenant(
  record: ClinicalRecord,
  principal: Principal,
  tenant: string,
  rootKeys: RootKeys,
): Promise<number> {
  const { current } = rootKeys;
  const rows = await record.store.keys.list(tenant, 'tenant', TENANT_KEYS_MAX);
  const keys = rows
    .filter(({ wrappedBy }) => wrappedBy !== current.id)
    .map((row) => {
      const old = findRootKey(rootKeys, row.wrappedBy).key;
      return rewrap(record, { ...row, tenant }, old, current);
    });
  if (keys.length === 0) return 0;
  await record.store.commit({ tenant, keys, audit: [draftOf(record, principal, current.id)] });
  return keys.length;
}

/** Ids of the root keys that wrap a tenant key of any tenant: without them nothing can be read. */
export async function neededRootKeys(record: ClinicalRecord): Promise<string[]> {
  const { audit, keys } = record.store;
  const ids = new Set<string>();
  for (const tenant of await audit.tenants()) {
    for (const { wrappedBy } of await keys.list(tenant, 'tenant', TENANT_KEYS_MAX)) {
      ids.add(wrappedBy);
    }
  }
  return [...ids].sort();
}

/**
 * A new tenant key: it wraps every data, index and signing key from now on and seals what has no
 * compartment. The old one is kept to open what it sealed directly. Other threads' records use the
 * new one after record.invalidate('all'). May be called again after a crash in its midst.
 */
export async function rotateTenantKey(
  record: ClinicalRecord,
  principal: Principal,
): Promise<{ rewrapped: number }> {
  const { tenant } = principal;
  await record.keyring.tenant(tenant);
  const made = await retryConflicts(
    record,
    tenant,
    () => makeNext(record, principal),
    () => undefined,
  );
  let rewrapped = 0;
  for (const kind of ['index', 'signing', 'data'] as const) {
    rewrapped += await rewrapAll(record, tenant, kind, made);
  }
  record.keyring.clear();
  return { rewrapped };
}

async function makeNext(record: ClinicalRecord, principal: Principal): Promise<Parent> {
  const { tenant } = principal;
  const { rootKeys } = record.keyring;
  const rows = await record.store.keys.list(tenant, 'tenant', TENANT_KEYS_MAX);
  const made = { id: tenantKeyId(rows.length + 1), key: makeSecretKey(record.random) };
  const wrappedBy = rootKeys.current.id;
  const place = { tenant, id: made.id, kind: 'tenant', compartment: null, wrappedBy };
  const write: KeyWrite = {
    id: made.id,
    kind: 'tenant',
    compartment: null,
    wrappedBy,
    wrapped: wrapKey(record.sealer, rootKeys.current.key, made.key, place),
    createdAt: record.clock(),
    rewrap: false,
  };
  await record.store.commit({
    tenant,
    keys: [write],
    audit: [draftOf(record, principal, made.id)],
  });
  return made;
}

async function rewrapAll(
  record: ClinicalRecord,
  tenant: string,
  kind: KeyWrite['kind'],
  parent: Parent,
): Promise<number> {
  let rewrapped = 0;
  let after: string | undefined;
  for (;;) {
    const page = await retryConflicts(
      record,
      tenant,
      () => rewrapPage(record, tenant, kind, parent, after),
      () => undefined, // a key was destroyed meanwhile: the page is read anew
    );
    rewrapped += page.rewrapped;
    after = page.lastId;
    if (after === undefined) return rewrapped;
  }
}

async function rewrapPage(
  record: ClinicalRecord,
  tenant: string,
  kind: KeyWrite['kind'],
  parent: Parent,
  after: string | undefined,
): Promise<{ rewrapped: number; lastId: string | undefined }> {
  const rows = await record.store.keys.list(tenant, kind, PAGE, after);
  const keys: KeyWrite[] = [];
  for (const row of rows) {
    if (row.destroyedAt !== null || row.wrappedBy === parent.id) continue;
    const old = await record.keyring.forOpening(tenant, row.wrappedBy);
    keys.push(rewrap(record, { ...row, tenant }, old, parent));
  }
  if (keys.length > 0) await record.store.commit({ tenant, keys });
  return { rewrapped: keys.length, lastId: rows.length < PAGE ? undefined : rows.at(-1)?.id };
}

function rewrap(record: ClinicalRecord, row: KeyRow, old: KeyObject, parent: Parent): KeyWrite {
  const { tenant, id, kind, compartment, createdAt } = row;
  const key = unwrapKey(old, row.wrapped, row);
  const place = { tenant, id, kind, compartment, wrappedBy: parent.id };
  const wrapped = wrapKey(record.sealer, parent.key, key, place);
  return { id, kind, compartment, wrappedBy: parent.id, wrapped, createdAt, rewrap: true };
}

function draftOf(
  record: ClinicalRecord,
  principal: Principal,
  subject: string,
): { at: number; entry: string } {
  const entry = entryText({ action: 'rotate', outcome: 'success', ...actor(principal), subject });
  return { at: record.clock(), entry };
}
