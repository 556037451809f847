// The account of a message: which leaves were mapped, ignored by a written rule, or not mapped.
// Rows log marks while they run; a row whose value was not written takes its marks back.
import { leafLocation, visitLeaves } from '../hl7/leaves.ts';
import type { Message } from '../hl7/message.ts';
import { Value } from '../hl7/value.ts';
import type { Issue } from '../model/issue.ts';
import type { FieldAccount } from '../model/resource.ts';
import { type Cell, JsonCell, visitJsonLeaves } from './cell.ts';

interface Mark {
  /** A Value, or the pointer of a JSON leaf. */
  leaf: Value | string;
  fate: 'mapped' | 'ignored';
  to: string;
  /** Of several marks of a leaf the highest counts: an element, a key, a reason. */
  rank: 3 | 2 | 1;
}

export class Account {
  private readonly marks: Mark[] = [];

  /** Position to roll back to. */
  get mark(): number {
    return this.marks.length;
  }

  rollback(mark: number): void {
    this.marks.length = mark;
  }

  /** The leaf that `cell.text` reads was written to `to`. */
  mapped(cell: Cell, to: string): void {
    const leaf = firstLeaf(cell);
    if (leaf !== undefined) this.marks.push({ leaf, fate: 'mapped', to, rank: 3 });
  }

  /** The leaf is part of the business key of a resource. */
  inKey(cell: Cell, type: string): void {
    const leaf = firstLeaf(cell);
    if (leaf !== undefined) this.marks.push({ leaf, fate: 'mapped', to: `${type}.id`, rank: 2 });
  }

  /** Every leaf of the cell is ignored for a written reason. */
  ignored(cell: Cell, reason: string): void {
    visitCell(cell, (leaf) => this.marks.push({ leaf, fate: 'ignored', to: reason, rank: 1 }));
  }

  /** Every leaf of the cell was used. */
  used(cell: Cell, to: string): void {
    visitCell(cell, (leaf) => this.marks.push({ leaf, fate: 'mapped', to, rank: 3 }));
  }

  /** The fate of every leaf that is valued or null, in message order. `mapped` beats `ignored`. */
  ofMessage(message: Message, segmentReasons: ReadonlyMap<string, string>): FieldAccount[] {
    const fates = this.fates();
    const accounts: FieldAccount[] = [];
    visitLeaves(message, (leaf) => {
      const reason = segmentReasons.get(leaf.segment.name);
      const from = leafLocation(leaf);
      accounts.push(toAccount(from, fates.get(leaf.value), reason));
    });
    return accounts;
  }

  /** The same of a JSON record. */
  ofRecord(record: unknown): FieldAccount[] {
    const fates = this.fates();
    const accounts: FieldAccount[] = [];
    visitJsonLeaves(record, (pointer) => {
      accounts.push(toAccount(pointer, fates.get(pointer), undefined));
    });
    return accounts;
  }

  private fates(): Map<Value | string, Mark> {
    const fates = new Map<Value | string, Mark>();
    for (const mark of this.marks) {
      const known = fates.get(mark.leaf);
      if (known === undefined || known.rank < mark.rank) fates.set(mark.leaf, mark);
    }
    return fates;
  }
}

/** One information issue per segment and field that has unmapped leaves. */
export function reportUnmapped(accounts: readonly FieldAccount[]): Issue[] {
  const fields = new Set<string>();
  for (const { fate, from } of accounts) {
    if (fate === 'unmapped') fields.add(fieldOf(from));
  }
  const text = 'The field is valued, and no row of the map reads it.';
  return [...fields].map((at) => ({ severity: 'information', code: 'incomplete', at, text }));
}

/** `OBX[2]-5[1].1` -> `OBX-5`; a JSON pointer without its list positions. */
function fieldOf(from: string): string {
  if (from.startsWith('/')) return from.replaceAll(/\/\d+(?=\/|$)/g, '/*');
  return /^(\w+)(?:\[\d+\])?(-\d+)?/.exec(from)?.slice(1).join('') ?? from;
}

function toAccount(from: string, mark: Mark | undefined, reason: string | undefined): FieldAccount {
  if (mark?.fate === 'mapped') return { from, fate: 'mapped', to: mark.to };
  const ignored = mark?.to ?? reason;
  if (ignored !== undefined) return { from, fate: 'ignored', to: ignored };
  return { from, fate: 'unmapped', to: '' };
}

function firstLeaf(cell: Cell): Value | string | undefined {
  if (cell instanceof JsonCell) {
    return Array.isArray(cell.json) ? `${cell.pointer}/0` : cell.pointer;
  }
  if (!(cell instanceof Value)) return undefined;
  let leaf: Value | undefined = cell;
  while (leaf !== undefined && leaf.level < 3) leaf = leaf.parts[0];
  return leaf;
}

function visitCell(cell: Cell, visit: (leaf: Value | string) => void): void {
  if (cell instanceof JsonCell) visitJsonLeaves(cell.json, visit, cell.pointer);
  else if (cell instanceof Value) visitValue(cell, visit);
}

function visitValue(value: Value, visit: (leaf: Value) => void): void {
  if (value.level >= 3) {
    if (value.raw !== '') visit(value);
    return;
  }
  for (const part of value.parts) visitValue(part, visit);
}
