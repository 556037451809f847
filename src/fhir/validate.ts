// Owns the verdict "is this a well-formed R4 resource": structure by ajv, the rest by the overlay.
// Profiles and terminology beyond required code lists are not its business.
import type { ErrorObject } from 'ajv';
import type { Issue } from '../model/issue.ts';
import { isResourceType } from './elements.ts';
import { checkOverlay, FINDINGS_MAX, Walk } from './overlay.ts';
import { checkStructure } from './schema.ts';

export { isResourceType } from './elements.ts';

export { FINDINGS_MAX } from './overlay.ts';

/** In data with more members than this, only the first structural fault is told. */
const VISITED_MAX = 20_000;

/**
 * All faults of a resource at once; empty = well formed. `at` is a FHIRPath location
 * (`Patient.contact[0].name`); texts hold no value of the data. A few findings are warnings: test
 * with hasErrors(). Compiles a type's schema at its first use (some ms); hot path is some µs.
 * The caller bounds the depth of the data (fhir/json.ts does).
 */
export function validateResource(resource: unknown): Issue[] {
  if (typeof resource !== 'object' || resource === null || Array.isArray(resource)) {
    return [issue('structure', '', 'A resource is a JSON object.')];
  }
  const type = (resource as { resourceType?: unknown }).resourceType;
  if (typeof type !== 'string' || !isResourceType(type)) {
    return [issue('structure', 'resourceType', 'The resourceType names no R4 resource type.')];
  }
  const walk = new Walk();
  walk.steps.push(type);
  checkOverlay(type, resource as Record<string, unknown>, walk);
  const extent = walk.visited > VISITED_MAX ? 'first' : 'all';
  const faults = checkStructure(type, resource, extent);
  if (faults !== null) for (const fault of faults) walk.issues.push(readFault(type, fault));
  checkContained(resource as Record<string, unknown>, type, walk);
  return walk.issues.length + walk.left > FINDINGS_MAX ? cutOff(walk) : walk.issues;
}

function cutOff({ issues, left: uncounted }: Walk): Issue[] {
  const left = issues.length - FINDINGS_MAX + uncounted;
  const last = issue('structure', '', `${left} more findings are not listed.`);
  return [...issues.slice(0, FINDINGS_MAX), last];
}

function issue(code: Issue['code'], at: string, text: string): Issue {
  return { severity: 'error', code, at, text };
}

/** One ajv error as a finding; its `data` and message are not used, they may hold values. */
function readFault(type: string, fault: Partial<ErrorObject>): Issue {
  const at = type + locationOf(fault.instancePath ?? '');
  const params = (fault.params ?? {}) as Record<string, unknown>;
  switch (fault.keyword) {
    case 'additionalProperties': {
      const name = String(params.additionalProperty);
      const shown = /^_?[A-Za-z][A-Za-z0-9]{0,39}$/.test(name) ? `${at}.${name}` : at;
      return issue('structure', shown, 'No such element exists here in R4.');
    }
    case 'type':
      return issue('structure', at, `It must be a JSON ${String(params.type)}.`);
    case 'enum':
      return issue('code-invalid', at, `It must be one of: ${listOf(params.allowedValues)}.`);
    case 'minimum':
    case 'maximum':
      return issue('value', at, `It must be ${params.comparison} ${params.limit}.`);
    case 'resourceType':
      return issue('structure', at, 'The resourceType names no R4 resource type.');
    default:
      return issue('structure', at, 'It is not of the form that R4 gives it.');
  }
}

function listOf(allowed: unknown): string {
  const codes = (allowed as unknown[]).filter((code) => code !== null);
  const shown = codes.slice(0, 12).join(', ');
  return codes.length > 12 ? `${shown}, and ${codes.length - 12} more` : shown;
}

/** `/contact/0/name` -> `.contact[0].name`. */
function locationOf(pointer: string): string {
  return pointer
    .split('/')
    .slice(1)
    .map((step) => (/^\d+$/.test(step) ? `[${step}]` : `.${step}`))
    .join('');
}

/** dom-2, dom-3, dom-4, dom-5 and ref-1: contained resources and the references to them. */
function checkContained(resource: Record<string, unknown>, type: string, walk: Walk): void {
  const contained = resource.contained;
  const inner = Array.isArray(contained) ? (contained as Record<string, unknown>[]) : [];
  if (inner.length === 0 && walk.local.length === 0) return;
  // Each resource of a Bundle has its own contained ones, which this check does not tell apart.
  if (type === 'Bundle' || type === 'Parameters') return;
  const ids = new Set(inner.map((one) => one?.id));
  for (const { id, at } of walk.local) {
    if (at === '' || id === '' || ids.has(id)) continue;
    walk.issues.push(issue('invariant', at, 'ref-1: no contained resource has that id.'));
  }
  const named = new Set(walk.local.map((reference) => reference.id));
  inner.forEach((one, i) => {
    for (const text of containedFaults(one, named)) {
      walk.issues.push(issue('invariant', `${type}.contained[${i}]`, text));
    }
  });
}

function containedFaults(one: Record<string, unknown>, named: ReadonlySet<string>): string[] {
  if (typeof one !== 'object' || one === null) return [];
  const faults: string[] = [];
  const meta = one.meta as Record<string, unknown> | undefined;
  if (one.contained !== undefined) faults.push('dom-2: a contained resource contains no other.');
  const isNamed = (typeof one.id === 'string' && named.has(one.id)) || named.has('');
  if (!isNamed) faults.push('dom-3: a contained resource must be referred to.');
  if (meta?.versionId !== undefined || meta?.lastUpdated !== undefined) {
    faults.push('dom-4: a contained resource has no version and no time of update.');
  }
  if (meta?.security !== undefined) {
    faults.push('dom-5: a contained resource has no security label.');
  }
  return faults;
}
