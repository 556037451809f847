// Plain JSON values: copying, telling kinds apart, and the canonical text that hashes are made of.

export interface JsonObject {
  [key: string]: unknown;
}

export function isPlainObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A deep copy of plain JSON. */
export function cloneJson<T>(value: T): T {
  if (Array.isArray(value)) return value.map(cloneJson) as T;
  if (!isPlainObject(value)) return value;
  const out: JsonObject = {};
  for (const key of Object.keys(value)) out[key] = cloneJson((value as JsonObject)[key]);
  keepTexts(out, value);
  return out as T;
}

/** The same text, without the longer one that it was cut from and would keep in memory. */
export function freshText(text: string): string {
  return JSON.parse(JSON.stringify(text)) as string;
}

/** Copies the texts of decimals (fhir/json.ts, keepDecimal) that an object keeps, if it does. */
export function keepTexts(into: JsonObject, from: JsonObject): void {
  if (typeof from.toJSON !== 'function' || Object.hasOwn(into, 'toJSON')) return;
  for (const name of Reflect.ownKeys(from)) {
    const descriptor = Object.getOwnPropertyDescriptor(from, name);
    if (descriptor?.enumerable === false) Object.defineProperty(into, name, descriptor);
  }
}

/** JSON text with the keys of every object sorted: equal values have equal text. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (!isPlainObject(value)) return JSON.stringify(value ?? null);
  const parts = Object.keys(value)
    .filter((key) => value[key] !== undefined)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${canonicalJson(value[key])}`);
  return `{${parts.join(',')}}`;
}
