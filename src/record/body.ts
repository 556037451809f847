// A resource and its sealed row: what is inside the ciphertext, what binds it to its row, and the
// index entries beside it. Which version is written, and when, is write.ts and update.ts.
import type { KeyObject } from 'node:crypto';
import { openSealed } from '../crypto/seal.ts';
import { indexEntries } from '../fhir/index-entries.ts';
import { copyDecimals, parseOwnJson } from '../fhir/json.ts';
import { EngineError } from '../model/errors.ts';
import type { MappedResource, Resource } from '../model/resource.ts';
import type { Head, RangeEntry, ResourceRow, ResourceWrite } from '../store/port.ts';
import type { ClinicalRecord } from './context.ts';
import { openGuarded, versionDamage } from './damage.ts';
import type { SealingKey } from './keyring.ts';
import type { TenantKeys } from './tenant-keys.ts';

/** The newest version of a resource, opened. `text` is what was sealed. */
export interface CachedResource {
  head: Head;
  keyId: string;
  text: string;
  /** What was folded onto the version before it, or found to change nothing; empty = not known. */
  source: readonly Source[];
}

/** A mapped resource by its text. */
export type Source = Omit<MappedResource, 'resource' | 'text'> & { text: string };

/** What the plain text is; meta.versionId and meta.lastUpdated stand in the row. */
export function resourceText(resource: Resource & { id: string }): string {
  const { meta } = resource;
  if (meta === undefined) return JSON.stringify(resource);
  const { versionId: _v, lastUpdated: _l, ...kept } = meta;
  const { meta: _m, ...rest } = resource;
  return JSON.stringify(Object.keys(kept).length === 0 ? rest : { ...rest, meta: kept });
}

/** Keyed digest of a resource's text: equal texts have equal fingerprints. */
export function fingerprintOf(tenant: TenantKeys, text: string): string {
  return tenant.blinder.digest('resource', text);
}

/** Everything of a new version but where its number comes from. */
export interface NewVersion {
  resource: Resource & { id: string };
  text: string;
  fingerprint: string;
  compartment: string | null;
  /** Stored version, 0 = none. */
  expected: number;
  lastUpdated: number;
}

/** Seals a new version and blinds its index entries. */
export function sealVersion(
  record: ClinicalRecord,
  tenant: TenantKeys,
  key: SealingKey,
  version: NewVersion,
): ResourceWrite {
  const { resource, text, fingerprint, compartment, expected, lastUpdated } = version;
  const ref = { type: resource.resourceType, id: resource.id, version: expected + 1 };
  const bytes = record.sealer.seal(key.key, text, resourceParts(tenant.tenant, ref, key.id));
  return {
    ...ref,
    expected,
    lastUpdated,
    deleted: false,
    compartment,
    fingerprint,
    body: { keyId: key.id, bytes },
    ...blindEntries(tenant, resource),
  };
}

function blindEntries(
  tenant: TenantKeys,
  resource: Resource,
): { tokens: string[]; ranges: RangeEntry[] } {
  const tokens = new Set<string>();
  const ranges: RangeEntry[] = [];
  for (const entry of indexEntries(resource)) {
    if (entry.kind === 'token') {
      tokens.add(searchToken(tenant, resource.resourceType, entry.param, entry.value));
    } else {
      ranges.push({ param: entry.param, low: entry.low, high: entry.high });
    }
  }
  return { tokens: [...tokens], ranges };
}

/** Blind token of one index entry, of one search term. */
export function searchToken(
  tenant: TenantKeys,
  type: string,
  param: string,
  value: string,
): string {
  return tenant.blinder.token('search', type, param, value);
}

/**
 * The text that was sealed. Throws KEY_DESTROYED, DamagedRecord (KEY_UNAVAILABLE, STORE_CORRUPT),
 * which names the version.
 */
export async function openText(
  record: ClinicalRecord,
  tenant: string,
  row: ResourceRow,
): Promise<string> {
  return openGuarded(record.damage, versionDamage(tenant, row), () =>
    readText(record, tenant, row),
  );
}

async function readText(record: ClinicalRecord, tenant: string, row: ResourceRow): Promise<string> {
  const key = await record.keyring.forOpening(tenant, row.body.keyId);
  return openTextWith(key, tenant, row);
}

function openTextWith(key: KeyObject, tenant: string, row: ResourceRow): string {
  const parts = resourceParts(tenant, row, row.body.keyId);
  return openSealed(key, row.body.bytes, parts).toString('utf8');
}

/** The resource of a row, with meta.versionId and meta.lastUpdated. Throws as openText does. */
export async function openResource(
  record: ClinicalRecord,
  tenant: string,
  row: ResourceRow,
): Promise<Resource & { id: string }> {
  return openGuarded(record.damage, versionDamage(tenant, row), async () =>
    withMeta(parseResource(await readText(record, tenant, row), row), row),
  );
}

/** The parsed text; throws STORE_CORRUPT when it is not the resource that the row names. */
export function parseResource(
  text: string,
  ref: { type: string; id: string },
): Resource & { id: string } {
  const parsed = parseOwnJson(text) as (Resource & { id: string }) | null;
  if (parsed?.resourceType === ref.type && parsed.id === ref.id) return parsed;
  throw new EngineError('STORE_CORRUPT', `${ref.type}/${ref.id} holds another resource.`);
}

/** A copy with the version and time that the row says; meta stands after id, as readers expect. */
export function withMeta(
  resource: Resource & { id: string },
  head: Pick<Head, 'version' | 'lastUpdated'>,
): Resource & { id: string } {
  const { resourceType, id, meta, ...rest } = resource;
  const versionId = String(head.version);
  const lastUpdated = new Date(head.lastUpdated).toISOString();
  const copy = { resourceType, id, meta: { ...meta, versionId, lastUpdated }, ...rest };
  copyDecimals(resource, copy);
  return copy;
}

export function headOf({ version, deleted, lastUpdated, compartment, fingerprint }: Head): Head {
  return { version, deleted, lastUpdated, compartment, fingerprint };
}

function resourceParts(
  tenant: string,
  ref: { type: string; id: string; version: number },
  keyId: string,
): string[] {
  return ['resource', tenant, ref.type, ref.id, String(ref.version), keyId];
}
