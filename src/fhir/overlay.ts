// Owns what a JSON schema cannot say: required primitives, one value of a choice, real dates, no
// empty values, forms of references. Walks the data once. Rules of single types are rules.ts.
import type { Issue, IssueCode } from '../model/issue.ts';
import { type ElementInfo, elementsOf, isResourceType } from './elements.ts';
import { primitiveFault } from './primitives.ts';
import { referenceFault } from './reference.ts';
import { ruleOf, type TypeRule } from './rules.ts';

/** More findings than this are counted, not kept. */
export const FINDINGS_MAX = 200;

/** Where the walk stands, and what it has gathered. */
export class Walk {
  readonly issues: Issue[] = [];
  /** Findings beyond FINDINGS_MAX. */
  left = 0;
  /** Members and items seen: a measure of how many faults there can be. */
  visited = 0;
  readonly steps: (string | number)[] = [];
  /** `#id` references with their places; '' for canonicals and URIs, which only name (dom-3). */
  readonly local: { id: string; at: string }[] = [];

  /** Adds a finding at the present place, or at an element of it. */
  report(code: IssueCode, text: string, element = '', severity: Issue['severity'] = 'error'): void {
    if (this.issues.length >= FINDINGS_MAX) this.left++;
    else this.issues.push({ severity, code, at: this.place(element), text });
  }

  /** FHIRPath of the present place: `Patient.contact[0].name`. */
  place(element = ''): string {
    let path = '';
    for (const step of this.steps) {
      if (typeof step === 'number') path += `[${step}]`;
      else path += path === '' ? step : `.${step}`;
    }
    return element === '' ? path : `${path}.${element}`;
  }
}

/** Checks a resource of a known type; `walk.steps` holds the way to it. */
export function checkOverlay(type: string, resource: Record<string, unknown>, walk: Walk): void {
  checkObject(planOf(type), resource, walk);
}

interface Slot extends ElementInfo {
  /** Bit of the choice in Plan, 0 = no choice. */
  choiceBit: number;
}

interface Plan {
  type: string;
  slots: Map<string, Slot>;
  /** Elements that must be there; a choice lists all its keys. */
  required: { name: string; keys: string[] }[];
  rule: TypeRule | null;
}

const PLANS = new Map<string, Plan>();

function planOf(type: string): Plan {
  const known = PLANS.get(type);
  if (known) return known;
  const plan: Plan = { type, slots: new Map(), required: [], rule: ruleOf(type) };
  const choices: string[] = [];
  for (const element of elementsOf(type)) {
    if (element.choice !== '' && !choices.includes(element.choice)) choices.push(element.choice);
    const choiceBit = element.choice === '' ? 0 : 1 << choices.indexOf(element.choice);
    plan.slots.set(element.key, { ...element, choiceBit });
    if (element.min > 0) addRequired(plan, element);
  }
  PLANS.set(type, plan);
  return plan;
}

function addRequired(plan: Plan, element: ElementInfo): void {
  const name = element.choice === '' ? element.key : `${element.choice}[x]`;
  const known = plan.required.find((entry) => entry.name === name);
  const keys = element.type.kind === 'primitive' ? [element.key, `_${element.key}`] : [element.key];
  if (known) known.keys.push(...keys);
  else plan.required.push({ name, keys });
}

function checkObject(plan: Plan, data: Record<string, unknown>, walk: Walk): void {
  let seen = 0;
  let twice = 0;
  let count = 0;
  for (const key in data) {
    // A member that JSON would not write is not there.
    if (data[key] === undefined) continue;
    count++;
    const slot = plan.slots.get(key);
    let bit = 0;
    if (slot !== undefined) {
      bit = slot.choiceBit;
      checkSlot(slot, key, data, walk);
    } else if (key.charCodeAt(0) === 95) bit = checkCompanion(plan, key, data, walk);
    twice |= seen & bit;
    seen |= bit;
  }
  walk.visited += count;
  if (count === 0) walk.report('structure', 'An object must not be empty.');
  if (twice !== 0) reportChoices(plan, twice, walk);
  for (const { name, keys } of plan.required) {
    if (!keys.some((key) => data[key] !== undefined)) {
      walk.report('required', `The element ${name} is required.`, name.replace('[x]', ''));
    }
  }
  if (plan.rule !== null) plan.rule(data, walk);
}

