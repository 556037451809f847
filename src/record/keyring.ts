// The keys of a record, opened: tenant, index and signing keys, and one data key per compartment.
// Bounded, and looked at again from time to time, since another thread may destroy or rotate.
import type { KeyObject } from 'node:crypto';
import {
  findRootKey,
  type KeyPlace,
  knownRootKeys,
  makeSecretKey,
  type RootKey,
  type RootKeys,
  unwrapKey,
  wrapKey,
} from '../crypto/keys.ts';
import { createRecent, type Recent } from '../crypto/recent.ts';
import type { Sealer } from '../crypto/seal.ts';
import { EngineError } from '../model/errors.ts';
import type { KeyRow, KeyWrite, Store } from '../store/port.ts';
import { ForgottenKeys, type ForgottenTexts } from './forgotten.ts';
import { loadTenant, type TenantKeys } from './tenant-keys.ts';

export interface KeyringContext {
  store: Store;
  sealer: Sealer;
  clock: () => number;
  random: (bytes: number) => Uint8Array;
  limits: { keysCached: number; keyRecheckMs: number; tokensCached: number };
  /** The root keys as they are kept now: another process may have rotated them. */
  readRootKeys?: (() => RootKeys) | undefined;
  /** Kept outside the store; without it a restored backup brings forgotten keys back. */
  forgotten?: ForgottenTexts | undefined;
}

/** The key to seal with. `write` is set for a key that is new: it must ride in the same unit. */
export interface SealingKey {
  id: string;
  key: KeyObject;
  write?: KeyWrite;
  /** When an earlier key of this compartment was destroyed (ms), null = never. */
  forgottenAt: number | null;
}

interface Opened {
  /** null = destroyed. */
  key: KeyObject | null;
  destroyedAt: number | null;
  checkedAt: number;
}

/** A patient may be forgotten and come back so often. */
const GENERATIONS_MAX = 1_000;

export class Keyring {
  readonly #context: KeyringContext;
  readonly #opened: Recent<Opened>;
  readonly #generations: Recent<number>;
  readonly #tenants = new Map<string, Promise<TenantKeys>>();
  readonly #forgotten: ForgottenKeys;
  #rootKeys: RootKeys;

  constructor(context: KeyringContext, rootKeys: RootKeys) {
    this.#context = context;
    this.#rootKeys = rootKeys;
    this.#forgotten = new ForgottenKeys(context.forgotten, context.sealer);
    this.#opened = createRecent(context.limits.keysCached);
    this.#generations = createRecent(context.limits.keysCached);
  }

  /** Keys of a tenant, made at its first use. Throws KEY_UNAVAILABLE for another root key. */
  tenant(tenant: string): Promise<TenantKeys> {
    const known = this.#tenants.get(tenant);
    if (known !== undefined) return known;
    const loading = loadTenant(this.#context, tenant, {
      find: (id) => this.#findRootKey(id),
      newest: () => this.#readRootKeys().current,
    });
    this.#tenants.set(tenant, loading);
    loading.catch(() => this.#tenants.delete(tenant));
    return loading;
  }

