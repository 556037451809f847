// The keys that were destroyed, remembered outside the store: a restored backup or a row that is
// written back does not open one. Each is a keyed digest (looked up when a key is opened) and its
// sealed id (to find the row again at a start): without the tenant's keys the texts tell nothing.
import type { KeyObject } from 'node:crypto';
import { openSealed, type Sealer } from '../crypto/seal.ts';
import { EngineError } from '../model/errors.ts';
import type { TenantKeys } from './tenant-keys.ts';

/** An append-only list of texts; the file of it is config/forgotten-file.ts. */
export interface ForgottenTexts {
  /** Texts that were not read before, whoever wrote them. */
  readNew(): string[];
  /** Durable when it returns. */
  append(texts: readonly string[]): void;
}

interface Forgotten {
  tenant: string;
  digest: string;
  /** The key id, sealed, base64url. */
  id: string;
  /** ms since the epoch. */
  at: number;
}

export class ForgottenKeys {
  readonly #texts: ForgottenTexts | undefined;
  readonly #sealer: Sealer;
  readonly #byDigest = new Map<string, Forgotten>();

  constructor(texts: ForgottenTexts | undefined, sealer: Sealer) {
    this.#texts = texts;
    this.#sealer = sealer;
  }

  /** When that key was destroyed (ms). Costs a stat of the file. */
  at(keys: TenantKeys, keyId: string): number | undefined {
    this.#readNew();
    if (this.#byDigest.size === 0) return undefined;
    return this.#byDigest.get(digestOf(keys, keyId))?.at;
  }

  add(keys: TenantKeys, keyIds: readonly string[], at: number): void {
    if (this.#texts === undefined) return;
    const fresh = keyIds.filter((id) => this.at(keys, id) === undefined);
    if (fresh.length === 0) return;
    this.#texts.append(fresh.map((id) => JSON.stringify(this.#make(keys, id, at))));
    this.#readNew();
  }

  /** Those of this tenant. Texts of another installation beside the same root key stay unread. */
  idsOf(keys: TenantKeys): string[] {
    this.#readNew();
    return [...this.#byDigest.values()].flatMap((each) => {
      if (each.tenant !== keys.tenant) return [];
      const id = openId(keys.forgotten, each);
      return id !== undefined && digestOf(keys, id) === each.digest ? [id] : [];
    });
  }

  #make(keys: TenantKeys, keyId: string, at: number): Forgotten {
    const { tenant } = keys;
    const sealed = this.#sealer.seal(keys.forgotten, keyId, ['forgotten', tenant]);
    const id = Buffer.from(sealed).toString('base64url');
    return { tenant, digest: digestOf(keys, keyId), id, at };
  }

  #readNew(): void {
    for (const text of this.#texts?.readNew() ?? []) {
      const each = JSON.parse(text) as Forgotten;
      if (!this.#byDigest.has(each.digest)) this.#byDigest.set(each.digest, each);
    }
  }
}

function digestOf(keys: TenantKeys, keyId: string): string {
  return keys.blinder.digest('forgotten key', `${keys.tenant}|${keyId}`);
}

function openId(key: KeyObject, { tenant, id }: Forgotten): string | undefined {
  try {
    return openSealed(key, Buffer.from(id, 'base64url'), ['forgotten', tenant]).toString('utf8');
  } catch (thrown) {
    if (thrown instanceof EngineError && thrown.code === 'STORE_CORRUPT') return undefined;
    throw thrown;
  }
}
