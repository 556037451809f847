// Owns what Artery asks of a JSON text from outside beyond the grammar: bounded depth, unique
// member names, well-formed text, numbers that can be kept. One pass; it makes no values.
import { EngineError } from '../model/errors.ts';
import { grammarFault } from './json-grammar.ts';

/** Characters of one number; a decimal of FHIR has 18 digits. */
export const NUMBER_CHARACTERS_MAX = 100;

/** A fault of a JSON text with its place; it quotes nothing of the text. */
export function jsonFault(text: string, at: number, what: string): EngineError {
  const before = text.slice(0, at);
  const lines = before.split('\n');
  const column = (lines.at(-1) ?? '').length + 1;
  return new EngineError('BAD_REQUEST', `${what} (line ${lines.length}, column ${column}).`);
}

/** The fault of a text that JSON.parse has refused. */
export function syntaxFault(text: string): EngineError {
  return jsonFault(text, grammarFault(text), 'The body is not JSON');
}

/**
 * Throws BAD_REQUEST for a text that is refused. Answers whether JSON.parse alone would lose how a
 * number is written. What breaks the grammar is left to JSON.parse.
 */
export function checkJson(text: string, depthMax: number): { lossy: boolean } {
  const names = new Names();
  let lossy = false;
  let escaped = nextEscape(text, 0);
  let awaitsName = false;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c === QUOTE) {
      const end = endOfString(text, i);
      if (escaped < end) {
        if (!isWellFormed(text, i, end)) throw jsonFault(text, i, 'A text holds half a surrogate');
        escaped = nextEscape(text, end);
      }
      if (awaitsName) names.add(text, i, end);
      awaitsName = false;
      i = end;
    } else if (c === OBJECT || c === ARRAY) {
      awaitsName = c === OBJECT;
      if (names.open(awaitsName) > depthMax) {
        throw jsonFault(text, i, `The JSON is nested deeper than ${depthMax} levels`);
      }
    } else if (c === OBJECT_END || c === ARRAY_END) {
      names.close();
      awaitsName = false;
    } else if (c === COMMA) awaitsName = names.inObject;
    else if (c === MINUS || (c >= ZERO && c <= NINE)) {
      const end = endOfNumber(text, i);
      if (!isPlain(text, i, end)) lossy = isLossy(text, i, end) || lossy;
      i = end - 1;
    }
  }
  return { lossy };
}

const [QUOTE, BACKSLASH, COMMA, MINUS, POINT, PLUS] = [0x22, 0x5c, 0x2c, 0x2d, 0x2e, 0x2b];
const [OBJECT, OBJECT_END, ARRAY, ARRAY_END, ZERO, NINE] = [0x7b, 0x7d, 0x5b, 0x5d, 0x30, 0x39];

/** Up to so many members are compared one by one, which is faster than a set. */
const FEW = 12;

/** The names of the objects that are open, outermost first. */
class Names {
  /** Of all open objects, one after the other. */
  readonly #names: string[] = [];
  /** Where those of each open object begin; -1 = an array. */
  readonly #starts: number[] = [];
  /** Of objects with many members, by depth. */
  readonly #sets = new Map<number, Set<string>>();
  inObject = false;

  /** Answers the depth. */
  open(isObject: boolean): number {
    this.inObject = isObject;
    return this.#starts.push(isObject ? this.#names.length : -1);
  }

  close(): void {
    if (this.#sets.size > 0) this.#sets.delete(this.#starts.length);
    const start = this.#starts.pop() ?? -1;
    if (start >= 0) this.#names.length = start;
    this.inObject = (this.#starts.at(-1) ?? -1) >= 0;
  }

  /** The name between two quotes. Throws BAD_REQUEST when the object has it already. */
  add(text: string, open: number, end: number): void {
    const name = decode(text, open, end);
    if (name === '__proto__') {
      throw jsonFault(text, open, 'A member must not be named __proto__');
    }
    if (this.#has(name)) throw jsonFault(text, open, 'A member stands twice in its object');
    this.#names.push(name);
  }

  #has(name: string): boolean {
    const names = this.#names;
    const start = this.#starts.at(-1) ?? 0;
    if (names.length - start > FEW) return this.#hasOfMany(name, start);
    for (let i = names.length - 1; i >= start; i--) if (names[i] === name) return true;
    return false;
  }

  #hasOfMany(name: string, start: number): boolean {
    const depth = this.#starts.length;
    const set = this.#sets.get(depth) ?? new Set(this.#names.slice(start));
    this.#sets.set(depth, set);
    const known = set.size;
    return set.add(name).size === known;
  }
}

/** `\u0061` is `a`; of what is no JSON the text as it stands. */
function decode(text: string, open: number, end: number): string {
  const plain = text.slice(open + 1, end);
  if (!plain.includes('\\')) return plain;
  return parseString(text, open, end) ?? plain;
}

function isWellFormed(text: string, open: number, end: number): boolean {
  return parseString(text, open, end)?.isWellFormed() ?? true;
}

function parseString(text: string, open: number, end: number): string | undefined {
  try {
    return JSON.parse(text.slice(open, end + 1)) as string;
  } catch {
    // JSON.parse will refuse the whole text for the same reason.
    return undefined;
  }
}

/** Place of the next `\u`, the only way to half a surrogate in UTF-8. */
function nextEscape(text: string, from: number): number {
  const at = text.indexOf('\\u', from);
  return at === -1 ? Number.POSITIVE_INFINITY : at;
}

/** Place of the closing quote, or of the end of the text. */
function endOfString(text: string, open: number): number {
  let end = text.indexOf('"', open + 1);
  while (end !== -1 && isEscaped(text, end)) end = text.indexOf('"', end + 1);
  return end === -1 ? text.length : end;
}

function isEscaped(text: string, at: number): boolean {
  let from = at;
  while (text.charCodeAt(from - 1) === BACKSLASH) from--;
  return (at - from) % 2 === 1;
}

function endOfNumber(text: string, start: number): number {
  let end = start + 1;
  while (end < text.length && isOfNumber(text.charCodeAt(end))) end++;
  return end;
}

function isOfNumber(c: number): boolean {
  if (c >= ZERO && c <= NINE) return true;
  return c === POINT || c === MINUS || c === PLUS || (c | 0x20) === 0x65;
}

/** A whole number of few digits, written as JSON.stringify writes it. */
function isPlain(text: string, start: number, end: number): boolean {
  if (end - start > 15) return false;
  for (let i = start; i < end; i++) {
    const c = text.charCodeAt(i);
    if (c < ZERO || c > NINE) return false;
  }
  return true;
}

/** Whether it reads back in another form. Throws BAD_REQUEST when it would not be its value. */
function isLossy(text: string, start: number, end: number): boolean {
  if (end - start > NUMBER_CHARACTERS_MAX) {
    throw jsonFault(text, start, `A number has more than ${NUMBER_CHARACTERS_MAX} characters`);
  }
  const written = text.slice(start, end);
  const value = Number(written);
  const vanishes = value === 0 && /^[^eE]*[1-9]/.test(written);
  if (Math.abs(value) === Number.POSITIVE_INFINITY || vanishes) {
    throw jsonFault(text, start, 'A number is beyond 1.8e308, or nearer to 0 than 5e-324');
  }
  return String(value) !== written;
}
