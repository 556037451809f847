// The root keys of an installation: those of the key file, and the retired ones that are kept.
import type { Config } from '../config/config.ts';
import {
  readRetiredRootKeys,
  readRootKey,
  replaceRootKey,
  retireRootKey,
} from '../config/root-key.ts';
import {
  addRootKey,
  formatRootKeys,
  parseRootKeys,
  type RootKeys,
  retireOlderRootKeys,
} from '../crypto/keys.ts';

type KeyPlace = Pick<Config, 'rootKey' | 'rootKeyFile'>;

/** `text` is that of the key file, where it has been read already. Throws KEY_UNAVAILABLE. */
export function loadRootKeys(place: KeyPlace, text = readRootKey(place)): RootKeys {
  const retired = readRetiredRootKeys(place).map((each) => parseRootKeys(each).current);
  return { ...parseRootKeys(text), retired };
}

/**
 * Replaces the root key: `rewrap` wraps everything with the new one. The file holds both keys until
 * then, and the old one is kept apart before the file drops it: a crash in between loses nothing.
 */
export async function replaceRootKeys<T>(
  place: KeyPlace,
  known: RootKeys,
  rewrap: (keys: RootKeys) => Promise<T>,
): Promise<T> {
  const both = addRootKey(known);
  replaceRootKey(place, formatRootKeys(both));
  const done = await rewrap(both);
  for (const key of both.older) {
    retireRootKey(place, key.id, formatRootKeys({ current: key, older: [] }));
  }
  replaceRootKey(place, formatRootKeys(retireOlderRootKeys(both)));
  return done;
}
