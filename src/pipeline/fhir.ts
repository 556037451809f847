// FHIR input: a Bundle or a single resource. Entries get deterministic ids, references between
// them are rewritten, and what is not served (DELETE, GET, PATCH) is an issue. It maps no elements.

import { reservedFault } from '../fhir/reserved.ts';
import { isPlainObject, type JsonObject } from '../mapping/json.ts';
import type { Issue } from '../model/issue.ts';
import type { PipelineInput } from '../model/pipeline.ts';
import type { Resource, WriteMode } from '../model/resource.ts';
import { type Identity, identify, readConditional } from './identity.ts';
import { readJson } from './json.ts';
import { rewriteReferences } from './references.ts';
import { type Mapped, type MappedItem, type PipelineLimits, refuse } from './step.ts';

/** Reads a Bundle or a resource. */
export function mapFhir(input: PipelineInput, limits: PipelineLimits): Mapped {
  const parsed = readJson(input.raw);
  if (parsed.issue !== undefined) return refuse(parsed.issue);
  const body = parsed.value;
  if (!isPlainObject(body) || typeof body.resourceType !== 'string') {
    return refuse(wrong('structure', '', 'The body is not a FHIR resource: no resourceType.'));
  }
  const issues: Issue[] = [];
  const entries =
    body.resourceType === 'Bundle'
      ? readBundle(body, limits.bundleEntriesMax, issues)
      : [{ at: '', resource: body as Resource, fullUrl: '', method: '', url: '', once: false }];
  const placed = entries.map((entry, position) => place(entry, position, input, issues));
  const items = placed.filter((item) => item !== undefined);
  reportDuplicates(items, issues);
  const targets = new Map<string, string>();
  for (const { names, item } of items) {
    const reference = `${item.resource.resourceType}/${item.resource.id}`;
    for (const name of names) if (!targets.has(name)) targets.set(name, reference);
  }
  for (const { item, at } of items) {
    rewriteReferences(item.resource, targets, input.envelope.tenant, at, issues);
  }
  const resources = items.map(({ item }) => item);
  return { resources, issues, accounts: [], mapHash: '', provenance: {}, sender: '' };
}

export interface Entry {
  /** `/entry/0`, '' for a single resource. */
  at: string;
  resource: Resource;
  fullUrl: string;
  /** '' = the bundle asks for no interaction. */
  method: string;
  url: string;
  /** ifNoneExist is given: an existing resource stays as it is. */
  once: boolean;
}

interface Placed {
  item: MappedItem;
  at: string;
  /** What other entries may call it. */
  names: string[];
}

const TYPES = new Set(['transaction', 'batch', 'message', 'collection', 'document']);

/** Undefined: the bundle is not too large. */
export function tooManyEntries(bundle: JsonObject, entriesMax: number): Issue | undefined {
  if (!Array.isArray(bundle.entry) || bundle.entry.length <= entriesMax) return undefined;
  const text = `The Bundle has more than ${entriesMax} entries (bundleEntriesMax).`;
  return wrong('too-long', '/entry', text);
}

function readBundle(bundle: JsonObject, entriesMax: number, issues: Issue[]): Entry[] {
  // Not String(): an object with a member toString cannot be made a text.
  if (typeof bundle.type !== 'string' || !TYPES.has(bundle.type)) {
    const text = `A Bundle of type ${[...TYPES].join(', ')} is taken here.`;
    issues.push(wrong('not-supported', '/type', text));
    return [];
  }
  const list = Array.isArray(bundle.entry) ? bundle.entry : [];
  if (list.length === 0) issues.push(wrong('required', '/entry', 'The Bundle has no entries.'));
  const tooMany = tooManyEntries(bundle, entriesMax);
  if (tooMany !== undefined) {
    issues.push(tooMany);
    return [];
  }
  const asks = bundle.type === 'transaction' || bundle.type === 'batch';
  return list
    .map((entry: unknown, index) => readEntry(entry, `/entry/${index}`, asks, issues))
    .filter((entry) => entry !== undefined);
}

