// Business keys of identifiers: `authority|value`. The one place that both the header peek and the
// maps take them from, so that a message's subject and its Patient get the same id.
import type { Value } from './value.ts';

/**
 * Key of a CX, EI or similar value whose component 1 is the id and 4 (EI: see `authorityOf`) the
 * assigning authority. '' when there is no id.
 */
export function businessKey(cx: Value): string {
  const id = cx.child(1).text;
  return id === '' ? '' : `${authorityOf(cx.child(4))}|${id}`;
}

/** Authority of an HD: universal id (`urn:oid:` form when ISO), else namespace id, else ''. */
export function authorityOf(hd: Value): string {
  return authorityText(hd.child(1).text, hd.child(2).text, hd.child(3).text);
}

/** The same of an HD's three texts, for EI (components 2 to 4) and other spread-out forms. */
export function authorityText(namespace: string, universal: string, kind: string): string {
  if (universal === '') return namespace;
  const iso = kind.toUpperCase() === 'ISO' || (kind === '' && /^[012](\.\d+)+$/.test(universal));
  return iso && !universal.startsWith('urn:') ? `urn:oid:${universal}` : universal;
}
