// Runs a compiled message map over a grouped HL7 message or a JSON record. Pure: the same message,
// map and context give the same resources, in the same order.
import { type Group, selectGroups } from '../hl7/grouping.ts';
import type { Message, Segment } from '../hl7/message.ts';
import { ABSENT } from '../hl7/value.ts';
import type { Issue } from '../model/issue.ts';
import type { MappedResource, WriteMode } from '../model/resource.ts';
import { Account } from './account.ts';
import { type Cell, JsonCell } from './cell.ts';
import type { CompiledInstance, Contribution } from './instance.ts';
import { isPlainObject, type JsonObject } from './json.ts';
import type { MessageMap } from './message.ts';
import { isBroken } from './primitives.ts';
import {
  type Instance,
  type Made,
  newMade,
  ownMade,
  type Run,
  registerInstance,
  Scope,
} from './scope.ts';
import { fillMissing, settle } from './target.ts';
import type { Zone } from './zone.ts';

export interface MapContext {
  messageId: string;
  idOf(type: string, businessKey: string): string;
  zone: Zone;
  /** true = keep an account of every leaf. Costly. */
  account: boolean;
  /** More resources are not made: then the result has none, and an error. Absent: no bound. */
  resourcesMax?: number;
}

export interface MapResult {
  resources: Omit<MappedResource, 'compartment'>[];
  /** What the map's rows say of the message's Provenance; without resourceType and id. */
  provenance: JsonObject;
  issues: Issue[];
  /** null when none was asked for. */
  account: Account | null;
}

/** Maps an HL7 message whose segments are grouped by the map's structure. */
export function mapMessage(
  map: MessageMap,
  message: Message,
  root: Group,
  context: MapContext,
): MapResult {
  const run = openRun(context, ABSENT);
  checkSegments(map, run, root);
  checkRequired(map, run, root);
  const result = runMap(map, run, root);
  if (run.account !== null) accountForEnvelope(run.account, message);
  return result;
}

/** Maps a JSON record. */
export function mapRecord(map: MessageMap, record: unknown, context: MapContext): MapResult {
  const cell = new JsonCell(record, '');
  const run = openRun(context, cell);
  const root: Group = {
    name: '',
    occurrence: 0,
    parent: undefined,
    segments: new Map(),
    groups: new Map(),
  };
  const scope = new Scope(run, root, null, cell, null);
  for (const { read, severity, when } of map.required) {
    if ((when !== null && !when(scope)) || read.one(scope).valued) continue;
    const at = read.path.text;
    run.issues.push({ severity, code: 'required', at, text: 'A required value is missing.' });
  }
  return runMap(map, run, root);
}

function openRun(context: MapContext, record: Cell): Run {
  const run: Run = {
    messageId: context.messageId,
    idOf: context.idOf,
    instances: new Map(),
    record,
    issues: [],
    made: new Map(),
    resourcesMax: context.resourcesMax ?? Infinity,
    keyless: new Set(),
    memo: [],
    account: context.account ? new Account() : null,
    conversion: {
      zone: context.zone,
      degree: '',
      noteTime: (converted) => {
        run.pendingTime = converted;
        run.zoneUses++;
      },
    },
    pendingTime: null,
    zoneNoted: false,
    zoneUses: 0,
  };
  return run;
}

function runMap(map: MessageMap, run: Run, root: Group): MapResult {
  const byName = new Map<string, Instance[]>();
  for (const compiled of map.byNeed) {
    byName.set(compiled.name, placeInstances(compiled, run, root));
    if (run.made.size > run.resourcesMax) return tooMany(run);
  }
  for (const compiled of map.instances) {
    for (const instance of byName.get(compiled.name) ?? []) fillInstance(compiled, instance, run);
  }
  const provenance = fillProvenance(map, run, root);
  return {
    resources: inWriteOrder(map, byName, run),
    provenance,
    issues: run.issues,
    account: run.account,
  };
}

function tooMany({ resourcesMax, issues, account }: Run): MapResult {
  const text = `The message gives more than ${resourcesMax} resources (resourcesMax).`;
  issues.push({ severity: 'error', code: 'too-long', at: '', text });
  return { resources: [], provenance: {}, issues, account };
}