function readEntry(entry: unknown, at: string, asks: boolean, issues: Issue[]): Entry | undefined {
  const { resource, fullUrl, request } = isPlainObject(entry) ? entry : ({} as JsonObject);
  const ask = isPlainObject(request) && asks ? request : {};
  const method = String(ask.method ?? '');
  if (asks && method !== 'POST' && method !== 'PUT') {
    const text =
      method === ''
        ? 'The entry has no request.method.'
        : 'Only POST and PUT entries are taken here.';
    issues.push(wrong(method === '' ? 'required' : 'not-supported', `${at}/request/method`, text));
    return undefined;
  }
  if (!isPlainObject(resource) || typeof resource.resourceType !== 'string') {
    issues.push(wrong('required', `${at}/resource`, 'The entry has no resource.'));
    return undefined;
  }
  return {
    at,
    resource: resource as Resource,
    fullUrl: typeof fullUrl === 'string' ? fullUrl : '',
    method,
    url: String(ask.url ?? ''),
    once: ask.ifNoneExist !== undefined,
  };
}

function place(
  entry: Entry,
  position: number,
  input: PipelineInput,
  issues: Issue[],
): Placed | undefined {
  const { resource, at, fullUrl } = entry;
  const { resourceType } = resource;
  const old = typeof resource.id === 'string' ? resource.id : '';
  const identity =
    entry.method === 'PUT' ? readPut(entry, input) : identify(entry, position, input);
  if (typeof identity === 'string') {
    issues.push(wrong('invalid', `${at}/request/url`, identity));
    return undefined;
  }
  const reserved = reservedFault(resource);
  if (reserved !== '') issues.push(wrong('not-supported', at, reserved));
  const names = [fullUrl, old === '' ? '' : `${resourceType}/${old}`].filter((name) => name !== '');
  const { meta } = resource;
  const kept = isPlainObject(meta) ? withoutVersion(meta) : undefined;
  // Assigned in place: a copy would forget how decimals were written.
  delete resource.meta;
  const full = resource as Resource & { id: string };
  full.id = identity.id;
  if (kept !== undefined) full.meta = kept;
  const mode: WriteMode = entry.method === 'PUT' ? 'replace' : entry.once ? 'create-only' : 'merge';
  return { item: { resource: full, mode, cleared: [] }, at, names };
}

function withoutVersion(meta: JsonObject): JsonObject | undefined {
  const { versionId: _version, lastUpdated: _updated, ...rest } = meta;
  return Object.keys(rest).length === 0 ? undefined : rest;
}

/** `Patient/123`, or `Patient?identifier=system|value`; a text says what is wrong. */
function readPut({ url, resource }: Entry, { envelope }: PipelineInput): Identity | string {
  const match = /^([A-Za-z]+)\/([A-Za-z0-9\-.]{1,64})$/.exec(url);
  if (match !== null) {
    const [, type, id = ''] = match;
    if (type !== resource.resourceType) return 'The type of the url is not that of the resource.';
    if (resource.id !== undefined && resource.id !== id) {
      return 'The id of the url is not that of the resource.';
    }
    return { id };
  }
  const conditional = readConditional(url, envelope.tenant);
  if (conditional?.type === resource.resourceType) return { id: conditional.id };
  return 'The url of a PUT is Type/id or Type?identifier=system|value.';
}

function reportDuplicates(items: readonly Placed[], issues: Issue[]): void {
  const seen = new Set<string>();
  for (const { item, at } of items) {
    const name = `${item.resource.resourceType}/${item.resource.id}`;
    if (seen.has(name)) {
      const text = 'Another entry of the Bundle is the same resource, by its id or identifier.';
      issues.push(wrong('duplicate', at, text));
    }
    seen.add(name);
  }
}

function wrong(code: Issue['code'], at: string, text: string): Issue {
  return { severity: 'error', code, at, text };
}
