// The key chain: the root key file's format, and making, wrapping and unwrapping of keys. Pure but
// for randomness: reading and writing the key file (mode 0600) is the caller's.
import {
  createPrivateKey,
  createSecretKey,
  generateKeyPairSync,
  hkdfSync,
  type KeyObject,
  randomBytes,
  randomUUID,
} from 'node:crypto';
import { EngineError } from '../model/errors.ts';
import { openSealed, type Sealer } from './seal.ts';

const KEY_BYTES = 32;
const FILE_FORMAT = 'artery-root-key/1';
const ROOT_KEYS_MAX = 16;

/** One root key: 32 random bytes and the id that wrapped tenant keys name. */
export interface RootKey {
  id: string;
  key: KeyObject;
}

/** What the root key file holds: the current key first, then older ones that may still open. */
export interface RootKeys {
  current: RootKey;
  older: RootKey[];
  /** Kept apart from the key file after a rotation: they open backups of before. */
  retired?: RootKey[];
}

/** A fresh root key (for the first start). */
export function makeRootKeys(): RootKeys {
  return { current: makeRootKey(), older: [] };
}

/**
 * Adds a fresh current key in front; the old ones stay readable. Write the file BEFORE
 * record/rotate.ts re-wraps with it, then `retireOlderRootKeys` and write again.
 */
export function addRootKey(keys: RootKeys): RootKeys {
  const older = [keys.current, ...keys.older].slice(0, ROOT_KEYS_MAX);
  return { ...keys, current: makeRootKey(), older };
}

/** Only the current key; the older ones are retired. */
export function retireOlderRootKeys(keys: RootKeys): RootKeys {
  return { current: keys.current, older: [], retired: [...(keys.retired ?? []), ...keys.older] };
}

function makeRootKey(): RootKey {
  return { id: `root-${randomUUID()}`, key: createSecretKey(randomBytes(KEY_BYTES)) };
}

/** The root key of that id. Throws EngineError KEY_UNAVAILABLE when the file does not hold it. */
export function findRootKey(keys: RootKeys, id: string): RootKey {
  const found = knownRootKeys(keys).find((key) => key.id === id);
  if (found !== undefined) return found;
  throw new EngineError(
    'KEY_UNAVAILABLE',
    `The store was made with the root key ${id}, which the key file does not hold.`,
  );
}

export function knownRootKeys({ current, older, retired = [] }: RootKeys): RootKey[] {
  return [current, ...older, ...retired];
}

/**
 * Text of the key file, without what is retired (JSON, format `artery-root-key/1`). Write it with
 * mode 0600.
 */
export function formatRootKeys(keys: RootKeys): string {
  const list = [keys.current, ...keys.older].map(({ id, key }) => ({
    id,
    key: key.export().toString('base64url'),
  }));
  return `${JSON.stringify({ format: FILE_FORMAT, keys: list }, null, 2)}\n`;
}

/** Reads the text of a key file. Throws EngineError KEY_UNAVAILABLE when it is not of its form. */
export function parseRootKeys(text: string): RootKeys {
  const [current, ...older] = readKeyList(text).map(readRootKey);
  if (current === undefined) throw badFile('it holds no key');
  return { current, older };
}

function readKeyList(text: string): unknown[] {
  let parsed: { format?: unknown; keys?: unknown } | null;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw badFile('it is not JSON'); // without the cause: its message quotes the file
  }
  if (parsed?.format !== FILE_FORMAT) throw badFile(`its format is not ${FILE_FORMAT}`);
  if (!Array.isArray(parsed.keys) || parsed.keys.length > ROOT_KEYS_MAX + 1) {
    throw badFile('it has no list of keys');
  }
  return parsed.keys;
}

function readRootKey(item: unknown): RootKey {
  const { id, key } = (item ?? {}) as { id?: unknown; key?: unknown };
  if (typeof id !== 'string' || !/^[\w-]{1,64}$/.test(id)) throw badFile('a key has no id');
  const bytes = Buffer.from(typeof key === 'string' ? key : '', 'base64url');
  if (bytes.length !== KEY_BYTES) throw badFile(`key ${id} does not have ${KEY_BYTES} bytes`);
  return { id, key: createSecretKey(bytes) };
}

function badFile(reason: string): EngineError {
  return new EngineError('KEY_UNAVAILABLE', `The root key file cannot be used: ${reason}.`);
}

/** What a wrapped key is and where it stands; bound to it, so it opens nowhere else. */
export interface KeyPlace {
  tenant: string;
  id: string;
  kind: string;
  compartment: string | null;
  wrappedBy: string;
}

/** A fresh symmetric key, opened. `random` must give fresh random bytes. */
export function makeSecretKey(random: (bytes: number) => Uint8Array): KeyObject {
  return createSecretKey(random(KEY_BYTES));
}

/** A key for one more purpose out of a symmetric key (HKDF-SHA-256, RFC 5869). */
export function deriveKey(key: KeyObject, purpose: string): KeyObject {
  return createSecretKey(new Uint8Array(hkdfSync('sha256', key, '', purpose, KEY_BYTES)));
}

/** A fresh Ed25519 key pair for checkpoints. */
export function makeSigningKey(): { privateKey: KeyObject; publicKey: KeyObject } {
  return generateKeyPairSync('ed25519');
}

/** Wraps a symmetric or an Ed25519 private key under `parent`, bound to its place. */
export function wrapKey(
  sealer: Sealer,
  parent: KeyObject,
  key: KeyObject,
  place: KeyPlace,
): Uint8Array {
  const bytes = key.type === 'secret' ? key.export() : key.export({ format: 'der', type: 'pkcs8' });
  return sealer.seal(parent, bytes, wrapParts(place));
}

/** Opens a wrapped key. Throws STORE_CORRUPT when parent, bytes or place are not the same. */
export function unwrapKey(parent: KeyObject, wrapped: Uint8Array, place: KeyPlace): KeyObject {
  const bytes = openSealed(parent, wrapped, wrapParts(place));
  if (place.kind !== 'signing') return createSecretKey(bytes);
  return createPrivateKey({ key: bytes, format: 'der', type: 'pkcs8' });
}

function wrapParts({ tenant, id, kind, compartment, wrappedBy }: KeyPlace): string[] {
  return ['key', tenant, id, kind, compartment === null ? '-' : `+${compartment}`, wrappedBy];
}
