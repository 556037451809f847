// Checks the shape of a written map against its layer's schema: unknown names, missing names,
// wrong kinds. Every fault is found, each with its line.
import { isPlainObject } from './json.ts';
import { DEFINITIONS, SCHEMAS, type Schema } from './schema.ts';
import { faultAt, type MapFault, type MapSource, type Place } from './source.ts';

/** All faults of shape; empty = the map can be compiled. */
export function checkSource(source: MapSource): MapFault[] {
  const findings: Finding[] = [];
  checkValue(source.value, SCHEMAS[source.layer], [], findings, 0);
  const faults = findings.map(({ place, text }) => faultAt(source, place, text));
  if (source.layer === 'messages') checkKind(source, faults);
  return faults;
}

interface Finding {
  place: Place;
  text: string;
}

const DEPTH_MAX = 30;

function checkKind(source: MapSource, faults: MapFault[]): void {
  const { value } = source;
  const isRecord = value.record !== undefined;
  const isMessage = value.events !== undefined && value.structure !== undefined;
  if (isRecord && (value.events !== undefined || value.structure !== undefined)) {
    faults.push(faultAt(source, ['record'], 'A record map has no events and no structure.'));
  } else if (!isRecord && !isMessage) {
    faults.push(faultAt(source, [], 'A message map needs events and structure, or record.'));
  }
  if (value.resources === undefined) {
    faults.push(faultAt(source, [], '"resources" is missing.'));
  }
}

function checkValue(
  value: unknown,
  schema: Schema,
  place: Place,
  findings: Finding[],
  depth: number,
): void {
  if (depth > DEPTH_MAX) {
    findings.push({ place, text: 'The map is nested too deeply.' });
    return;
  }
  if (schema.$ref !== undefined) {
    const target = definitionOf(schema.$ref);
    if (target !== undefined) checkValue(value, target, place, findings, depth + 1);
    return;
  }
  if (schema.anyOf !== undefined) {
    checkAny(value, schema, schema.anyOf, place, findings, depth);
    return;
  }
  if (schema.enum !== undefined && !schema.enum.includes(value)) {
    const allowed = schema.enum.map(String).join(', ');
    findings.push({ place, text: `Expected one of ${allowed}, found ${kindOf(value)}.` });
  }
  if (schema.type !== undefined && !isOfType(value, schema.type)) {
    const wanted = schema.description || schema.type;
    findings.push({ place, text: `Expected ${wanted}, found ${kindOf(value)}.` });
    return;
  }
  if (schema.pattern !== undefined && !new RegExp(schema.pattern).test(String(value))) {
    findings.push({ place, text: `Expected ${schema.description}, found "${value}".` });
  }
  if (Array.isArray(value)) checkItems(value, schema, place, findings, depth);
  else if (isPlainObject(value) && schema.type === 'object') {
    checkNames(value, schema, place, findings, depth);
  }
}

function definitionOf(ref: string): Schema | undefined {
  return DEFINITIONS[ref.replace('#/$defs/', '')];
}

/** Of several forms the one that fits the kind of the value gives the findings. */
function checkAny(
  value: unknown,
  schema: Schema,
  forms: readonly Schema[],
  place: Place,
  findings: Finding[],
  depth: number,
): void {
  let best: Finding[] | undefined;
  for (const form of forms) {
    const found: Finding[] = [];
    checkValue(value, form, place, found, depth + 1);
    if (found.length === 0) return;
    const { type } = form.$ref === undefined ? form : (definitionOf(form.$ref) ?? form);
    const fits = type !== undefined && isOfType(value, type);
    if (best === undefined && fits) best = found;
  }
  const expected = schema.description ?? 'another value';
  const general = { place, text: `Expected ${expected}, found ${kindOf(value)}.` };
  findings.push(...(best ?? [general]));
}

function checkItems(
  value: readonly unknown[],
  { items, minItems = 0, maxItems = Number.POSITIVE_INFINITY }: Schema,
  place: Place,
  findings: Finding[],
  depth: number,
): void {
  if (value.length < minItems) findings.push({ place, text: `At least ${minItems} is needed.` });
  if (value.length > maxItems) {
    findings.push({ place, text: `More than ${maxItems} entries.` });
    return;
  }
  if (items === undefined) return;
  value.forEach((item, index) => {
    checkValue(item, items, [...place, index], findings, depth + 1);
  });
}

function checkNames(
  value: Record<string, unknown>,
  { properties = {}, required = [], additionalProperties }: Schema,
  place: Place,
  findings: Finding[],
  depth: number,
): void {
  for (const name of required) {
    if (value[name] === undefined) findings.push({ place, text: `"${name}" is missing.` });
  }
  for (const [name, item] of Object.entries(value)) {
    const schema = Object.hasOwn(properties, name) ? properties[name] : undefined;
    if (schema !== undefined) checkValue(item, schema, [...place, name], findings, depth + 1);
    else if (additionalProperties === false) {
      const known = Object.keys(properties).join(', ');
      findings.push({ place: [...place, name], text: `Unknown name; known are ${known}.` });
    } else if (typeof additionalProperties === 'object') {
      checkValue(item, additionalProperties, [...place, name], findings, depth + 1);
    }
  }
}

/** Numbers count as text: codes such as 1 are written without quotes. */
function isOfType(value: unknown, type: NonNullable<Schema['type']>): boolean {
  if (type === 'array') return Array.isArray(value);
  if (type === 'object') return isPlainObject(value);
  if (type === 'boolean') return typeof value === 'boolean';
  return typeof value === 'string' || typeof value === 'number';
}

function kindOf(value: unknown): string {
  if (value === null) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (isPlainObject(value)) return 'a map';
  return typeof value === 'boolean' ? String(value) : `"${String(value).slice(0, 40)}"`;
}