/** Finds where an instance is made, its key and its id; its rows run later. */
function placeInstances(compiled: CompiledInstance, run: Run, root: Group): Instance[] {
  const placed: Instance[] = [];
  const counts = new Map<string, number>();
  for (const scope of occurrences(compiled, run, root)) {
    if (compiled.when !== null && !compiled.when(scope)) continue;
    const found = compiled.key.find(scope);
    if (found === undefined) {
      reportKey(compiled, scope);
      run.keyless.add(compiled.name);
      continue;
    }
    if (isBroken(found.key)) reportBrokenKey(compiled, scope);
    const { name, type, mode } = compiled;
    const count = (counts.get(found.key) ?? 0) + 1;
    counts.set(found.key, count);
    const key = compiled.ordinal && count > 1 ? `${found.key}|${count}` : found.key;
    const id = run.idOf(type, key);
    const { group, segment, cell } = scope;
    const made = makeOnce(run, type, id, mode);
    const instance: Instance = { name, type, id, key, group, segment, cell, made };
    registerInstance(run, instance);
    placed.push(instance);
    if (run.made.size > run.resourcesMax) return placed;
    if (found.warning !== '') {
      const at = placeOfScope(scope);
      run.issues.push({ severity: 'warning', code: 'incomplete', at, text: found.warning });
    }
    for (const keyCell of found.cells) run.account?.inKey(keyCell, type);
  }
  return placed;
}

function makeOnce(run: Run, type: string, id: string, mode: WriteMode): Made {
  const known = run.made.get(`${type}/${id}`);
  if (known !== undefined) return ownMade(run, known);
  const made = newMade({ resourceType: type, id }, mode);
  run.made.set(`${type}/${id}`, made);
  return made;
}

/** One fault is one issue: an instance that only lacks another's key is not reported again. */
function reportKey({ name, type, key }: CompiledInstance, scope: Scope): void {
  if (key.needs.some((need) => scope.run.keyless.has(need))) return;
  const text = `${type} (${name}) has no business key: no field that identifies it is valued.`;
  scope.run.issues.push({ severity: 'error', code: 'required', at: placeOfScope(scope), text });
}

/** An altered identifier would name another patient, order or visit, or one that never was. */
function reportBrokenKey({ name, type }: CompiledInstance, scope: Scope): void {
  const text = `A field that identifies the ${type} (${name}) has a character that is not allowed.`;
  scope.run.issues.push({ severity: 'error', code: 'value', at: placeOfScope(scope), text });
}

function placeOfScope({ segment, group, cell }: Scope): string {
  if (cell instanceof JsonCell) return cell.pointer;
  return segment?.location ?? group.name;
}

function occurrences({ at }: CompiledInstance, run: Run, root: Group): Scope[] {
  if ('tokens' in at) {
    return nodesAt(run.record, at.tokens).map((cell) => new Scope(run, root, null, cell, null));
  }
  const scopes: Scope[] = [];
  const { segment: name } = at;
  for (const group of selectGroups(root, at.groups)) {
    if (name === null) scopes.push(new Scope(run, group, null, ABSENT, null));
    else {
      for (const segment of group.segments.get(name) ?? []) {
        scopes.push(new Scope(run, group, segment, ABSENT, null));
      }
    }
  }
  return scopes;
}

function nodesAt(record: Cell, tokens: readonly string[]): Cell[] {
  let cells = record instanceof JsonCell ? [record] : [];
  for (const token of tokens) {
    cells = cells.flatMap((cell) => (token === '*' ? elements(cell) : [cell.at([token])]));
  }
  return cells.filter((cell) => cell.valued);
}

function elements(cell: JsonCell): readonly JsonCell[] {
  return Array.isArray(cell.json) ? cell.repetitions : [];
}

function fillInstance(compiled: CompiledInstance, instance: Instance, run: Run): void {
  const out: JsonObject = {};
  const label = run.account === null ? '' : compiled.type;
  const { group, segment, cell, made } = instance;
  const before = made.initial;
  made.initial = new Set();
  for (const contribution of compiled.contributions) {
    if (contribution.own) {
      const scope = new Scope(run, group, segment, cell, instance, NO_CELLS, null, label);
      runContribution(contribution, scope, out);
    } else {
      for (const [at, other] of contributing(contribution, group)) {
        const scope = new Scope(run, at, other, cell, instance, NO_CELLS, null, label);
        runContribution(contribution, scope, out);
      }
    }
  }
  compiled.rows(new Scope(run, group, segment, cell, instance, NO_CELLS, null, label), out);
  settle(out);
  addOutput(made, out, before);
}

/**
 * Adds what one instance says to what others of the same key have said: the first stays, but what
 * is certain goes before what is initial (`before`: initial elements of the others).
 */
function addOutput(made: Made, out: JsonObject, before: ReadonlySet<string>): void {
  const { resource, initial } = made;
  for (const element of initial) {
    if (resource[element] !== undefined && !before.has(element)) initial.delete(element);
  }
  for (const element of before) {
    if (out[element] === undefined || initial.has(element)) initial.add(element);
    else delete resource[element];
  }
  fillMissing(resource, out);
}

