// Owns the forms of a literal reference (R4 references.html#literal) and what it points to.
import { isResourceType } from './elements.ts';

/** Base URL, type, id; a version is allowed behind them. */
const LITERAL = new RegExp(
  '^(?:([a-z][a-z0-9+.-]*://[^\\s?#]+)/)?' +
    '([A-Z][A-Za-z]+)/([A-Za-z0-9.-]{1,64})(?:/_history/[A-Za-z0-9.-]{1,64})?$',
);

export interface Target {
  type: string;
  id: string;
  /** '' = on this server. */
  base: string;
}

/** `Patient/1`, `Patient/1/_history/2` or an absolute URL of a resource; null = another form. */
export function parseReference(text: string): Target | null {
  const m = LITERAL.exec(text);
  if (!m) return null;
  return { base: m[1] ?? '', type: m[2] ?? '', id: m[3] ?? '' };
}

/** What is wrong with `Reference.reference`, '' = nothing. `targets` empty = any type. */
export function referenceFault(text: string, targets: readonly string[]): string {
  if (text.startsWith('#') || /^urn:(uuid|oid):\S+$/.test(text)) return '';
  const target = parseReference(text);
  if (target === null) {
    const isOther = /^[a-z][a-z0-9+.-]*:\S+$/.test(text) || /^[A-Z][A-Za-z]+\?\S+$/.test(text);
    return isOther ? '' : 'A reference is Type/id, an absolute URL, urn:uuid:, urn:oid: or #id.';
  }
  if (target.base !== '') return '';
  if (!isResourceType(target.type)) return 'The reference names no R4 resource type.';
  if (targets.length === 0 || targets.includes(target.type)) return '';
  return `The reference must point to ${targets.join(', ')}.`;
}
