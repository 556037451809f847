// Changes of a site and `extends` applied to written maps before they are checked and compiled:
// rows by key, codes and instances by name. A merged map still knows the file of each of its rows.
import { isPlainObject, type JsonObject } from './json.ts';
import { faultAt, type MapFault, type MapSource, type Place, type Written } from './source.ts';

/** The map that results when `overlay` changes `base`. */
export function overlaySource(base: MapSource, overlay: MapSource, faults: MapFault[]): MapSource {
  const value: JsonObject = { ...base.value };
  const origins: Origins = { source: base, names: new Map(), rows: [] };
  for (const [name, change] of Object.entries(overlay.value)) {
    if (name === 'rows') {
      const merged = mergeRows(base, overlay, faults);
      value.rows = merged.map(({ row }) => row);
      origins.rows = merged;
    } else if (MERGED.has(name) && isPlainObject(value[name]) && isPlainObject(change)) {
      value[name] = mergeNames(value[name], change);
      for (const key of Object.keys(change)) origins.names.set(`${name}/${key}`, overlay);
    } else {
      value[name] = change;
      origins.names.set(name, overlay);
    }
  }
  return { ...base, value, locate: (place) => locate(origins, place) };
}

/** A message map with what it `extends` under it. */
export function extendSource(source: MapSource, base: MapSource): MapSource {
  const { value } = source;
  const merged: JsonObject = {};
  const origins: Origins = { source, names: new Map(), rows: [] };
  for (const name of ['required', 'provenance', 'ignore', 'resources']) {
    const [own, inherited] = [value[name], base.value[name]];
    if (inherited === undefined) continue;
    if (own === undefined) {
      merged[name] = inherited;
      origins.names.set(name, base);
    } else if (MERGED.has(name) && isPlainObject(own) && isPlainObject(inherited)) {
      merged[name] = mergeNames(inherited, own);
      for (const key of Object.keys(inherited)) {
        if (own[key] === undefined) origins.names.set(`${name}/${key}`, base);
      }
    }
  }
  const rest = Object.fromEntries(Object.entries(value).filter(([name]) => name !== 'extends'));
  return { ...source, value: { ...rest, ...merged }, locate: (place) => locate(origins, place) };
}

/** Key of a row for overlays: its `id`, else `from > to` and the like. */
export function rowKey(row: JsonObject): string {
  if (typeof row.id === 'string') return row.id;
  const from = Array.isArray(row.from) ? row.from.join(', ') : row.from;
  if (row.ignore !== undefined) return `${from}`;
  if (row.cases !== undefined) return `${row.by} > ${from}`;
  const left = row.each ?? from ?? row.ref;
  return left === undefined ? `> ${row.to}` : `${left} > ${row.to}`;
}

const MERGED = new Set(['codes', 'resources', 'ignore']);

interface Origins {
  source: MapSource;
  /** `codes/F` or `unknown`: what came from another source. */
  names: Map<string, MapSource>;
  rows: MergedRow[];
}

interface MergedRow {
  row: unknown;
  source: MapSource;
  index: number;
}

function mergeRows(base: MapSource, overlay: MapSource, faults: MapFault[]): MergedRow[] {
  const rows: MergedRow[] = listRows(base);
  for (const change of listRows(overlay)) {
    if (!isPlainObject(change.row)) {
      rows.push(change);
      continue;
    }
    const key = rowKey(change.row);
    const at = rows.findIndex(({ row }) => isPlainObject(row) && rowKey(row) === key);
    if (change.row.remove === true) {
      if (at >= 0) rows.splice(at, 1);
      else faults.push(faultAt(overlay, ['rows', change.index], `There is no row "${key}".`));
    } else if (at >= 0) rows[at] = change;
    else rows.push(change);
  }
  return rows;
}

function listRows(source: MapSource): MergedRow[] {
  const rows = Array.isArray(source.value.rows) ? source.value.rows : [];
  return rows.map((row: unknown, index) => ({ row, source, index }));
}

function mergeNames(base: JsonObject, change: JsonObject): JsonObject {
  const merged: JsonObject = { ...base, ...change };
  return Object.fromEntries(Object.entries(merged).filter(([, value]) => value !== null));
}

function locate(origins: Origins, place: Place): Written {
  const [name, second, ...more] = place;
  const row = name === 'rows' ? origins.rows[Number(second)] : undefined;
  if (row !== undefined) return row.source.locate(['rows', row.index, ...more]);
  const other = origins.names.get(`${name}/${second}`) ?? origins.names.get(String(name));
  return (other ?? origins.source).locate(place);
}