function reportChoices(plan: Plan, bits: number, walk: Walk): void {
  const names = new Set<string>();
  for (const slot of plan.slots.values()) if (slot.choiceBit & bits) names.add(slot.choice);
  for (const name of names) walk.report('structure', `Only one of ${name}[x] may be there.`, name);
}

function checkSlot(slot: Slot, key: string, data: Record<string, unknown>, walk: Walk): void {
  const value = data[key];
  walk.steps.push(key);
  if (!slot.many) checkValue(slot, value, walk);
  else if (Array.isArray(value)) checkItems(slot, value, data[`_${key}`], walk);
  walk.steps.pop();
}

function checkItems(slot: Slot, items: unknown[], companions: unknown, walk: Walk): void {
  walk.visited += items.length;
  if (items.length === 0) walk.report('structure', 'An array must not be empty.');
  for (let i = 0; i < items.length; i++) {
    const item = items[i];
    walk.steps.push(i);
    if (item !== null) checkValue(slot, item, walk);
    else if (!Array.isArray(companions) || !companions[i]) {
      walk.report('structure', 'A null needs an extension at the same place of its `_` array.');
    }
    walk.steps.pop();
  }
}

/** Primitives that may name a contained resource. */
const NAMING: ReadonlySet<string> = new Set(['canonical', 'uri', 'url']);

function checkValue(slot: Slot, value: unknown, walk: Walk): void {
  const { type } = slot;
  if (type.kind === 'primitive') {
    if (typeof value !== 'string' || slot.codes !== null) return;
    const fault = primitiveFault(type.name, value);
    if (fault !== '') walk.report('value', fault);
    if (value.charCodeAt(0) === 35 && NAMING.has(type.name)) {
      walk.local.push({ id: value.slice(1), at: '' });
    }
    return;
  }
  // A wrong JSON type is ajv's finding.
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return;
  const object = value as Record<string, unknown>;
  if (type.kind === 'resource') checkInner(object, walk);
  else {
    if (type.name === 'Reference') checkReference(slot, object, walk);
    checkObject(planOf(type.name), object, walk);
  }
}

/** A contained or bundled resource; an unknown type is ajv's finding. */
function checkInner(resource: Record<string, unknown>, walk: Walk): void {
  const type = resource.resourceType;
  if (typeof type === 'string' && isResourceType(type)) checkObject(planOf(type), resource, walk);
}

function checkReference(slot: Slot, reference: Record<string, unknown>, walk: Walk): void {
  const text = reference.reference;
  if (typeof text !== 'string') return;
  if (text.startsWith('#')) walk.local.push({ id: text.slice(1), at: walk.place('reference') });
  const fault = referenceFault(text, slot.type.targets);
  if (fault !== '') walk.report('value', fault, 'reference');
}

/** `_birthDate` beside or instead of `birthDate`; answers the choice bit that it occupies. */
function checkCompanion(
  plan: Plan,
  key: string,
  data: Record<string, unknown>,
  walk: Walk,
): number {
  const name = key.slice(1);
  const slot = plan.slots.get(name);
  const value = data[key];
  if (slot?.type.kind !== 'primitive') return 0;
  walk.steps.push(key);
  if (!slot.many) checkElement(value, walk);
  else if (Array.isArray(value)) checkElements(value, data[name], walk);
  walk.steps.pop();
  // Beside its own value it is the same choice, which must not count twice.
  return data[name] === undefined ? slot.choiceBit : 0;
}

function checkElements(items: unknown[], values: unknown, walk: Walk): void {
  walk.visited += items.length;
  if (items.length === 0) walk.report('structure', 'An array must not be empty.');
  if (Array.isArray(values) && values.length !== items.length) {
    walk.report('structure', 'It must have as many entries as the array of its values.');
  }
  items.forEach((item, i) => {
    walk.steps.push(i);
    checkElement(item, walk);
    walk.steps.pop();
  });
}

function checkElement(value: unknown, walk: Walk): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return;
  checkObject(planOf('Element'), value as Record<string, unknown>, walk);
}
