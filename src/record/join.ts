// How lists of a stored resource and of a message become one: extensions by their url, and lists
// that a message adds to. Everything else about merging is in merge.ts.

/**
 * Extensions: those of a url that the message has are replaced, all others stay. The order of what
 * is stored is kept.
 */
export function joinByUrl(stored: unknown, incoming: unknown): unknown {
  if (!Array.isArray(stored) || !Array.isArray(incoming)) return incoming;
  return joinBy(stored, incoming, urlOf, 'replace');
}

/**
 * Elements of the message join the stored ones. One that refers to the same resource as a stored
 * one (of the same `type` and `use`) takes its place, an equal one changes nothing.
 */
export function joinLists(stored: unknown, incoming: unknown): unknown {
  if (!Array.isArray(stored) || !Array.isArray(incoming)) return incoming;
  return joinBy(stored, incoming, identityOf, 'keep');
}

/** `rest`: what becomes of stored elements of a key beyond as many as the message has. */
function joinBy(
  stored: readonly unknown[],
  incoming: readonly unknown[],
  keyOf: (element: unknown) => string,
  rest: 'keep' | 'replace',
): unknown[] {
  const waiting = new Map<string, unknown[]>();
  for (const element of incoming) {
    const key = keyOf(element);
    const same = waiting.get(key);
    if (same === undefined) waiting.set(key, [element]);
    else same.push(element);
  }
  const joined: unknown[] = [];
  for (const element of stored) {
    const same = waiting.get(keyOf(element));
    if (same !== undefined && same.length > 0) joined.push(same.shift());
    else if (same === undefined || rest === 'keep') joined.push(element);
  }
  for (const same of waiting.values()) joined.push(...same);
  return joined;
}

function urlOf(element: unknown): string {
  return isObject(element) ? String(element.url) : '';
}

/** The one reference of an element with what says its role, else the whole element. */
function identityOf(element: unknown): string {
  if (!isObject(element)) return canonicalText(element);
  const references = [element, ...Object.values(element)].filter(isReference);
  const [only] = references;
  if (only === undefined || references.length > 1) return canonicalText(element);
  return `${only.reference} ${canonicalText([element.type, element.use])}`;
}

function isReference(value: unknown): value is { reference: string } {
  return isObject(value) && typeof value.reference === 'string';
}

/** Members sorted: equal values have equal texts. */
function canonicalText(value: unknown): string {
  return JSON.stringify(value, (_name, node: unknown) => {
    if (!isObject(node)) return node;
    return Object.fromEntries(Object.entries(node).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
