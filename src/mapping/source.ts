// The written form of a map before it is compiled: one YAML file as plain data plus the lines its
// parts stand on, and the faults that are found in it. Reads no files.
import { isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml';

export type Layer = 'messages' | 'segments' | 'datatypes' | 'tables';

export const LAYERS: readonly Layer[] = ['messages', 'segments', 'datatypes', 'tables'];

/** A mapping file as data. `value` holds plain objects, lists, text, numbers and booleans only. */
export interface MapSource {
  layer: Layer;
  /** The file's name without `.yaml`: the name of the map. */
  name: string;
  /** Path below the mappings folder: `segments/PID-Patient.yaml`. */
  file: string;
  value: Record<string, unknown>;
  /** Where a place such as `['rows', 3, 'to']` was written, or what is around it. */
  locate(place: Place): Written;
}

/** `path` is that of the file itself: rows of a site keep their own numbers. */
export interface Written {
  file: string;
  line: number;
  path: string;
}

/** Names and list positions from the top of a file. */
export type Place = readonly (string | number)[];

/** One fault of one file. Faults of severity `error` refuse the file. */
export interface MapFault {
  severity: 'error' | 'warning';
  file: string;
  /** 1-based, 0 = the file as a whole. */
  line: number;
  /** `/rows/3/to`, '' = the whole file. */
  path: string;
  text: string;
}

/** `segments/PID-Patient.yaml:12: /rows/3/to: …` */
export function formatFault(fault: MapFault): string {
  const line = fault.line > 0 ? `:${fault.line}` : '';
  return `${fault.file}${line}: ${fault.path === '' ? '' : `${fault.path}: `}${fault.text}`;
}

/** Reads one YAML text. A fault of syntax (with its line) is returned instead of a source. */
export function readSource(layer: Layer, file: string, text: string): MapSource | MapFault {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, uniqueKeys: true });
  const wrong = document.errors[0];
  if (wrong !== undefined) {
    return fault(file, lines.linePos(wrong.pos[0]).line, '', wrong.message.split('\n')[0] ?? '');
  }
  const value = toData(document.contents);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return fault(file, 1, '', 'A mapping file is a YAML map of names and values.');
  }
  const name = (file.split('/').at(-1) ?? '').replace(/\.yaml$/, '');
  const locate = (place: Place) => {
    const line = findLine(document.contents, place, lines);
    return { file, line, path: place.length === 0 ? '' : `/${place.join('/')}` };
  };
  return { layer, name, file, value: value as Record<string, unknown>, locate };
}

/** Makes a fault about a place of a source. */
export function faultAt(
  source: MapSource,
  place: Place,
  text: string,
  severity: MapFault['severity'] = 'error',
): MapFault {
  return { severity, ...source.locate(place), text };
}

/** Makes a fault of severity `error`. */
export function fault(file: string, line: number, path: string, text: string): MapFault {
  return { severity: 'error', file, line, path, text };
}

export function isFault(value: MapSource | MapFault): value is MapFault {
  return 'severity' in value;
}

/** A key or number keeps its text when it would be written differently: `01`, `1.0`, `0x1F`. */
function toData(node: unknown): unknown {
  if (isMap(node)) {
    const out: Record<string, unknown> = {};
    for (const pair of node.items) {
      const key = scalarText(pair.key);
      if (key !== '__proto__') out[key] = toData(pair.value);
    }
    return out;
  }
  if (isSeq(node)) return node.items.map(toData);
  if (!isScalar(node)) return null;
  if (typeof node.value === 'number' && String(node.value) !== node.source) return node.source;
  return node.value ?? null;
}

function scalarText(key: unknown): string {
  if (!isScalar(key)) return String(key);
  return typeof key.value === 'string' ? key.value : (key.source ?? String(key.value));
}

function findLine(root: unknown, path: Place, lines: LineCounter): number {
  let node = root;
  let at = offsetOf(root);
  for (const step of path) {
    if (isMap(node)) {
      const pair = node.items.find((item) => scalarText(item.key) === String(step));
      if (pair === undefined) break;
      at = offsetOf(pair.key) ?? at;
      node = pair.value;
    } else if (isSeq(node)) {
      node = node.items[Number(step)];
      at = offsetOf(node) ?? at;
    } else break;
  }
  return at === undefined ? 1 : lines.linePos(at).line;
}

function offsetOf(node: unknown): number | undefined {
  return (node as Node | null | undefined)?.range?.[0];
}
