// What one commit writes: loads the stored versions, folds mapped resources onto them, and yields
// sealed new versions for what has changed. Who asked, and the audit entry, are the caller's.
// Plans wait for their commits by the dozen: what is folded is let go of at once.
import { isDeepStrictEqual } from 'node:util';
import { isEngineProvenance } from '../fhir/reserved.ts';
import { EngineError } from '../model/errors.ts';
import type { WrittenResource } from '../model/message.ts';
import type { MappedResource, Resource } from '../model/resource.ts';
import type { Head, ResourceRef, ResourceWrite } from '../store/port.ts';
import {
  type CachedResource,
  fingerprintOf,
  headOf,
  openText,
  parseResource,
  resourceText,
  type Source,
  sealVersion,
} from './body.ts';
import type { AttemptKeys } from './commit.ts';
import type { ClinicalRecord } from './context.ts';
import type { SealingKey } from './keyring.ts';
import { mergeResource } from './merge.ts';
import type { TenantKeys } from './tenant-keys.ts';

type Identified = Resource & { id: string };

interface Slot {
  ref: ResourceRef;
  /** Where the record's cache keeps it. */
  place: string;
  /** The stored version; `text` is '' when it cannot be opened any more. */
  stored: CachedResource | undefined;
  /** What is to be folded onto it, in order. */
  mapped: MappedResource[];
  unchanged: boolean;
  passing: boolean;
}

/** Rough size of a cached resource beside its text. */
const ENTRY_BYTES = 300;

export class WritePlan {
  readonly #record: ClinicalRecord;
  readonly #tenant: TenantKeys;
  readonly #keys: AttemptKeys;
  /** By type, then by id. */
  readonly #slots = new Map<string, Map<string, Slot>>();
  readonly #fresh = new Map<string, CachedResource>();

  constructor(record: ClinicalRecord, tenant: TenantKeys, keys: AttemptKeys) {
    this.#record = record;
    this.#tenant = tenant;
    this.#keys = keys;
  }

