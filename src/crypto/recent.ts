// A bounded memory of what was used lately, in two generations: when the young one is full it
// becomes the old one and the old one goes. A hit costs one or two map look-ups, no list upkeep.

export interface Recent<V> {
  get(key: string): V | undefined;
  /** Answers the value. `weight` counts towards the bound (1 if absent). */
  set(key: string, value: V, weight?: number): V;
  delete(key: string): void;
  clear(): void;
}

/** At most `weightMax` in both generations together (one entry may exceed it alone). */
export function createRecent<V>(weightMax: number): Recent<V> {
  const half = weightMax / 2;
  let young = new Map<string, { value: V; weight: number }>();
  let old = new Map<string, { value: V; weight: number }>();
  let youngWeight = 0;
  const put = (key: string, entry: { value: V; weight: number }): V => {
    youngWeight += entry.weight - (young.get(key)?.weight ?? 0);
    young.set(key, entry);
    if (youngWeight >= half) {
      old = young;
      young = new Map();
      youngWeight = 0;
    }
    return entry.value;
  };
  return {
    get(key) {
      const hit = young.get(key);
      if (hit !== undefined) return hit.value;
      const aged = old.get(key);
      if (aged === undefined) return undefined;
      old.delete(key);
      return put(key, aged);
    },
    set(key, value, weight = 1) {
      old.delete(key);
      return put(key, { value, weight });
    },
    delete(key) {
      youngWeight -= young.get(key)?.weight ?? 0;
      young.delete(key);
      old.delete(key);
    },
    clear() {
      young = new Map();
      old = new Map();
      youngWeight = 0;
    },
  };
}
