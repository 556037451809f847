// What a running row can reach: the message's state (Run), and the segment, group and value in
// hand (Scope). Compiled rows are closures over these; nothing here knows the written form.
import type { Group } from '../hl7/grouping.ts';
import type { Segment } from '../hl7/message.ts';
import { formatPath } from '../hl7/path.ts';
import type { Issue, IssueCode } from '../model/issue.ts';
import type { Resource, WriteMode } from '../model/resource.ts';
import type { Account } from './account.ts';
import { type Cell, JsonCell } from './cell.ts';
import type { Converted } from './datetime.ts';
import { cloneJson } from './json.ts';
import type { ConversionContext } from './primitives.ts';
import type { SourcePath } from './source-path.ts';

/** A resource of a message map, from the moment its id is known. */
export interface Instance {
  name: string;
  type: string;
  id: string;
  key: string;
  group: Group;
  /** The segment it was made at; null = a group or a JSON node. */
  segment: Segment | null;
  cell: Cell;
  made: Made;
}

/** A resource of the output; several instances of one key share it. */
export interface Made {
  resource: Resource & { id: string };
  mode: WriteMode;
  cleared: Set<string>;
  /** Top-level elements that only rows with `initial` have written. */
  initial: Set<string>;
  /** Top-level lists that rows with `union` have written. */
  union: Set<string>;
  /** JSON text of a resource that several messages share: it is copied before it is changed. */
  text?: string;
}

export function newMade(resource: Made['resource'], mode: WriteMode): Made {
  return { resource, mode, cleared: new Set(), initial: new Set(), union: new Set() };
}

/** A resource to share between messages. `text` is its JSON; a change of it throws. */
export function keptMade(resource: Made['resource'], mode: WriteMode, text: string): Made {
  return { ...newMade(freeze(resource), mode), text };
}

/** What stands for a resource in this message and may be changed: a copy of a shared one. */
export function ownMade(run: Run, made: Made): Made {
  if (made.text === undefined) return made;
  const own = newMade(cloneJson(made.resource), made.mode);
  run.made.set(`${own.resource.resourceType}/${own.resource.id}`, own);
  return own;
}

function freeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value;
  for (const inner of Object.values(value)) freeze(inner);
  return Object.freeze(value);
}

/** State of one message while it is mapped. */
export interface Run {
  messageId: string;
  /** Id of a resource by type and business key. */
  idOf(type: string, key: string): string;
  /** Instances made in a group or below it, by name, in order. */
  instances: Map<Group, Map<string, Instance[]>>;
  /** Cell of the JSON record; an absent cell for HL7. */
  record: Cell;
  issues: Issue[];
  /** By `type/id`, in the order in which they were made. */
  made: Map<string, Made>;
  /** Made more than these, the run stops. */
  resourcesMax: number;
  /** Names of instances of which one found no key. */
  keyless: Set<string>;
  /** Results of datatype maps by map and level, then by raw text. */
  memo: (Map<string, unknown> | undefined)[];
  /** null = no account is kept. */
  account: Account | null;
  conversion: ConversionContext;
  /** A time that the last conversion had to complete. */
  pendingTime: Converted | null;
  zoneNoted: boolean;
  /** How many times were read in the channel's zone. */
  zoneUses: number;
}

export class Scope {
  readonly run: Run;
  readonly group: Group;
  readonly segment: Segment | null;
  /** The value that a datatype map is applied to, or the JSON node in hand. */
  readonly cell: Cell;
  /** The instance whose rows run; null while keys and conditions of instances are evaluated. */
  readonly instance: Instance | null;
  /** Repetitions in hand of the `each` blocks around, outermost first. */
  readonly eaches: readonly Cell[];
  /** Scope, path and repetition that this value was read from; null at the top. */
  readonly from: { scope: Scope; path: SourcePath; repetition: number } | null;
  /** Element path of the output in hand, for accounts: `Patient.name`. Empty without an account. */
  readonly label: string;

  constructor(
    run: Run,
    group: Group,
    segment: Segment | null,
    cell: Cell,
    instance: Instance | null,
    eaches: readonly Cell[] = NO_CELLS,
    from: Scope['from'] = null,
    label = '',
  ) {
    this.run = run;
    this.group = group;
    this.segment = segment;
    this.cell = cell;
    this.instance = instance;
    this.eaches = eaches;
    this.from = from;
    this.label = label;
  }

