// Owns the reach into a resource: the values at a place, and the equality tokens that a value of a
// data type yields. What is indexed and what is searched both rest on it.
import type { Place } from './parameters.ts';
import { parseReference } from './reference.ts';
import { fold, foldContact } from './text.ts';

type Data = Record<string, unknown>;

/** The values at a place, arrays opened; null and undefined left out. */
export function valuesAt(resource: Data, place: Place): unknown[] {
  if (place.type === 'anyTrue') return [isAnyTrue(resource, place.path)];
  const found: unknown[] = [];
  collect(resource, place, 0, found);
  return found;
}

function collect(value: unknown, place: Place, depth: number, found: unknown[]): void {
  if (value === undefined || value === null) return;
  if (Array.isArray(value)) {
    for (const item of value) collect(item, place, depth, found);
    return;
  }
  const filter = depth === 0 ? null : (place.steps[depth - 1]?.filter ?? null);
  if (filter !== null && (value as Data)[filter.key] !== filter.value) return;
  const step = place.steps[depth];
  if (step === undefined) found.push(value);
  else if (typeof value === 'object') collect((value as Data)[step.key], place, depth + 1, found);
}

/** `deceased`: a choice element that is there and is not false. */
function isAnyTrue(resource: Data, stem: string): boolean {
  for (const key in resource) {
    if (key.startsWith(stem) && key.length > stem.length && resource[key] !== false) return true;
  }
  return false;
}

/**
 * Equality tokens of a value. Codings and identifiers: `system|code` (or `|code` without a system)
 * and `code`; codes are compared without regard to case (R4 search.html#token).
 */
export function tokensOf(type: string, value: unknown): string[] {
  switch (type) {
    case 'CodeableConcept': {
      const codings = (value as Data).coding;
      return Array.isArray(codings) ? codings.flatMap((one: Data) => coded(one, one?.code)) : [];
    }
    case 'Coding':
      return coded(value as Data, (value as Data).code);
    case 'Identifier':
      return coded(value as Data, (value as Data).value);
    case 'ContactPoint':
      return textTokens((value as Data).value, foldContact);
    case 'Reference':
      return referenceTokens((value as Data).reference);
    case 'canonical':
      return typeof value === 'string' ? [...new Set([value, value.replace(/\|.*$/, '')])] : [];
    case 'uri':
    case 'url':
    case 'oid':
    case 'uuid':
      return textTokens(value, (text) => text);
    case 'boolean':
    case 'anyTrue':
      return typeof value === 'boolean' ? [String(value)] : [];
    default:
      return textTokens(value, fold);
  }
}

function coded(holder: Data | null, code: unknown): string[] {
  if (typeof code !== 'string' || code === '') return [];
  const system = holder?.system;
  const folded = fold(code);
  return [typeof system === 'string' ? `${system}|${folded}` : `|${folded}`, folded];
}

function textTokens(value: unknown, normalize: (text: string) => string): string[] {
  if (typeof value !== 'string') return [];
  const text = normalize(value);
  return text === '' ? [] : [text];
}

/** `Type/id`, without a version; other forms as they are; contained ones are not found. */
function referenceTokens(text: unknown): string[] {
  if (typeof text !== 'string' || text === '' || text.startsWith('#')) return [];
  const target = parseReference(text);
  if (target === null) return [text];
  const path = `${target.type}/${target.id}`;
  return [target.base === '' ? path : `${target.base}/${path}`];
}