const NO_CELLS: never[] = [];

function runContribution({ when, rows }: Contribution, scope: Scope, out: JsonObject): void {
  if (when === null || when(scope)) rows(scope, out);
}

/** The segments of a contribution with their groups, in message order. */
function contributing(
  { up, down, segment }: Contribution,
  from: Group,
): [group: Group, segment: Segment][] {
  let group: Group = from;
  for (let i = 0; i < up && group.parent !== undefined; i++) group = group.parent;
  return selectGroups(group, down).flatMap((at) =>
    (at.segments.get(segment) ?? []).map((found): [Group, Segment] => [at, found]),
  );
}

function fillProvenance(map: MessageMap, run: Run, root: Group): JsonObject {
  const out: JsonObject = {};
  const label = run.account === null ? '' : 'Provenance';
  const made = newMade({ resourceType: 'Provenance', id: '' }, 'replace');
  for (const { segment: name, rows } of map.provenance) {
    for (const segment of root.segments.get(name) ?? []) {
      const at = { name: '', type: 'Provenance', id: '', key: '', group: root };
      const instance: Instance = { ...at, segment, cell: ABSENT, made };
      rows(new Scope(run, root, segment, ABSENT, instance, NO_CELLS, null, label), out);
    }
  }
  settle(out);
  return out;
}

/** Instances as the map declares them, then the resources that datatype maps made. */
function inWriteOrder(
  map: MessageMap,
  byName: ReadonlyMap<string, Instance[]>,
  run: Run,
): MapResult['resources'] {
  const ordered = new Set<Made>();
  for (const { name } of map.instances) {
    for (const { made } of byName.get(name) ?? []) ordered.add(made);
  }
  for (const made of run.made.values()) ordered.add(made);
  return [...ordered].map(toMapped);
}

/** How it meets what is stored matters to `merge` alone. */
function toMapped(made: Made): MapResult['resources'][0] {
  const { resource, mode, cleared, initial, union, text } = made;
  if (text !== undefined || mode !== 'merge') return { resource, text, mode, cleared: [] };
  const removed = [...cleared].filter((path) => isUnset(resource, path)).sort();
  const mapped: MapResult['resources'][0] = { resource, text, mode, cleared: removed };
  if (initial.size > 0) mapped.initial = [...initial].sort();
  if (union.size > 0) mapped.union = [...union].sort();
  return mapped;
}

function isUnset(resource: JsonObject, path: string): boolean {
  let node: unknown = resource;
  for (const step of path.match(/[^.()]+(?:\([^)]*\))?/g) ?? []) {
    const [name = '', url] = step.slice(0, step.endsWith(')') ? -1 : undefined).split('(');
    node = (node as JsonObject | undefined)?.[name];
    if (url === undefined || !Array.isArray(node)) continue;
    node = node.find((item) => isPlainObject(item) && item.url === url);
  }
  return node === undefined;
}

/** Segments without which the message has no effect, such as the PV1 of a discharge. */
function checkSegments(map: MessageMap, run: Run, root: Group): void {
  for (const { segment: at, groups, severity, when } of map.required) {
    if (groups === null) continue;
    for (const group of selectGroups(root, groups)) {
      if (group.segments.has(at)) continue;
      if (when !== null && !when(new Scope(run, group, null, ABSENT, null))) continue;
      const text = 'The segment is missing: what the event is to change is not changed.';
      run.issues.push({ severity, code: 'incomplete', at, text });
    }
  }
}

/** Required fields of every segment that is there, in its group. */
function checkRequired(map: MessageMap, run: Run, group: Group): void {
  for (const { segment: name, groups, read, severity, when } of map.required) {
    if (groups !== null) continue;
    for (const segment of group.segments.get(name) ?? []) {
      const scope = new Scope(run, group, segment, ABSENT, null);
      if ((when !== null && !when(scope)) || read.one(scope).valued) continue;
      const at = `${segment.location}${read.path.text.slice(name.length)}`;
      run.issues.push({ severity, code: 'required', at, text: 'A required field is not valued.' });
    }
  }
  for (const groups of group.groups.values()) {
    for (const inner of groups) checkRequired(map, run, inner);
  }
}

/** Fields of MSH that say how to read the message and are not content of it. */
const ENVELOPE_FIELDS = [1, 2, 7, 9, 10, 11, 12, 18];

function accountForEnvelope(account: Account, message: Message): void {
  const header = message.first('MSH');
  if (header === undefined) return;
  for (const field of ENVELOPE_FIELDS) account.used(header.field(field), 'the message itself');
}
