// One place of a message: a field, repetition, component or subcomponent, split and decoded when
// it is asked for. Knows nothing of segments or of what the fields mean.
import type { Delimiters } from './delimiters.ts';
import { DEFAULT_DELIMITERS } from './delimiters.ts';
import { decodeEscapes } from './escape.ts';

/** `null` is the HL7 null `""` (remove what is stored); `empty` and `absent` mean no change. */
export type Presence = 'valued' | 'empty' | 'null' | 'absent';

/** 0 field, 1 repetition, 2 component, 3 subcomponent, 4 literal (MSH-1, MSH-2: never split). */
export type Level = 0 | 1 | 2 | 3 | 4;

export class Value {
  /** As received, escapes and delimiters included; '' where it is absent. */
  readonly raw: string;
  readonly level: Level;
  readonly delimiters: Delimiters;
  readonly absent: boolean;
  private split: Value[] | undefined;

  constructor(raw: string, level: Level, delimiters: Delimiters, absent = false) {
    this.raw = raw;
    this.level = level;
    this.delimiters = delimiters;
    this.absent = absent;
  }

  /** Has data of its own: neither absent, nor empty (`^^` is empty), nor the null `""`. */
  get valued(): boolean {
    return this.presence === 'valued';
  }

  get presence(): Presence {
    const { raw } = this;
    if (raw === '') return this.absent ? 'absent' : 'empty';
    if (raw === '""') return 'null';
    return this.level < 3 && isHollow(raw, this.delimiters) ? 'empty' : 'valued';
  }

  /**
   * Text of the first leaf (first repetition, component, subcomponent), escapes decoded. '' when it
   * is absent, empty or null: ask `presence` to tell these apart.
   */
  get text(): string {
    const { raw } = this;
    if (raw === '' || raw === '""') return '';
    if (this.level === 4) return raw;
    const leaf = firstLeaf(raw, this.level, this.delimiters);
    return leaf === '""' ? '' : decodeEscapes(leaf, this.delimiters);
  }

  /**
   * The next level down: repetitions of a field, components of a repetition, subcomponents of a
   * component. Empty when absent; a leaf has itself as its only part.
   */
  get parts(): readonly Value[] {
    if (this.split === undefined) this.split = splitValue(this);
    return this.split;
  }

  /** Repetitions of a field; of any lower level: itself alone. Empty when absent or empty. */
  get repetitions(): readonly Value[] {
    if (this.level === 0) return this.raw === '' ? [] : this.parts;
    return this.raw === '' ? [] : [this];
  }

  /** 0-based repetition of a field. */
  repetition(index: number): Value {
    return (this.level === 0 ? this.parts[index] : index === 0 ? this : undefined) ?? ABSENT;
  }

  /**
   * Child `n` (from 1) in the sense of a data type: component n of a field (its first repetition)
   * or repetition, subcomponent n of a component. A leaf is its own child 1, so that `CX.1` may be
   * read of a value at any level. Every child of the null `""` is null.
   */
  child(n: number): Value {
    if (this.raw === '""') return this;
    if (this.level === 0) return (this.parts[0] ?? ABSENT).child(n);
    if (this.level >= 3) return n === 1 ? this : ABSENT;
    return this.parts[n - 1] ?? ABSENT;
  }
}

/** What is read beyond the end of a message, segment, field or component. */
export const ABSENT: Value = new Value('', 3, DEFAULT_DELIMITERS, true);

function splitValue(value: Value): Value[] {
  const { raw, level, delimiters } = value;
  if (value.absent) return [];
  if (level >= 3) return [value];
  const below = (level + 1) as Level;
  const delimiter = delimiterBelow(level, delimiters);
  if (delimiter === '' || !raw.includes(delimiter)) return [new Value(raw, below, delimiters)];
  return raw.split(delimiter).map((part) => new Value(part, below, delimiters));
}

function delimiterBelow(level: Level, delimiters: Delimiters): string {
  if (level === 0) return delimiters.repetition;
  return level === 1 ? delimiters.component : delimiters.subcomponent;
}

function firstLeaf(raw: string, level: Level, delimiters: Delimiters): string {
  let leaf = raw;
  for (let below = level; below < 3; below++) {
    const delimiter = delimiterBelow(below as Level, delimiters);
    const end = delimiter === '' ? -1 : leaf.indexOf(delimiter);
    if (end >= 0) leaf = leaf.slice(0, end);
  }
  return leaf;
}

/** Only delimiters, no data. */
function isHollow(raw: string, delimiters: Delimiters): boolean {
  for (let i = 0; i < raw.length; i++) {
    const character = raw[i];
    if (
      character !== delimiters.component &&
      character !== delimiters.repetition &&
      character !== delimiters.subcomponent
    ) {
      return false;
    }
  }
  return true;
}
