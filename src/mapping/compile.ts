// From checked sources to a set of maps that can be run. A map with a fault is left out, and so is
// every map that needs it; all others are there.
import { createHash } from 'node:crypto';
import { idMaker } from '../crypto/uuid.ts';
import { checkSource } from './check.ts';
import { compileDatatype, type Datatype, dialectOf } from './datatype.ts';
import type { SegmentMap } from './instance.ts';
import { canonicalJson } from './json.ts';
import { compileMessage, type MessageMap } from './message.ts';
import { extendSource, overlaySource } from './overlay.ts';
import { compileRows, type RowContext } from './row.ts';
import { faultAt, formatFault, type Layer, type MapFault, type MapSource } from './source.ts';
import type { Dialect } from './source-path.ts';
import { compileTable, type Table } from './table.ts';
import { openZone, type Zone } from './zone.ts';

/** The maps of one site; '' is the set without an overlay. */
export interface SiteMaps {
  /** By the name of the file. */
  messages: ReadonlyMap<string, MessageMap>;
  /** By `ADT^A01`. */
  events: ReadonlyMap<string, MessageMap>;
  records: ReadonlyMap<string, MessageMap>;
  /** Events whose message map was left out for its faults. */
  broken: ReadonlySet<string>;
  sources: readonly MapSource[];
  /** `layer/name` of each map and what it uses directly. */
  uses: ReadonlyMap<string, ReadonlySet<string>>;
}

/** All maps, compiled; replaced as a whole when files change. */
export interface MappingSet {
  sites: ReadonlyMap<string, SiteMaps>;
  /** The zone of an IANA name, opened once; undefined for an unknown name. */
  zoneOf(name: string): Zone | undefined;
  /** The maker of a tenant's resource ids. */
  idsOf(tenant: string): MakeId;
}

/** Id of a resource by type and business key. */
export type MakeId = (type: string, businessKey: string) => string;

export interface CompileOptions {
  /** `fhir` (default): targets are elements of FHIR R4; `any`: only their form is checked. */
  targets?: 'fhir' | 'any';
}

/**
 * Compiles the maps of `base`, and once more for each site with its changes. Faults are of all
 * sites; a site whose file is refused runs without that file's maps.
 */
export function compileMappings(
  base: readonly MapSource[],
  sites: ReadonlyMap<string, readonly MapSource[]> = new Map(),
  { targets = 'fhir' }: CompileOptions = {},
): { set: MappingSet; faults: MapFault[] } {
  const faults: MapFault[] = [];
  const compiled = new Map([['', compileSite(base, faults, targets)]]);
  for (const [site, changes] of sites) {
    compiled.set(site, compileSite(applySite(base, changes, faults), faults, targets));
  }
  const unique = new Map(faults.map((found) => [formatFault(found), found]));
  return {
    set: { sites: compiled, zoneOf: rememberZones(), idsOf: rememberIds() },
    faults: [...unique.values()],
  };
}

/** Opening a zone costs more than mapping a message. */
function rememberZones(): MappingSet['zoneOf'] {
  const zones = new Map<string, Zone | undefined>();
  return (name) => {
    if (!zones.has(name) && zones.size < 1000) zones.set(name, tryZone(name));
    return zones.get(name);
  };
}

function rememberIds(): MappingSet['idsOf'] {
  const makers = new Map<string, MakeId>();
  return (tenant) => {
    const maker = makers.get(tenant) ?? idMaker(tenant);
    if (makers.size < 1000) makers.set(tenant, maker);
    return maker;
  };
}

function tryZone(name: string): Zone | undefined {
  try {
    return openZone(name);
  } catch (thrown) {
    if (thrown instanceof RangeError) return undefined;
    throw thrown;
  }
}

function applySite(
  base: readonly MapSource[],
  changes: readonly MapSource[],
  faults: MapFault[],
): MapSource[] {
  const merged = [...base];
  for (const change of changes) {
    const same = (source: MapSource) =>
      source.layer === change.layer && source.name === change.name;
    const at = merged.findIndex(same);
    const found = merged[at];
    if (found === undefined) merged.push(change);
    else merged[at] = overlaySource(found, change, faults);
  }
  return merged;
}

function compileSite(
  sources: readonly MapSource[],
  faults: MapFault[],
  targets: CompileOptions['targets'],
): SiteMaps {
  const compiler = new Compiler(sources, faults, targets === 'fhir');
  const messages = new Map<string, MessageMap>();
  const events = new Map<string, MessageMap>();
  const records = new Map<string, MessageMap>();
  const broken = new Set<string>();
  for (const source of sources) {
    // Unused maps are compiled as well, so that their faults are seen.
    if (source.layer === 'tables') compiler.table(source.name);
    if (source.layer === 'datatypes') compiler.datatype(source.name);
    if (source.layer === 'segments') compiler.segment(source.name);
    if (source.layer !== 'messages') continue;
    const message = compiler.message(source.name);
    if (message === undefined) {
      const { events: written } = source.value;
      for (const name of Array.isArray(written) ? written : []) broken.add(String(name));
      continue;
    }
    messages.set(source.name, message);
    const names = message.record === '' ? message.events : [message.record];
    const index = message.record === '' ? events : records;
    for (const name of names) {
      const other = index.get(name);
      if (other === undefined) index.set(name, message);
      else faults.push(faultAt(source, [], `${name} is served by ${other.name} already.`));
    }
  }
  return { messages, events, records, broken, sources, uses: compiler.uses };
}