  /** Loads the newest stored versions: what is cached costs nothing, the rest one trip. */
  async load(refs: ResourceRef[]): Promise<void> {
    const missing: Slot[] = [];
    for (const ref of refs) {
      const slot = this.#addSlot(ref);
      slot.stored = this.#record.resources.get(slot.place);
      if (slot.stored === undefined) missing.push(slot);
    }
    if (missing.length === 0) return;
    const { tenant } = this.#tenant;
    const absent = missing.map(({ ref }) => ref);
    const rows = await this.#record.store.resources.readMany(tenant, absent);
    for (const [at, slot] of missing.entries()) {
      const row = rows[at];
      if (row === undefined) continue;
      const text = row.deleted ? '' : await openUnlessForgotten(this.#record, tenant, row);
      slot.stored = { head: headOf(row), keyId: row.body.keyId, text, source: NO_SOURCE };
      if (text !== '') this.#remember(slot.place, slot.stored);
    }
  }

  /** As load, but what is cached is not believed. */
  async loadAnew(ref: ResourceRef): Promise<void> {
    this.#record.resources.delete(this.#placeOf(ref));
    await this.load([ref]);
  }

  /**
   * Takes a resource for absent without looking (the commit refuses when it is not), and does not
   * cache it: nothing is folded onto it later.
   */
  presumeAbsent(ref: ResourceRef): void {
    this.#addSlot(ref).passing = true;
  }

  /** Stored version of a loaded resource, 0 = none. */
  versionOf(ref: ResourceRef): number {
    return this.#slot(ref).stored?.head.version ?? 0;
  }

  /** Head of a loaded resource that is stored. */
  headOf(ref: ResourceRef): Head {
    const { stored } = this.#slot(ref);
    if (stored === undefined) throw new EngineError('INTERNAL', 'A resource is not stored.');
    return stored.head;
  }

  /** Notes resources to be folded onto what is stored, each behind those noted before it. */
  async apply(all: MappedResource[]): Promise<void> {
    for (const compartment of new Set(all.map((mapped) => mapped.compartment))) {
      await this.#keys.of(compartment);
    }
    for (const mapped of all) {
      const slot = this.#slot({ type: mapped.resource.resourceType, id: mapped.resource.id });
      const key = this.#keys.given(mapped.compartment);
      if (slot.mapped.length === 0 && mayBeForgotten(slot, key)) await this.#dropForgotten(slot);
      if (mapped.resource.resourceType === 'Provenance') keepEngineMade(slot, mapped.resource);
      const exists = slot.mapped.length > 0 || (slot.stored?.text ?? '') !== '';
      if (mapped.mode !== 'create-only' || !exists) slot.mapped.push(mapped);
    }
  }

  /** Outcome of a loaded resource, and its new version sealed when it has changed. */
  finish(ref: ResourceRef): {
    written: WrittenResource;
    write?: ResourceWrite;
    content?: Identified;
  } {
    const slot = this.#slot(ref);
    const { stored, mapped } = slot;
    const version = stored?.head.version ?? 0;
    const unchanged = { written: { ...ref, version, outcome: 'unchanged' } } as const;
    const last = mapped.at(-1);
    if (last === undefined) return unchanged;
    slot.mapped = [];
    if (stored !== undefined && isSource(stored.source, mapped) && stored.text !== '') {
      slot.unchanged = true;
      return unchanged;
    }
    const source = sourceOf(mapped);
    const content = fold(stored, ref, mapped, last);
    const text = sharedText(resourceText(content), stored, source);
    if (stored !== undefined && sameContent(stored.text, text)) {
      slot.unchanged = true;
      this.#remember(slot.place, { ...stored, source });
      return { ...unchanged, content };
    }
    const { compartment } = last;
    const key = this.#keys.given(compartment);
    const write = sealVersion(this.#record, this.#tenant, key, {
      resource: content,
      text,
      fingerprint: fingerprintOf(this.#tenant, text),
      compartment,
      expected: version,
      lastUpdated: Math.max(this.#record.clock(), stored?.head.lastUpdated ?? 0),
    });
    if (!slot.passing)
      this.#fresh.set(slot.place, { head: headOf(write), keyId: key.id, text, source });
    const outcome = stored === undefined || stored.text === '' ? 'created' : 'updated';
    return { written: { ...ref, version: version + 1, outcome }, write, content };
  }

  /** What was found unchanged, for the commit to check: another thread may have written since. */
  unchanged(): (ResourceRef & { version: number })[] {
    const found: (ResourceRef & { version: number })[] = [];
    for (const { ref, stored, unchanged } of this.#allSlots()) {
      if (!unchanged || stored === undefined) continue;
      found.push({ type: ref.type, id: ref.id, version: stored.head.version });
    }
    return found;
  }

  /** After the commit: what was written is now what is stored. */
  keep(): void {
    for (const [place, cached] of this.#fresh) this.#remember(place, cached);
  }

  /** After a lost race: what was loaded may be old. */
  forgetLoaded(): void {
    for (const { place } of this.#allSlots()) this.#record.resources.delete(place);
  }

  /** A cached text under a key that was destroyed meanwhile must not live on in a new version. */
  async #dropForgotten(slot: Slot): Promise<void> {
    const { stored } = slot;
    if (stored === undefined) return;
    try {
      await this.#record.keyring.forOpening(this.#tenant.tenant, stored.keyId);
    } catch (thrown) {
      if (!isForgotten(thrown)) throw thrown;
      this.#record.resources.delete(slot.place);
      slot.stored = { ...stored, text: '' };
    }
  }

  #addSlot(ref: ResourceRef): Slot {
    const { type, id } = ref;
    const place = this.#placeOf(ref);
    const flags = { unchanged: false, passing: false };
    const slot: Slot = { ref, place, stored: undefined, mapped: [], ...flags };
    const ofType = this.#slots.get(type);
    if (ofType === undefined) this.#slots.set(type, new Map([[id, slot]]));
    else ofType.set(id, slot);
    return slot;
  }

  #placeOf({ type, id }: ResourceRef): string {
    return `${this.#tenant.tenant}|${type}/${id}`;
  }

  #slot({ type, id }: ResourceRef): Slot {
    const slot = this.#slots.get(type)?.get(id);
    if (slot === undefined) throw new EngineError('INTERNAL', 'A resource was not loaded.');
    return slot;
  }