  /** The nearest segment of that name: in hand, then by enclosing groups. */
  find(name: string): Segment | undefined {
    if (this.segment !== null && this.segment.name === name) return this.segment;
    for (let group: Group | undefined = this.group; group !== undefined; group = group.parent) {
      const found = group.segments.get(name)?.[0];
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** The scope of one repetition inside an `each` block. */
  inBlock(eaches: readonly Cell[], cell: Cell, label: string): Scope {
    return new Scope(
      this.run,
      this.group,
      this.segment,
      cell,
      this.instance,
      eaches,
      this.from,
      label,
    );
  }
}

const NO_CELLS: readonly Cell[] = [];

/**
 * Instances of a name, nearest first: at the very segment in hand, else in the group in hand and
 * below, else in the group around it (JSON: at the node, below it, around it). The instance in hand
 * is left out.
 */
export function findInstances(scope: Scope, name: string): readonly Instance[] {
  const { segment, instance, run } = scope;
  if (scope.cell instanceof JsonCell) return findByPointer(scope, name, scope.cell.pointer);
  for (let group: Group | undefined = scope.group; group !== undefined; group = group.parent) {
    const found = run.instances.get(group)?.get(name);
    if (found === undefined) continue;
    const others = instance?.name === name ? found.filter((i) => i !== instance) : found;
    if (others.length === 0) continue;
    if (segment !== null && group === scope.group && others.length > 1) {
      const same = others.filter((i) => i.segment === segment);
      if (same.length > 0) return same;
    }
    return others;
  }
  return NO_INSTANCES;
}

function findByPointer(scope: Scope, name: string, pointer: string): readonly Instance[] {
  const all = scope.run.instances.get(scope.group)?.get(name) ?? NO_INSTANCES;
  for (let at = pointer; ; at = at.slice(0, at.lastIndexOf('/'))) {
    const near = all.filter(
      (i) => i !== scope.instance && (i.cell.raw === at || i.cell.raw.startsWith(`${at}/`)),
    );
    if (near.length > 0 || at === '') return near;
  }
}

const NO_INSTANCES: readonly Instance[] = [];

/** Registers an instance with its group and all groups around it. */
export function registerInstance(run: Run, instance: Instance): void {
  for (let group: Group | undefined = instance.group; group !== undefined; group = group.parent) {
    let names = run.instances.get(group);
    if (names === undefined) {
      names = new Map();
      run.instances.set(group, names);
    }
    const list = names.get(instance.name);
    if (list === undefined) names.set(instance.name, [instance]);
    else list.push(instance);
  }
}

/** Where a path of a scope stands in the message: `OBX[2]-5.1`, `/record/name`. */
export function placeOf(scope: Scope, path: SourcePath, repetition = 0): string {
  if (path.kind === 'pointer') {
    if (!path.relative) return path.text;
    return `${scope.cell.raw}${path.text.slice(1)}`;
  }
  if (path.kind === 'component') {
    const { from } = scope;
    const around = from === null ? path.text : placeOf(from.scope, from.path, from.repetition);
    const part = path.part === 0 ? '' : `.${path.part}`;
    return `${around}${part}${path.subpart === 0 ? '' : `.${path.subpart}`}`;
  }
  const occurrence = scope.find(path.segment)?.occurrence ?? 0;
  const { segment, field, component, subcomponent } = path;
  const rep = path.repetition ?? repetition;
  return formatPath(segment, occurrence, field, rep, component, subcomponent);
}

/** More of one message are not kept; errors have as much room again. */
const MAPPING_ISSUES_MAX = 10_000;

/** Adds an issue about a path; texts hold no value. */
export function addIssue(
  scope: Scope,
  severity: Issue['severity'],
  code: IssueCode,
  path: SourcePath,
  repetition: number,
  text: string,
): void {
  const { issues } = scope.run;
  if (issues.length >= MAPPING_ISSUES_MAX && severity !== 'error') return;
  if (issues.length >= 2 * MAPPING_ISSUES_MAX) return;
  issues.push({ severity, code, at: placeOf(scope, path, repetition), text });
}