/** A segment map fills its resource, a datatype map its type; message maps say it per instance. */
function fillsOf(resource: unknown, yields: unknown): string {
  if (typeof resource === 'string') return resource;
  return resource === undefined && typeof yields === 'string' ? yields : '';
}

/** Compiles maps of one site on demand, each once; a circle or a fault gives undefined. */
class Compiler {
  readonly uses = new Map<string, Set<string>>();
  private readonly sources: Map<string, MapSource>;
  private readonly faults: MapFault[];
  private readonly done = new Map<string, unknown>();
  private readonly open = new Set<string>();
  private readonly checked: boolean;
  private datatypes = 0;

  constructor(sources: readonly MapSource[], faults: MapFault[], checked: boolean) {
    this.checked = checked;
    this.sources = new Map(sources.map((source) => [`${source.layer}/${source.name}`, source]));
    this.faults = faults;
  }

  table(name: string): Table | undefined {
    return this.once('tables', name, (source, faults) => compileTable(source, faults));
  }

  datatype(name: string): Datatype | undefined {
    return this.once('datatypes', name, (source, faults) =>
      compileDatatype(
        this.datatypes++,
        this.context(source, faults, dialectOf(source.value.datatype)),
      ),
    );
  }

  segment(name: string): SegmentMap | undefined {
    return this.once('segments', name, (source, faults) => {
      const { value } = source;
      const segment = value.segment === undefined ? '' : String(value.segment);
      const dialect: Dialect =
        segment === '' ? { kind: 'json' } : { kind: 'segment', own: segment };
      const context = { ...this.context(source, faults, dialect), clearable: true };
      const rows = compileRows(value.rows, ['rows'], context);
      const resource = String(value.resource);
      return { name, segment, resource, rows, refs: context.refs, needs: context.needs };
    });
  }

  message(name: string): MessageMap | undefined {
    return this.once('messages', name, (written, faults) => {
      const source = this.extended(written, faults);
      if (source === undefined) return undefined;
      const wrong = checkSource(source);
      faults.push(...wrong);
      if (wrong.length > 0) return undefined;
      const record = source.value.record !== undefined;
      const context = this.context(
        source,
        faults,
        record ? { kind: 'json' } : { kind: 'segment', own: '' },
      );
      const hash = () => this.hash(`messages/${name}`, source);
      return compileMessage(context, (map) => this.used(source, 'segments', map), hash);
    });
  }

  private extended(source: MapSource, faults: MapFault[], depth = 0): MapSource | undefined {
    const name = source.value.extends;
    if (name === undefined) return source;
    const base = this.sources.get(`messages/${name}`);
    const sound =
      base !== undefined && depth < 5 ? this.extended(base, faults, depth + 1) : undefined;
    if (sound !== undefined) return extendSource(source, sound);
    faults.push(faultAt(source, ['extends'], `There is no message map ${name} to extend.`));
    return undefined;
  }

  /** Runs `compile` at the first call; a map with faults of severity error gives undefined. */
  private once<T>(
    layer: Layer,
    name: string,
    compile: (source: MapSource, faults: MapFault[]) => T | undefined,
  ): T | undefined {
    const id = `${layer}/${name}`;
    if (this.done.has(id)) return this.done.get(id) as T | undefined;
    const source = this.sources.get(id);
    if (source === undefined || this.open.has(id)) return undefined;
    this.open.add(id);
    if (!this.uses.has(id)) this.uses.set(id, new Set());
    const found: MapFault[] = layer === 'messages' ? [] : checkSource(source);
    const compiled = found.length === 0 ? compile(source, found) : undefined;
    const sound = found.some(({ severity }) => severity === 'error') ? undefined : compiled;
    this.faults.push(...found);
    this.open.delete(id);
    this.done.set(id, sound);
    return sound;
  }

  private used(source: MapSource, layer: 'segments', name: string): SegmentMap | undefined {
    this.uses.get(`${source.layer}/${source.name}`)?.add(`${layer}/${name}`);
    return this.segment(name);
  }

  private context(source: MapSource, faults: MapFault[], dialect: Dialect): RowContext {
    const uses = this.uses.get(`${source.layer}/${source.name}`);
    const needs = new Set<string>();
    const { resource, yields } = source.value;
    return {
      source,
      faults,
      dialect,
      fills: this.checked ? fillsOf(resource, yields) : null,
      eaches: [],
      clearable: false,
      refs: new Map(),
      seen: { transient: false, makes: false },
      needs,
      datatype: (name) => {
        uses?.add(`datatypes/${name}`);
        const datatype = this.datatype(name);
        for (const need of datatype?.needs ?? []) needs.add(need);
        return datatype;
      },
      table: (name) => {
        uses?.add(`tables/${name}`);
        return this.table(name);
      },
    };
  }

  /** Over the written form of the map and of everything that it reaches. */
  private hash(id: string, source: MapSource): string {
    const reached = new Set([id]);
    for (const name of reached) for (const used of this.uses.get(name) ?? []) reached.add(used);
    const written = [...reached].sort().map((name) => {
      const value = name === id ? source.value : this.sources.get(name)?.value;
      return [name, value ?? null];
    });
    return createHash('sha256').update(canonicalJson(written)).digest('hex');
  }
}
