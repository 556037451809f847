// Enumerates the leaves of a message that carry something, with their places: the ground of the
// account that is given of every field.
import type { Message, Segment } from './message.ts';
import { formatPath } from './path.ts';
import type { Value } from './value.ts';

export interface Leaf {
  segment: Segment;
  /** From 1. */
  field: number;
  /** From 0. */
  repetition: number;
  /** From 1, also where the field is not split into components. */
  component: number;
  /** From 1, also where the component is not split into subcomponents. */
  subcomponent: number;
  /** Valued or null (`""`). */
  value: Value;
}

/** Calls `visit` for every leaf that is valued or null, in message order; MSH-1 and 2 included. */
export function visitLeaves(message: Message, visit: (leaf: Leaf) => void): void {
  for (const segment of message.segments) visitSegment(segment, visit);
}

/** The same of one segment. */
export function visitSegment(segment: Segment, visit: (leaf: Leaf) => void): void {
  const count = segment.fieldCount;
  for (let field = 1; field <= count; field++) {
    const value = segment.field(field);
    if (value.raw === '') continue;
    if (value.level === 4) {
      visit({ segment, field, repetition: 0, component: 1, subcomponent: 1, value });
      continue;
    }
    value.parts.forEach((repetition, index) => {
      if (repetition.raw !== '') visitRepetition(segment, field, index, repetition, visit);
    });
  }
}

/**
 * Place of a leaf, as short as it is clear: `PID-8`, `PID-3[1].4.2`, `OBX[2]-5`. The component is
 * written when its repetition has several, the subcomponent when its component has several.
 */
export function leafLocation(leaf: Leaf): string {
  const { segment, field, repetition } = leaf;
  const whole = segment.field(field);
  if (whole.level === 4) return formatPath(segment.name, segment.occurrence, field);
  const components = whole.repetition(repetition).parts;
  const subcomponents = components[leaf.component - 1]?.parts.length ?? 0;
  const component = components.length > 1 || subcomponents > 1 ? leaf.component : 0;
  const subcomponent = subcomponents > 1 ? leaf.subcomponent : 0;
  return formatPath(segment.name, segment.occurrence, field, repetition, component, subcomponent);
}

function visitRepetition(
  segment: Segment,
  field: number,
  repetition: number,
  value: Value,
  visit: (leaf: Leaf) => void,
): void {
  value.parts.forEach((component, c) => {
    if (component.raw === '') return;
    component.parts.forEach((leaf, s) => {
      if (leaf.raw === '') return;
      visit({ segment, field, repetition, component: c + 1, subcomponent: s + 1, value: leaf });
    });
  });
}
