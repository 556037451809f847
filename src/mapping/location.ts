// Places of a structure by their names: `PATIENT_RESULT.PATIENT.PID`, found by any suffix that is
// unique.
import type { Structure, StructureNode } from '../hl7/structure.ts';

export interface Location {
  /** Names of the groups from the root to it; of a group: itself included. */
  groups: readonly string[];
  /** null = the group itself. */
  segment: string | null;
  path: string;
}

/** All segments and groups of a structure, in order; equal paths once. */
export function listLocations(structure: Structure): Location[] {
  const found = new Map<string, Location>();
  visit(structure, [], found);
  return [...found.values()];
}

/**
 * The location that a path or path suffix names; among several, those below `within` are preferred.
 * A text says why there is none.
 */
export function resolveLocation(
  text: string,
  locations: readonly Location[],
  within: readonly string[],
): Location | string {
  const exact = locations.find(({ path }) => path === text);
  const matches = locations.filter(({ path }) => path.endsWith(`.${text}`));
  const around = `${within.join('.')}.`;
  const near = matches.filter(({ path }) => within.length > 0 && path.startsWith(around));
  const [only] = near;
  if (near.length === 1 && only !== undefined) return only;
  if (exact !== undefined) return exact;
  const [match] = matches;
  if (match === undefined) return `The structure has no ${text}.`;
  if (matches.length === 1) return match;
  return `${text} is not unique: ${matches.map(({ path }) => path).join(', ')}.`;
}

function visit(node: StructureNode, groups: readonly string[], found: Map<string, Location>): void {
  for (const child of node.children ?? []) {
    if (child.children !== undefined) {
      const inner = [...groups, child.name];
      const path = inner.join('.');
      if (!found.has(path)) found.set(path, { groups: inner, segment: null, path });
      visit(child, inner, found);
      continue;
    }
    for (const segment of child.segments) {
      const path = [...groups, segment].join('.');
      if (!found.has(path)) found.set(path, { groups, segment, path });
    }
  }
}
