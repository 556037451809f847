// Places a message's segments into the groups of a structure, in one pass. Tolerant: every segment
// lands somewhere, and what does not fit is reported.
import type { Issue } from '../model/issue.ts';
import type { Message, Segment } from './message.ts';
import { issueAt } from './path.ts';
import type { Structure, StructureNode } from './structure.ts';

export interface Group {
  /** Name in the structure, '' for the root. */
  readonly name: string;
  /** Which group of that name within its parent, from 0. */
  readonly occurrence: number;
  readonly parent: Group | undefined;
  /** Segments directly in this group, by name, in message order; Z-segments included. */
  readonly segments: Map<string, Segment[]>;
  readonly groups: Map<string, Group[]>;
}

/**
 * Groups the segments. Z-segments stay in the group where they stand (information), unexpected and
 * misplaced segments too (warning); missing required segments and groups are errors.
 */
export function groupSegments(
  structure: Structure,
  message: Message,
): { root: Group; issues: Issue[] } {
  const root = newGroup('', 0, undefined);
  const placer = new Placer(structure, root);
  for (const segment of message.segments) placer.place(segment);
  reportMissing(structure, root, placer.issues);
  return { root, issues: placer.issues };
}

/** Groups at a path of names from `from`: ['PATIENT_RESULT', 'PATIENT']; [] is `from` itself. */
export function selectGroups(from: Group, names: readonly string[]): Group[] {
  let found = [from];
  for (const name of names) found = found.flatMap((group) => group.groups.get(name) ?? []);
  return found;
}

/** Where a group stands: `PATIENT_RESULT.ORDER_OBSERVATION[1]`; '' for the root. */
export function groupLocation(group: Group): string {
  const own = group.occurrence > 0 ? `${group.name}[${group.occurrence}]` : group.name;
  const above = group.parent === undefined ? '' : groupLocation(group.parent);
  return above === '' ? own : `${above}.${own}`;
}

/** An open group: `index` is the child reached, `filled` whether it has something already. */
interface Frame {
  node: StructureNode;
  group: Group;
  index: number;
  filled: boolean;
}

const MISPLACED_MAX = 100;

class Placer {
  readonly issues: Issue[] = [];
  private readonly stack: Frame[];

  constructor(structure: Structure, root: Group) {
    this.stack = [{ node: structure, group: root, index: 0, filled: false }];
  }

  place(segment: Segment): void {
    const { name } = segment;
    if (this.advance(segment, true)) return;
    if (name.startsWith('Z')) {
      this.put(this.innermost(), segment);
      this.report(segment, 'information', 'A local segment; it stays in the group it stands in.');
      return;
    }
    if (this.advance(segment, false)) return;
    const owner = this.stack.findLast(({ node }) => children(node).some((c) => takes(c, name)));
    this.put(owner ?? this.innermost(), segment);
    const text = owner
      ? 'The segment is out of order, or occurs more often than the structure allows.'
      : 'The structure has no such segment here; it stays in the group it stands in.';
    this.report(segment, 'warning', text);
  }

  /**
   * Moves forward to where the segment belongs, from the innermost open group outwards. Strict:
   * skipping nothing that is required; else it may skip, but begins no new repetition.
   */
  private advance(segment: Segment, strict: boolean): boolean {
    for (let depth = this.stack.length - 1; depth >= 0; depth--) {
      const frame = this.stack[depth];
      const index = frame === undefined ? -1 : findChild(frame, segment.name, strict);
      if (frame === undefined || index < 0) continue;
      this.stack.length = depth + 1;
      this.descend(frame, index, segment);
      return true;
    }
    return false;
  }

  private descend(from: Frame, at: number, segment: Segment): void {
    let frame = from;
    let index = at;
    for (;;) {
      const child = children(frame.node)[index];
      frame.index = index;
      frame.filled = true;
      if (child?.children === undefined) break;
      const group = addGroup(frame.group, child.name);
      frame = { node: child, group, index: 0, filled: false };
      this.stack.push(frame);
      const inner = findChild(frame, segment.name, true);
      index = inner >= 0 ? inner : findChild(frame, segment.name, false);
    }
    this.put(frame, segment);
  }

  private put(frame: Frame, segment: Segment): void {
    const { segments } = frame.group;
    const list = segments.get(segment.name);
    if (list === undefined) segments.set(segment.name, [segment]);
    else list.push(segment);
  }

  private innermost(): Frame {
    return this.stack[this.stack.length - 1] as Frame;
  }

  private report(segment: Segment, severity: Issue['severity'], text: string): void {
    if (this.issues.length >= MISPLACED_MAX) return;
    this.issues.push(issueAt(segment.location, severity, 'structure', text));
  }
}

function findChild(frame: Frame, name: string, strict: boolean): number {
  const nodes = children(frame.node);
  for (let j = frame.index; j < nodes.length; j++) {
    const child = nodes[j];
    if (child === undefined) break;
    const again = j === frame.index && frame.filled;
    const open = !again || (child.repeats && (strict || child.children === undefined));
    if (open && (strict ? child.first : child.all).has(name)) return j;
    if (strict && !again && !child.nullable) return -1;
  }
  return -1;
}

function children(node: StructureNode): readonly StructureNode[] {
  return node.children ?? [];
}

function takes(node: StructureNode, name: string): boolean {
  return node.segments.includes(name);
}

function addGroup(parent: Group, name: string): Group {
  const siblings = parent.groups.get(name);
  const group = newGroup(name, siblings?.length ?? 0, parent);
  if (siblings === undefined) parent.groups.set(name, [group]);
  else siblings.push(group);
  return group;
}

function newGroup(name: string, occurrence: number, parent: Group | undefined): Group {
  return { name, occurrence, parent, segments: new Map(), groups: new Map() };
}

function reportMissing(node: StructureNode, group: Group, issues: Issue[]): void {
  for (const child of children(node)) {
    if (child.children !== undefined) {
      const groups = group.groups.get(child.name) ?? [];
      for (const inner of groups) reportMissing(child, inner, issues);
      if (groups.length > 0 || child.nullable) continue;
    } else if (!child.required || child.segments.some((name) => group.segments.has(name))) {
      continue;
    }
    if (issues.length >= 2 * MISPLACED_MAX) return;
    const what = child.children === undefined ? 'segment' : 'group';
    const where = groupLocation(group);
    const text = `The required ${what} ${child.name} is missing${where && ` in ${where}`}.`;
    issues.push(issueAt(child.name, 'error', 'required', text));
  }
}
