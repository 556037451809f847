// One text of several parts that can be read in one way only: each part with its length before it.
// For associated data, token input and signatures; never parsed back.

/**
 * `['ab', 'c']` becomes `2:ab1:c`. Throws RangeError for ill-formed text (a lone surrogate), since
 * two different ones would have the same UTF-8 bytes.
 */
export function joinParts(parts: readonly string[]): string {
  let joined = '';
  for (const part of parts) joined += `${part.length}:${part}`;
  if (!joined.isWellFormed()) throw new RangeError('a part is not well-formed text');
  return joined;
}
