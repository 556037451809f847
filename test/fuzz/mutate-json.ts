// Mutations that know JSON: members, types, depth; and some that break it as text.
import { mutateText, ODD_TEXTS } from './mutate-text.ts';
import type { Random } from './random.ts';

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

const KEYS = [
  'resourceType',
  'id',
  'extension',
  'contained',
  'reference',
  '__proto__',
  'toString',
  'meta',
  '',
];
const NUMBERS = [0, -0, -1, 0.1, 1e308, -1e308, 1e-320, 2 ** 53, 1.7e308];

/** A document like `value`, changed at one to three places; rarely no JSON any more. */
export function mutateJson(random: Random, value: unknown): string {
  let changed = structuredClone(value) as Json;
  for (let left = 1 + random.below(3); left > 0; left -= 1) changed = change(random, changed);
  const text = JSON.stringify(changed);
  if (random.chance(0.1)) return mutateText(random, text);
  return random.chance(0.05) ? repeatMember(random, text) : text;
}

function change(random: Random, value: Json): Json {
  const isInner = typeof value === 'object' && value !== null && random.chance(0.85);
  if (!isInner) return replace(random, value);
  if (Array.isArray(value)) return changeList(random, value);
  const keys = Object.keys(value);
  if (keys.length === 0 || random.chance(0.1)) {
    return { ...value, [random.pick(KEYS)]: replace(random, value) };
  }
  const key = random.pick(keys);
  const { [key]: old = null, ...rest } = value;
  if (random.chance(0.15)) return rest;
  if (random.chance(0.1)) return { ...rest, [random.pick([...KEYS, ...keys])]: old };
  return { ...value, [key]: change(random, old) };
}

function changeList(random: Random, list: Json[]): Json {
  if (list.length === 0) return [replace(random, null)];
  const at = random.below(list.length);
  const item = list[at] ?? null;
  if (random.chance(0.15)) return list.toSpliced(at, 1);
  if (random.chance(0.15)) return list.toSpliced(at, 0, ...Array(1 + random.below(30)).fill(item));
  return list.with(at, change(random, item));
}

function replace(random: Random, value: Json): Json {
  return random.pick<() => Json>([
    () => null,
    () => random.chance(0.5),
    () => random.pick(NUMBERS),
    () => random.pick(ODD_TEXTS),
    () => [],
    () => ({}),
    () => [value],
    () => ({ value }),
    () => nest(random, value),
    () => (typeof value === 'string' ? mutateText(random, value) : JSON.stringify(value)),
  ])();
}

function nest(random: Random, value: Json): Json {
  let nested: Json = value;
  for (let left = random.below(200); left > 0; left -= 1) {
    nested = random.chance(0.5) ? [nested] : { extension: [nested] };
  }
  return nested;
}

/** A member that stands twice, with another value. */
function repeatMember(random: Random, text: string): string {
  const found = [...text.matchAll(/"[A-Za-z]+":/g)];
  if (found.length === 0) return text;
  const { index, 0: key } = random.pick(found);
  return `${text.slice(0, index)}${key}null,${text.slice(index)}`;
}