  *#allSlots(): Generator<Slot> {
    for (const ofType of this.#slots.values()) yield* ofType.values();
  }

  #remember(place: string, cached: CachedResource): void {
    let bytes = cached.text.length + ENTRY_BYTES;
    for (const { text } of cached.source) if (text !== cached.text) bytes += text.length;
    this.#record.resources.set(place, cached, bytes);
  }
}

function mayBeForgotten({ stored }: Slot, key: SealingKey): boolean {
  return stored !== undefined && stored.text !== '' && stored.keyId !== key.id;
}

const NO_SOURCE: readonly Source[] = [];

function sourceOf(mapped: readonly MappedResource[]): Source[] {
  return mapped.map(({ resource, text, ...rest }) => {
    return { ...rest, text: text ?? JSON.stringify(resource) };
  });
}

/** Equal sources folded onto what came of the first one change nothing: folding is idempotent. */
function isSource(source: readonly Source[], mapped: readonly MappedResource[]): boolean {
  if (source.length !== mapped.length) return false;
  return source.every((before, at) => {
    const now = mapped[at];
    if (now === undefined || now.mode !== before.mode) return false;
    if (now.compartment !== before.compartment) return false;
    if (!sameList(now.cleared, before.cleared) || !sameList(now.initial, before.initial)) {
      return false;
    }
    if (!sameList(now.union, before.union)) return false;
    return (now.text ?? JSON.stringify(now.resource)) === before.text;
  });
}

function sameList(one: readonly string[] = [], other: readonly string[] = []): boolean {
  return one.length === other.length && one.every((item, at) => item === other[at]);
}

/** One text in memory where the same one is at hand already. */
function sharedText(text: string, stored: CachedResource | undefined, source: Source[]): string {
  if (stored?.text === text) return stored.text;
  return source.find((one) => one.text === text)?.text ?? text;
}

function fold(
  stored: CachedResource | undefined,
  ref: ResourceRef,
  mapped: MappedResource[],
  last: MappedResource,
): Identified {
  const text = stored?.text ?? '';
  let content = text === '' ? undefined : parseResource(text, ref);
  for (const one of mapped) content = mergeResource(content, one);
  return content ?? last.resource;
}

/** The order of members is no content. */
function sameContent(stored: string, text: string): boolean {
  if (stored === text) return true;
  if (stored.length !== text.length) return false; // other order, same length
  return isDeepStrictEqual(JSON.parse(stored), JSON.parse(text));
}

/** Throws FORBIDDEN where a Provenance of Artery's own would be replaced by another's. */
function keepEngineMade({ ref, stored }: Slot, resource: Resource): void {
  if (stored === undefined || stored.text === '' || isEngineProvenance(resource)) return;
  if (!isEngineProvenance(parseResource(stored.text, ref))) return;
  throw new EngineError('FORBIDDEN', `Provenance/${ref.id} was made by Artery: it stays as it is.`);
}

async function openUnlessForgotten(
  record: ClinicalRecord,
  tenant: string,
  row: Parameters<typeof openText>[2],
): Promise<string> {
  try {
    return await openText(record, tenant, row);
  } catch (thrown) {
    if (isForgotten(thrown)) return '';
    throw thrown;
  }
}

function isForgotten(thrown: unknown): boolean {
  return thrown instanceof EngineError && thrown.code === 'KEY_DESTROYED';
}
