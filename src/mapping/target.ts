// Targets of rows, `name[0].given[]` or `extension(URL).valueString`: parsed once, then written to
// at run time. The first value stays; an object over an object adds what is missing.
import { keepDecimal } from '../fhir/json.ts';
import { isPlainObject, type JsonObject, keepTexts } from './json.ts';
import { Decimal } from './primitives.ts';

export interface Target {
  text: string;
  /** Names of its elements, none for `.`. */
  names: readonly string[];
  /** Element path without indexes, for accounts: `name.given`. */
  label: string;
  /** Path for the cleared list: `period.end`, `extension(URL)`; '' for `.`. */
  clearPath: string;
  /** The element of the output that it begins with; '' for `.`. */
  element: string;
  /** That element is a list. */
  list: boolean;
  /** Its last or an earlier step appends. */
  appends: boolean;
  /** True when a value stands there that a primitive would not replace. */
  has(root: JsonObject): boolean;
  /** False when nothing was written. The value is not copied. */
  write(root: JsonObject, value: unknown): boolean;
}

interface Step {
  name: string;
  mode: 'one' | 'append' | 'index' | 'extension' | 'new-extension';
  index: number;
  url: string;
}

/** Parses a target; a text that is not one gives undefined. `.` is the result of a datatype map. */
export function parseTarget(text: string): Target | undefined {
  const steps = text === '.' ? [plain('')] : readSteps(text);
  const last = steps?.at(-1);
  const [first] = steps ?? [];
  if (steps === undefined || last === undefined || first === undefined) return undefined;
  return {
    text,
    names: text === '.' ? [] : steps.map((step) => step.name),
    label: steps.map((step) => step.name).join('.'),
    clearPath: clearPathOf(steps),
    element: first.name,
    list: first.mode !== 'one',
    appends: steps.some((step) => step.mode === 'append' || step.mode === 'new-extension'),
    ...(shortcutFor(steps) ?? generalFor(steps.slice(0, -1), last)),
  };
}

type Access = Pick<Target, 'has' | 'write'>;

function generalFor(before: readonly Step[], last: Step): Access {
  return {
    has: (root) => hasValue(root, before, last),
    write: (root, value) => writeValue(root, before, last, value),
  };
}

/** The three frequent forms, `a`, `a[]` and `a[0].b`, without a walk over steps. */
function shortcutFor([first, second, third]: readonly Step[]): Access | undefined {
  if (first === undefined || third !== undefined) return undefined;
  const { name } = first;
  const general = generalFor(second === undefined ? [] : [first], second ?? first);
  if (second === undefined && first.mode === 'one') {
    return {
      has: (root) => root[name] !== undefined,
      write: (root, value) => {
        if (root[name] !== undefined || value instanceof Decimal) return general.write(root, value);
        root[name] = value;
        return true;
      },
    };
  }
  if (second === undefined && first.mode === 'append') {
    return { has: () => false, write: (root, value) => appendTo(root, name, value, general) };
  }
  if (first.mode !== 'index' || first.index !== 0 || second?.mode !== 'one') return undefined;
  const below = second.name;
  return {
    has: (root) => (root[name] as JsonObject[] | undefined)?.[0]?.[below] !== undefined,
    write: (root, value) => {
      const element = (root[name] as JsonObject[] | undefined)?.[0];
      const isFree = isPlainObject(element) && element[below] === undefined;
      if (!isFree || value instanceof Decimal) return general.write(root, value);
      element[below] = value;
      return true;
    },
  };
}

function appendTo(root: JsonObject, name: string, value: unknown, general: Access): boolean {
  const list = root[name];
  if (!Array.isArray(list) || value instanceof Decimal) return general.write(root, value);
  list.push(value);
  return true;
}

const GAPS = Symbol('a list has gaps');

/** Closes the gaps that writing by number may have left: call it when an output is complete. */
export function settle(root: JsonObject): void {
  if ((root as { [GAPS]?: true })[GAPS] === undefined) return;
  delete (root as { [GAPS]?: true })[GAPS];
  closeGaps(root);
}

/** The output, or the whole value that a row wrote to `.` with what other rows added. */
export function wholeOf(out: JsonObject): unknown {
  const whole = out[''];
  if (whole === undefined) return out;
  if (!isPlainObject(whole)) return whole;
  const { '': _whole, ...more } = out;
  fillMissing(whole, more);
  return whole;
}

function closeGaps(node: unknown): void {
  if (Array.isArray(node)) {
    let kept = 0;
    for (const item of node) if (item !== undefined) node[kept++] = item;
    node.length = kept;
    for (const item of node) closeGaps(item);
  } else if (isPlainObject(node)) {
    for (const key of Object.keys(node)) closeGaps(node[key]);
  }
}

/** Adds to `into` the properties of `from` that it lacks. True when something was added. */
export function fillMissing(into: JsonObject, from: JsonObject): boolean {
  let added = false;
  for (const key of Object.keys(from)) {
    if (into[key] !== undefined) continue;
    into[key] = from[key];
    added = true;
  }
  if (added) keepTexts(into, from);
  return added;
}

