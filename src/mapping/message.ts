// Message maps: structure, required fields, instances in the order of their keys, contributions to
// the Provenance. Compiled from a checked source; run by run.ts.
import { compileStructure, type Structure } from '../hl7/structure.ts';
import { EngineError } from '../model/errors.ts';
import {
  type CompiledInstance,
  compileInstance,
  type InstanceContext,
  type SegmentMap,
} from './instance.ts';
import { isPlainObject } from './json.ts';
import { type Location, listLocations } from './location.ts';
import type { Read } from './read.ts';
import { compileWhen, type RowContext, readPath, refuse } from './row.ts';
import type { Scope } from './scope.ts';
import { faultAt, type Place } from './source.ts';

export interface MessageMap {
  name: string;
  /** `ADT^A01`; empty for JSON records. */
  events: readonly string[];
  /** Record name, '' for HL7. */
  record: string;
  structure: Structure | null;
  required: readonly Required[];
  /** Segments whose unmapped fields are ignored, with the reason. */
  ignore: ReadonlyMap<string, string>;
  /** As declared: the write order. */
  instances: readonly CompiledInstance[];
  /** The same, each after those that its key needs. */
  byNeed: readonly CompiledInstance[];
  /** Segment maps that contribute to the message's Provenance. */
  provenance: readonly SegmentMap[];
  /** SHA-256 (hex) of the written form of the map and of all that it uses. */
  hash: string;
}

export interface Required {
  /** '' for JSON records. */
  segment: string;
  /** The segment itself is required, in each of these groups; null = a field of those there. */
  groups: readonly string[] | null;
  read: Read;
  severity: 'error' | 'warning';
  when: ((scope: Scope) => boolean) | null;
}

/** Compiles a checked message map (its `extends` resolved); undefined when nothing can be run. */
export function compileMessage(
  context: RowContext,
  segmentMap: (name: string) => SegmentMap | undefined,
  hash: () => string,
): MessageMap | undefined {
  const { source } = context;
  const { value } = source;
  const record = typeof value.record === 'string' ? value.record : '';
  const structure = record === '' ? readStructure(context) : null;
  if (structure === undefined) return undefined;
  const resources = isPlainObject(value.resources) ? value.resources : {};
  const names = new Set(Object.keys(resources));
  const locations = structure === null ? [] : listLocations(structure);
  const inner: InstanceContext = { row: context, names, locations, segmentMap };
  const instances = Object.entries(resources)
    .map(([name, written]) =>
      isPlainObject(written) ? compileInstance(name, written, inner) : undefined,
    )
    .filter((instance) => instance !== undefined);
  checkRefs(context, names);
  return {
    name: source.name,
    events: Array.isArray(value.events) ? value.events.map(String) : [],
    record,
    structure,
    required: compileRequired(value.required, context, locations),
    ignore: readIgnore(value.ignore),
    instances,
    byNeed: orderByNeed(instances, context),
    provenance: readProvenance(value.provenance, inner),
    hash: hash(),
  };
}

function readStructure(context: RowContext): Structure | undefined {
  try {
    return compileStructure(String(context.source.value.structure));
  } catch (thrown) {
    if (!(thrown instanceof EngineError)) throw thrown;
    refuse(context, ['structure'], thrown.message);
    return undefined;
  }
}

/** Rows of the map's own instances that name an instance which is not there. */
function checkRefs(context: RowContext, names: ReadonlySet<string>): void {
  for (const [name, place] of context.refs) {
    if (!names.has(name)) refuse(context, place, `There is no instance named ${name}.`);
  }
  for (const name of context.needs) {
    if (names.has(name)) continue;
    refuse(context, ['resources'], `A datatype map refers to ${name}: there is no such instance.`);
  }
}

function compileRequired(
  written: unknown,
  context: RowContext,
  locations: readonly Location[],
): Required[] {
  const list = Array.isArray(written) ? written : [];
  const compiled: Required[] = [];
  list.forEach((item: unknown, index) => {
    const place: Place = ['required', index];
    const rule = isPlainObject(item) ? item : { field: item };
    const read = readPath(String(rule.field), place, context, true);
    if (read === undefined) return;
    const segment = read.path.kind === 'field' ? read.path.segment : '';
    const location = locations.find((one) => one.segment === segment);
    if (segment !== '' && location === undefined) {
      refuse(context, place, `The structure has no ${segment}.`);
    }
    const isWhole = read.path.kind === 'field' && read.path.field === 0;
    const groups = isWhole && location !== undefined ? location.groups : null;
    const severity = rule.severity === 'warning' ? 'warning' : 'error';
    const when =
      rule.when === undefined ? null : compileWhen(rule.when, [...place, 'when'], context);
    compiled.push({ segment, groups, read, severity, when });
  });
  return compiled;
}

function readIgnore(written: unknown): Map<string, string> {
  const entries = isPlainObject(written) ? Object.entries(written) : [];
  return new Map(entries.map(([segment, reason]) => [segment, String(reason)]));
}

function readProvenance(written: unknown, context: InstanceContext): SegmentMap[] {
  const list = Array.isArray(written) ? written : [];
  return list
    .map((name: unknown, index) => {
      const map = context.segmentMap(String(name));
      const place: Place = ['provenance', index];
      if (map === undefined) refuse(context.row, place, `There is no sound segment map ${name}.`);
      else if (map.resource !== 'Provenance') {
        refuse(context.row, place, `${name} makes a ${map.resource}, not a Provenance.`);
      }
      return map;
    })
    .filter((map) => map !== undefined);
}

/** Instances after those that their keys need; a circle is a fault. */
function orderByNeed(
  instances: readonly CompiledInstance[],
  { source, faults }: RowContext,
): CompiledInstance[] {
  const ordered: CompiledInstance[] = [];
  const state = new Map<string, 'open' | 'done'>();
  const visit = (instance: CompiledInstance) => {
    if (state.get(instance.name) === 'done') return;
    if (state.get(instance.name) === 'open') {
      const place = ['resources', instance.name, 'key'];
      faults.push(faultAt(source, place, 'Keys need each other in a circle.'));
      return;
    }
    state.set(instance.name, 'open');
    for (const need of instance.key.needs) {
      const other = instances.find(({ name }) => name === need);
      if (other !== undefined) visit(other);
    }
    state.set(instance.name, 'done');
    ordered.push(instance);
  };
  for (const instance of instances) visit(instance);
  return ordered;
}
