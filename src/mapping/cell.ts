// What rows read: a place of a message or of a JSON record. hl7's Value is such a cell as it is;
// JsonCell makes one of a JSON node. Knows nothing of targets.
import { numberText } from '../fhir/json.ts';
import { type Presence, Value } from '../hl7/value.ts';

export interface Cell {
  /** Decoded text of the first leaf, '' when there is none. */
  readonly text: string;
  readonly presence: Presence;
  readonly valued: boolean;
  readonly repetitions: readonly Cell[];
  /** As received; equal raw texts at one level have equal meaning. */
  readonly raw: string;
  readonly level: number;
  child(n: number): Cell;
}

/** How many children `child(n)` can give. */
export function countChildren(cell: Cell): number {
  if (!(cell instanceof Value)) return Number.POSITIVE_INFINITY;
  if (cell.level >= 3) return 1;
  return cell.level === 0 ? (cell.parts[0]?.parts.length ?? 0) : cell.parts.length;
}

export class JsonCell implements Cell {
  readonly level = 9;
  readonly json: unknown;
  /** JSON Pointer from the root. */
  readonly pointer: string;
  /** Of a number: as it was written. */
  private readonly written: string;
  private items: JsonCell[] | undefined;

  constructor(json: unknown, pointer: string, written = '') {
    this.json = json;
    this.written = written;
    this.pointer = pointer;
  }

  get raw(): string {
    return this.pointer;
  }

  get text(): string {
    const { json } = this;
    const first = Array.isArray(json) ? json[0] : json;
    if (typeof first === 'string') return first;
    if (typeof first === 'number' && Array.isArray(json)) return numberText(json, '0');
    if (typeof first === 'number' && this.written !== '') return this.written;
    return typeof first === 'number' || typeof first === 'boolean' ? String(first) : '';
  }

  get presence(): Presence {
    const { json } = this;
    if (json === undefined) return 'absent';
    if (json === null) return 'null';
    if (json === '' || (Array.isArray(json) && json.length === 0)) return 'empty';
    return 'valued';
  }

  get valued(): boolean {
    return this.presence === 'valued';
  }

  get repetitions(): readonly JsonCell[] {
    if (!Array.isArray(this.json)) return this.json === undefined ? [] : [this];
    const { json, pointer } = this;
    this.items ??= this.json.map((item, index) => {
      return new JsonCell(item, `${pointer}/${index}`, writtenAt(json as object, String(index)));
    });
    return this.items;
  }

  child(n: number): JsonCell {
    return n === 1 ? this : NOTHING;
  }

  /** The node below at already decoded pointer tokens; an absent cell when there is none. */
  at(tokens: readonly string[]): JsonCell {
    let json = this.json;
    let { pointer, written } = this;
    for (const token of tokens) {
      const holder = json;
      json = stepInto(json, token);
      if (json === undefined) return NOTHING;
      written = writtenAt(holder as object, token);
      pointer += `/${token.replaceAll('~', '~0').replaceAll('/', '~1')}`;
    }
    return new JsonCell(json, pointer, written);
  }
}

const NOTHING: JsonCell = new JsonCell(undefined, '');

function writtenAt(holder: object, key: string): string {
  return typeof (holder as Record<string, unknown>)[key] === 'number'
    ? numberText(holder, key)
    : '';
}

function stepInto(json: unknown, token: string): unknown {
  if (typeof json !== 'object' || json === null) return undefined;
  if (Array.isArray(json)) return /^(0|[1-9]\d*)$/.test(token) ? json[Number(token)] : undefined;
  return Object.hasOwn(json, token) ? (json as Record<string, unknown>)[token] : undefined;
}

/** Calls `visit` for every scalar of a record (null included), in document order. */
export function visitJsonLeaves(
  json: unknown,
  visit: (pointer: string, json: unknown) => void,
  pointer = '',
): void {
  if (Array.isArray(json)) {
    json.forEach((item, index) => {
      visitJsonLeaves(item, visit, `${pointer}/${index}`);
    });
  } else if (typeof json === 'object' && json !== null) {
    for (const [name, item] of Object.entries(json)) {
      const token = name.replaceAll('~', '~0').replaceAll('/', '~1');
      visitJsonLeaves(item, visit, `${pointer}/${token}`);
    }
  } else if (json !== '') visit(pointer, json);
}