const STEP = /(_?[a-zA-Z][a-zA-Z0-9]*)(?:\(([^\s()]+)\))?(?:\[(\d{0,3})\])?(\.|$)/y;

function readSteps(text: string): Step[] | undefined {
  const steps: Step[] = [];
  STEP.lastIndex = 0;
  while (STEP.lastIndex < text.length) {
    const match = STEP.exec(text);
    if (match === null) return undefined;
    const [, name = '', url, index, dot] = match;
    if (dot === '.' && STEP.lastIndex === text.length) return undefined;
    if (url !== undefined) {
      if (!/^(extension|modifierExtension)$/.test(name) || (index ?? '') !== '') return undefined;
      const mode = index === undefined ? 'extension' : 'new-extension';
      steps.push({ name, mode, index: 0, url });
    } else if (index === undefined) steps.push(plain(name));
    else if (index === '') steps.push({ name, mode: 'append', index: 0, url: '' });
    else steps.push({ name, mode: 'index', index: Number(index), url: '' });
  }
  return steps.length === 0 ? undefined : steps;
}

function plain(name: string): Step {
  return { name, mode: 'one', index: 0, url: '' };
}

function clearPathOf(steps: readonly Step[]): string {
  const names: string[] = [];
  for (const step of steps) {
    names.push(step.url === '' ? step.name : `${step.name}(${step.url})`);
    if (step.mode !== 'one') break;
  }
  return names.join('.');
}

function hasValue(root: JsonObject, before: readonly Step[], last: Step): boolean {
  let node: JsonObject | undefined = root;
  for (const step of before) {
    node = peek(node, step) as JsonObject | undefined;
    if (!isPlainObject(node)) return false;
  }
  return peek(node, last) !== undefined;
}

function peek(node: JsonObject, step: Step): unknown {
  const value = node[step.name];
  if (step.mode === 'one') return value;
  if (!Array.isArray(value)) return undefined;
  if (step.mode === 'index') return value[step.index];
  if (step.mode === 'extension') return value.find((item) => item?.url === step.url);
  return undefined;
}

function writeValue(
  root: JsonObject,
  before: readonly Step[],
  last: Step,
  value: unknown,
): boolean {
  let node: JsonObject | undefined = root;
  for (const step of before) {
    node = enter(node, step, root);
    if (node === undefined) return false;
  }
  if (value instanceof Decimal) return writeDecimal(node, last, value);
  if (last.mode === 'one') return put(node, last.name, value);
  if (last.mode === 'extension' || last.mode === 'new-extension') {
    const extension = enter(node, last, root);
    return extension !== undefined && isPlainObject(value) && fillMissing(extension, value);
  }
  const list = listOf(node, last.name);
  if (list === undefined) return false;
  if (last.mode === 'index') noteGap(root, list, last.index);
  if (last.mode === 'index') return put(list as unknown as JsonObject, last.index, value);
  list.push(value);
  return true;
}

/** The object at a step, made when it is missing; undefined when something else stands there. */
function enter(node: JsonObject, step: Step, root: JsonObject): JsonObject | undefined {
  if (step.mode === 'one') {
    if (node[step.name] === undefined) node[step.name] = {};
    return objectOr(node[step.name]);
  }
  const list = listOf(node, step.name);
  if (list === undefined) return undefined;
  if (step.mode === 'index') {
    noteGap(root, list, step.index);
    if (list[step.index] === undefined) list[step.index] = {};
    return objectOr(list[step.index]);
  }
  if (step.mode === 'extension') {
    const found = list.find((item) => isPlainObject(item) && item.url === step.url);
    if (found !== undefined) return objectOr(found);
  }
  const made: JsonObject = step.mode === 'append' ? {} : { url: step.url };
  list.push(made);
  return made;
}

function noteGap(root: JsonObject, list: readonly unknown[], index: number): void {
  if (index > list.length) (root as { [GAPS]?: true })[GAPS] = true;
}

function listOf(node: JsonObject, name: string): unknown[] | undefined {
  if (node[name] === undefined) node[name] = [];
  const list = node[name];
  return Array.isArray(list) ? list : undefined;
}

function put(node: JsonObject, key: string | number, value: unknown): boolean {
  const present = node[key];
  if (present === undefined) {
    node[key] = value;
    return true;
  }
  return isPlainObject(present) && isPlainObject(value) && fillMissing(present, value);
}

/** A number whose text says more than the number (`4.00`) keeps the text beside it. */
function writeDecimal(node: JsonObject, step: Step, decimal: Decimal): boolean {
  if (step.mode !== 'one') return writeValue(node, [], step, decimal.value);
  if (!put(node, step.name, decimal.value)) return false;
  if (decimal.text !== '') keepDecimal(node, step.name, decimal.text);
  return true;
}

function objectOr(value: unknown): JsonObject | undefined {
  return isPlainObject(value) ? value : undefined;
}
