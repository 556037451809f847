// Checks a row's target against the FHIR structure of what the row fills, when a map is compiled: a
// misspelt element would else refuse every message at run time.
import { type ElementInfo, elementsOf, isElementType } from '../fhir/elements.ts';

/** Element names of a target with the type that stands there; '' = not known, not checked. */
export type TypeFound = { type: string } | { unknown: string; of: string };

/**
 * Follows element names from a type. `''`, `Resource` and a primitive's own value end the check;
 * an empty path (target `.`) is the type itself. With `wholeChoice` the last name may be that of a
 * choice without its type: `value`.
 */
export function typeAt(root: string, names: readonly string[], wholeChoice = false): TypeFound {
  let type = root;
  for (const [index, name] of names.entries()) {
    if (type === '' || type === 'Resource') return { type: '' };
    const isLast = index === names.length - 1;
    if (wholeChoice && isLast && hasChoice(type, name)) return { type: '' };
    const element = findElement(type, name);
    if (element === undefined) return { unknown: name, of: type };
    type =
      element.type.kind === 'primitive' && name.startsWith('_') ? 'Element' : element.type.name;
  }
  return { type };
}

function findElement(type: string, name: string): ElementInfo | undefined {
  if (!isElementType(type)) return undefined;
  const own = name.startsWith('_') ? name.slice(1) : name;
  const found = elementsOf(type).find(({ key }) => key === own);
  return name.startsWith('_') && found?.type.kind !== 'primitive' ? undefined : found;
}

function hasChoice(type: string, stem: string): boolean {
  return isElementType(type) && elementsOf(type).some(({ choice }) => choice === stem);
}
