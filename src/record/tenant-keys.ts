// The keys that a whole tenant shares: tenant key, index key, signing key. Loads them, and makes
// them, in one commit, when the tenant is used for the first time.
import type { KeyObject } from 'node:crypto';
import { entryText } from '../audit/entry.ts';
import {
  deriveKey,
  makeSecretKey,
  makeSigningKey,
  type RootKey,
  unwrapKey,
  wrapKey,
} from '../crypto/keys.ts';
import { createMac } from '../crypto/mac.ts';
import { publicKeyOf, thumbprint } from '../crypto/sign.ts';
import { type Blinder, createBlinder } from '../crypto/token.ts';
import { idMaker } from '../crypto/uuid.ts';
import { EngineError } from '../model/errors.ts';
import { CommitConflict, type KeyRow, type KeyWrite } from '../store/port.ts';
import type { KeyringContext } from './keyring.ts';

export interface TenantKeys {
  tenant: string;
  /** Id that a business key has in this tenant. */
  ids: (type: string, businessKey: string) => string;
  /** The newest tenant key: wraps data keys, seals what has no compartment. */
  current: { id: string; key: KeyObject };
  /** Blind tokens and digests under the tenant's index key. */
  blinder: Blinder;
  /** Seals the ids of destroyed keys, outside the store. Out of the index key: it never changes. */
  forgotten: KeyObject;
  /** MAC over a credential's row, 64 hex characters. Its key comes out of the index key, too. */
  credentialMac: (text: string) => string;
  signing: { id: string; privateKey: KeyObject; publicKey: KeyObject };
}

export const INDEX_KEY_ID = 'index';
const TENANT_KEYS_MAX = 1_000;

/** `t0001`, `t0002`: in the order in which they were made. */
export function tenantKeyId(number: number): string {
  return `t${String(number).padStart(4, '0')}`;
}

/** Names the public key too: checkpoints bear this id. */
export function signingKeyId(keyThumbprint: string): string {
  return `sign.${keyThumbprint}`;
}

export interface RootKeyFinder {
  /** Throws KEY_UNAVAILABLE. */
  find(id: string): RootKey;
  newest(): RootKey;
}

/** Throws KEY_UNAVAILABLE when the root key is not the one that the tenant was made with. */
export async function loadTenant(
  context: KeyringContext,
  tenant: string,
  rootKeys: RootKeyFinder,
): Promise<TenantKeys> {
  const found = await openTenant(context, tenant, rootKeys);
  if (found !== undefined) return found;
  await makeTenant(context, tenant, rootKeys.newest());
  const made = await openTenant(context, tenant, rootKeys);
  if (made !== undefined) return made;
  throw new EngineError('STORE_CORRUPT', `The keys of tenant ${tenant} were not kept.`);
}

async function openTenant(
  context: KeyringContext,
  tenant: string,
  rootKeys: RootKeyFinder,
): Promise<TenantKeys | undefined> {
  const { store } = context;
  const rows = await store.keys.list(tenant, 'tenant', TENANT_KEYS_MAX);
  const newest = rows.toSorted((a, b) => a.id.localeCompare(b.id)).at(-1);
  if (newest === undefined) return undefined;
  const keyOf = (id: string): KeyObject => {
    const row = rows.find((each) => each.id === id);
    if (row === undefined) throw new EngineError('KEY_UNAVAILABLE', `No key has the id ${id}.`);
    return unwrap(rootKeys.find(row.wrappedBy).key, tenant, row);
  };
  const index = await store.keys.get(tenant, INDEX_KEY_ID);
  const signing = (await store.keys.list(tenant, 'signing', TENANT_KEYS_MAX))
    .toSorted((a, b) => a.createdAt - b.createdAt)
    .at(-1);
  if (index === undefined || signing === undefined) {
    throw new EngineError('STORE_CORRUPT', `Keys of tenant ${tenant} are missing.`);
  }
  const privateKey = unwrap(keyOf(signing.wrappedBy), tenant, signing);
  const indexKey = unwrap(keyOf(index.wrappedBy), tenant, index);
  return {
    tenant,
    ids: idMaker(tenant),
    current: { id: newest.id, key: keyOf(newest.id) },
    blinder: createBlinder(indexKey, context.limits.tokensCached),
    forgotten: deriveKey(indexKey, 'artery forgotten keys'),
    credentialMac: createMac(deriveKey(indexKey, 'artery credential rows')),
    signing: { id: signing.id, privateKey, publicKey: publicKeyOf(privateKey) },
  };
}

function unwrap(parent: KeyObject, tenant: string, row: KeyRow): KeyObject {
  return unwrapKey(parent, row.wrapped, { ...row, tenant });
}

/** Makes all three in one commit; when another thread was faster, its keys stand. */
async function makeTenant(context: KeyringContext, tenant: string, root: RootKey): Promise<void> {
  const tenantKey = { id: tenantKeyId(1), key: makeSecretKey(context.random) };
  const pair = makeSigningKey();
  const index = makeSecretKey(context.random);
  const write = (
    id: string,
    kind: KeyWrite['kind'],
    key: KeyObject,
    parent: { id: string; key: KeyObject },
  ): KeyWrite => {
    const place = { tenant, id, kind, compartment: null, wrappedBy: parent.id };
    const wrapped = wrapKey(context.sealer, parent.key, key, place);
    return { ...withoutTenant(place), kind, wrapped, createdAt: context.clock(), rewrap: false };
  };
  const keys = [
    write(tenantKey.id, 'tenant', tenantKey.key, root),
    write(INDEX_KEY_ID, 'index', index, tenantKey),
    write(signingKeyId(thumbprint(pair.publicKey)), 'signing', pair.privateKey, tenantKey),
  ];
  const entry = entryText({ action: 'keys', outcome: 'success', who: 'artery', subject: root.id });
  try {
    await context.store.commit({ tenant, keys, audit: [{ at: context.clock(), entry }] });
  } catch (thrown) {
    if (thrown instanceof CommitConflict && thrown.conflict.kind === 'key-exists') return;
    throw thrown;
  }
}

function withoutTenant<P extends { tenant: string }>({ tenant: _, ...rest }: P): Omit<P, 'tenant'> {
  return rest;
}