  /** The tenant key for null, else the compartment's living data key, made when there is none. */
  async forSealing(tenant: string, compartment: string | null): Promise<SealingKey> {
    if (compartment === null) {
      const { current } = await this.tenant(tenant);
      return { id: current.id, key: current.key, forgottenAt: null };
    }
    const place = `${tenant}|${compartment}`;
    let forgottenAt: number | null = null;
    const first = Math.max(0, (this.#generations.get(place) ?? 0) - 1);
    for (let generation = first; generation < GENERATIONS_MAX; generation += 1) {
      const id = dataKeyId(compartment, generation);
      const opened = await this.#find(tenant, id);
      if (opened === undefined) return this.#make(tenant, compartment, id, forgottenAt);
      this.#generations.set(place, generation);
      if (opened.key !== null) return { id, key: opened.key, forgottenAt };
      forgottenAt = opened.destroyedAt;
    }
    throw new EngineError('KEY_DESTROYED');
  }

  /** Any key by its id. Throws KEY_DESTROYED, KEY_UNAVAILABLE (unknown id). */
  async forOpening(tenant: string, id: string): Promise<KeyObject> {
    const opened = await this.#find(tenant, id);
    if (opened === undefined) throw new EngineError('KEY_UNAVAILABLE', `No key has the id ${id}.`);
    if (opened.key === null) throw new EngineError('KEY_DESTROYED');
    return opened.key;
  }

  /** Before the commit that destroys them: none of these opens from now on, whatever is stored. */
  async markForgotten(tenant: string, ids: string[]): Promise<void> {
    this.#forgotten.add(await this.tenant(tenant), ids, this.#context.clock());
    this.drop(tenant, ids);
  }

  /** Ids that were marked, in their order. */
  async forgottenIds(tenant: string): Promise<string[]> {
    return this.#forgotten.idsOf(await this.tenant(tenant));
  }

  /** Remembers keys whose unit was committed. */
  keep(tenant: string, keys: SealingKey[]): void {
    const checkedAt = this.#context.clock();
    for (const { id, key } of keys) {
      this.#opened.set(`${tenant}|${id}`, { key, destroyedAt: null, checkedAt });
    }
  }

  /** Looks at these keys anew when they are next asked for. */
  drop(tenant: string, ids: string[]): void {
    for (const id of ids) this.#opened.delete(`${tenant}|${id}`);
  }

  /** Looks at all data keys anew, and forgets the clear values of cached tokens. */
  dropOpened(): void {
    this.#opened.clear();
    this.#generations.clear();
    for (const loading of this.#tenants.values()) {
      void loading.then(
        ({ blinder }) => blinder.clear(),
        () => undefined,
      );
    }
  }

  /** Looks at all keys anew, those of tenants too. */
  clear(): void {
    this.#opened.clear();
    this.#generations.clear();
    this.#tenants.clear();
  }

  /** Root keys from now on; keys that are open stay open. */
  useRootKeys(rootKeys: RootKeys): void {
    this.#rootKeys = rootKeys;
  }

  get rootKeys(): RootKeys {
    return this.#rootKeys;
  }

  async #find(tenant: string, id: string): Promise<Opened | undefined> {
    const { clock, limits, store } = this.#context;
    const known = this.#opened.get(`${tenant}|${id}`);
    if (known !== undefined) {
      const fresh = clock() - known.checkedAt < limits.keyRecheckMs;
      if (fresh || known.key === null) return known;
    }
    const row = await store.keys.get(tenant, id);
    const forgottenAt = await this.#forgottenAt(tenant, id);
    const checkedAt = clock();
    if (forgottenAt !== undefined) {
      const destroyedAt = row?.destroyedAt ?? forgottenAt;
      return this.#opened.set(`${tenant}|${id}`, { key: null, destroyedAt, checkedAt });
    }
    if (row === undefined) {
      if (known === undefined) return undefined;
      throw new EngineError('STORE_CORRUPT', `The store has lost the key ${id}.`);
    }
    const opened = {
      // The bytes of a living key never change: it is unwrapped once.
      key: row.destroyedAt === null ? (known?.key ?? (await this.#unwrap(tenant, row))) : null,
      destroyedAt: row.destroyedAt,
      checkedAt,
    };
    return this.#opened.set(`${tenant}|${id}`, opened);
  }

  async #forgottenAt(tenant: string, id: string): Promise<number | undefined> {
    if (compartmentOfKey(id) === null) return undefined;
    return this.#forgotten.at(await this.tenant(tenant), id);
  }

  /** Opens a row as it is stored, whatever is cached. Throws STORE_CORRUPT, KEY_UNAVAILABLE. */
  async testRow(tenant: string, row: KeyRow): Promise<void> {
    await this.#unwrap(tenant, row);
  }

  async #unwrap(tenant: string, row: KeyRow): Promise<KeyObject> {
    const parent =
      row.kind === 'tenant'
        ? this.#findRootKey(row.wrappedBy).key
        : await this.forOpening(tenant, row.wrappedBy);
    return unwrapKey(parent, row.wrapped, { ...row, tenant });
  }

  /** Looks at the kept ones when it is not among those known here. */
  #findRootKey(id: string): RootKey {
    const known = knownRootKeys(this.#rootKeys).find((key) => key.id === id);
    return known ?? findRootKey(this.#readRootKeys(), id);
  }

  #readRootKeys(): RootKeys {
    const { readRootKeys } = this.#context;
    if (readRootKeys !== undefined) this.#rootKeys = readRootKeys();
    return this.#rootKeys;
  }

  async #make(
    tenant: string,
    compartment: string,
    id: string,
    forgottenAt: number | null,
  ): Promise<SealingKey> {
    const { sealer, clock, random } = this.#context;
    const { current } = await this.tenant(tenant);
    const key = makeSecretKey(random);
    const place: KeyPlace = { tenant, id, kind: 'data', compartment, wrappedBy: current.id };
    const write: KeyWrite = {
      id,
      kind: 'data',
      compartment,
      wrappedBy: current.id,
      wrapped: wrapKey(sealer, current.key, key, place),
      createdAt: clock(),
      rewrap: false,
    };
    return { id, key, write, forgottenAt };
  }
}

/** `/` stands in no FHIR id, so no compartment's key id can look like another's. */
export function dataKeyId(compartment: string, generation: number): string {
  return `d/${compartment}/${generation}`;
}

/** Compartment of a data key's id, null for every other key. */
export function compartmentOfKey(id: string): string | null {
  const parts = id.split('/');
  return parts.length === 3 && parts[0] === 'd' ? (parts[1] ?? null) : null;
}
