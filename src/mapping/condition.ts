// The closed language of `when`: parsed to a tree, then compiled to a closure. It can ask only for
// text, presence, count, length and leading digits of places: no computation, no loops.

import { tableOf } from '../model/table.ts';
import type { Cell } from './cell.ts';
import { SOURCE_PATH_TEXT } from './source-path.ts';

export type Condition =
  | { kind: 'and' | 'or'; left: Condition; right: Condition }
  | { kind: 'not'; of: Condition }
  | { kind: 'valued'; path: string }
  | { kind: 'compare'; operand: Operand; operator: Operator; value: string | number }
  | { kind: 'in'; operand: Operand; values: string[] };

export type Operator = '=' | '!=' | '<' | '>' | '<=' | '>=';

export interface Operand {
  /** `digits`: how many digits the text begins with; of a time, how precise it is. */
  measure: 'text' | 'count' | 'length' | 'digits';
  path: string;
}

/** How a condition reaches its places: the first repetition, and all of them. */
export interface Reader<S> {
  one(scope: S): Cell;
  all(scope: S): readonly Cell[];
}

/** Why a text is not a condition; `offset` is where in the text. */
export class ConditionError extends Error {
  readonly offset: number;
  constructor(message: string, offset: number) {
    super(message);
    this.name = 'ConditionError';
    this.offset = offset;
  }
}

/** Parses a condition. Throws ConditionError; depth and length are bounded. */
export function parseCondition(text: string): Condition {
  if (text.length > TEXT_MAX) throw new ConditionError('The condition is too long.', TEXT_MAX);
  const tokens = tokenize(text);
  const parser: Parser = { tokens, at: 0, end: text.length, depth: 0 };
  const condition = parseOr(parser);
  const extra = parser.tokens[parser.at];
  if (extra !== undefined) throw unexpected(extra, 'and, or, or the end');
  return condition;
}

/** All paths that a condition reads. */
export function conditionPaths(condition: Condition): string[] {
  switch (condition.kind) {
    case 'and':
    case 'or':
      return [...conditionPaths(condition.left), ...conditionPaths(condition.right)];
    case 'not':
      return conditionPaths(condition.of);
    case 'valued':
      return [condition.path];
    default:
      return [condition.operand.path];
  }
}

/** Compiles a parsed condition; `read` compiles its paths. */
export function compileCondition<S>(
  condition: Condition,
  read: (path: string) => Reader<S>,
): (scope: S) => boolean {
  switch (condition.kind) {
    case 'and':
    case 'or': {
      const left = compileCondition(condition.left, read);
      const right = compileCondition(condition.right, read);
      if (condition.kind === 'and') return (scope) => left(scope) && right(scope);
      return (scope) => left(scope) || right(scope);
    }
    case 'not': {
      const of = compileCondition(condition.of, read);
      return (scope) => !of(scope);
    }
    case 'valued': {
      const { one } = read(condition.path);
      return (scope) => one(scope).valued;
    }
    case 'in': {
      const values = new Set(condition.values);
      const measure = compileOperand(condition.operand, read);
      return (scope) => values.has(String(measure(scope)));
    }
    case 'compare':
      return compileComparison(condition, read);
  }
}

const TEXT_MAX = 2000;
const DEPTH_MAX = 20;

function compileComparison<S>(
  { operand, operator, value }: Extract<Condition, { kind: 'compare' }>,
  read: (path: string) => Reader<S>,
): (scope: S) => boolean {
  const measure = compileOperand(operand, read);
  if (typeof value === 'string') {
    if (operator === '=') return (scope) => measure(scope) === value;
    return (scope) => measure(scope) !== value;
  }
  const compare = NUMERIC[operator];
  return (scope) => {
    const left = toNumber(measure(scope));
    return Number.isNaN(left) ? operator === '!=' : compare(left, value);
  };
}

const NUMERIC: Record<Operator, (left: number, right: number) => boolean> = tableOf({
  '=': (left, right) => left === right,
  '!=': (left, right) => left !== right,
  '<': (left, right) => left < right,
  '>': (left, right) => left > right,
  '<=': (left, right) => left <= right,
  '>=': (left, right) => left >= right,
});

function toNumber(measured: string | number): number {
  if (typeof measured === 'number') return measured;
  return /^\s*[+-]?(\d+(\.\d*)?|\.\d+)\s*$/.test(measured) ? Number(measured) : Number.NaN;
}

function compileOperand<S>(
  operand: Operand,
  read: (path: string) => Reader<S>,
): (scope: S) => string | number {
  const { one, all } = read(operand.path);
  if (operand.measure === 'text') return (scope) => one(scope).text;
  if (operand.measure === 'length') return (scope) => one(scope).text.length;
  if (operand.measure === 'digits') {
    return (scope) => /^\d*/.exec(one(scope).text.trim())?.[0].length ?? 0;
  }
  return (scope) => all(scope).filter((cell) => cell.valued).length;
}

interface Token {
  kind: 'word' | 'path' | 'text' | 'number' | 'operator';
  text: string;
  at: number;
}

const WORDS = /(?:not|valued|and|or|in|count|length|digits)\b/iy;
const OPERATOR = /<=|>=|!=|=|<|>|\(|\)|,/y;
const NUMBER = /-?\d+(?:\.\d+)?/y;
const TEXT = /"[^"]*"|'[^']*'/y;

function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  const kinds: [Token['kind'], RegExp][] = [
    ['word', WORDS],
    ['text', TEXT],
    ['operator', OPERATOR],
    ['number', NUMBER],
    ['path', SOURCE_PATH_TEXT],
  ];
  let at = 0;
  for (;;) {
    while (/\s/.test(text.charAt(at))) at++;
    if (at >= text.length) return tokens;
    const token = nextToken(text, at, kinds);
    if (token === undefined) {
      throw new ConditionError(`"${text.slice(at, at + 12)}" is not part of a condition.`, at);
    }
    tokens.push(token);
    at += token.text.length;
  }
}

function nextToken(text: string, at: number, kinds: [Token['kind'], RegExp][]): Token | undefined {
  for (const [kind, pattern] of kinds) {
    pattern.lastIndex = at;
    const match = pattern.exec(text);
    if (match === null || match[0] === '') continue;
    return { kind, text: kind === 'word' ? match[0].toLowerCase() : match[0], at };
  }
  return undefined;
}

interface Parser {
  tokens: Token[];
  at: number;
  end: number;
  depth: number;
}

function parseOr(parser: Parser): Condition {
  let left = parseAnd(parser);
  while (accept(parser, 'or')) left = { kind: 'or', left, right: parseAnd(parser) };
  return left;
}

function parseAnd(parser: Parser): Condition {
  let left = parseNot(parser);
  while (accept(parser, 'and')) left = { kind: 'and', left, right: parseNot(parser) };
  return left;
}

function parseNot(parser: Parser): Condition {
  if (++parser.depth > DEPTH_MAX) throw new ConditionError('It is nested too deeply.', 0);
  try {
    if (accept(parser, 'not')) return { kind: 'not', of: parseNot(parser) };
    if (accept(parser, '(')) {
      const inner = parseOr(parser);
      expect(parser, ')');
      return inner;
    }
    return parseTest(parser);
  } finally {
    parser.depth--;
  }
}

function parseTest(parser: Parser): Condition {
  const operand = parseOperand(parser);
  const negated = accept(parser, 'not');
  if (accept(parser, 'in')) return negate(negated, parseList(parser, operand));
  if (operand.measure === 'text' && accept(parser, 'valued')) {
    return negate(negated, { kind: 'valued', path: operand.path });
  }
  const token = take(parser, 'valued, in, or a comparison');
  if (negated || token.kind !== 'operator' || !Object.hasOwn(NUMERIC, token.text)) {
    throw unexpected(token, negated ? 'valued or in' : 'valued, in, or a comparison');
  }
  const operator = token.text as Operator;
  const value = take(parser, 'a quoted text or a number');
  if (value.kind === 'number') {
    return { kind: 'compare', operand, operator, value: Number(value.text) };
  }
  if (value.kind !== 'text') throw unexpected(value, 'a quoted text or a number');
  if (operator !== '=' && operator !== '!=') throw unexpected(value, 'a number after < or >');
  return { kind: 'compare', operand, operator, value: value.text.slice(1, -1) };
}

function parseOperand(parser: Parser): Operand {
  const token = take(parser, 'a path');
  if (token.kind === 'path') return { measure: 'text', path: token.text };
  if (!isMeasure(token.text)) throw unexpected(token, 'a path');
  expect(parser, '(');
  const path = take(parser, 'a path');
  if (path.kind !== 'path') throw unexpected(path, 'a path');
  expect(parser, ')');
  return { measure: token.text, path: path.text };
}

function parseList(parser: Parser, operand: Operand): Condition {
  expect(parser, '(');
  const values: string[] = [];
  do {
    const token = take(parser, 'a quoted text');
    if (token.kind !== 'text' && token.kind !== 'number') throw unexpected(token, 'a quoted text');
    values.push(token.kind === 'text' ? token.text.slice(1, -1) : token.text);
  } while (accept(parser, ','));
  expect(parser, ')');
  return { kind: 'in', operand, values };
}

function negate(negated: boolean, of: Condition): Condition {
  return negated ? { kind: 'not', of } : of;
}

function accept(parser: Parser, text: string): boolean {
  const token = parser.tokens[parser.at];
  if (token === undefined || token.text !== text || token.kind === 'text') return false;
  parser.at++;
  return true;
}

function expect(parser: Parser, text: string): void {
  if (!accept(parser, text)) throw unexpected(take(parser, `"${text}"`), `"${text}"`);
}

function take(parser: Parser, expected: string): Token {
  const token = parser.tokens[parser.at];
  if (token === undefined) {
    throw new ConditionError(`The condition ends where ${expected} is expected.`, parser.end);
  }
  parser.at++;
  return token;
}

function unexpected(token: Token, expected: string): ConditionError {
  return new ConditionError(`Expected ${expected}, found "${token.text}".`, token.at);
}

function isMeasure(word: string): word is 'count' | 'length' | 'digits' {
  return word === 'count' || word === 'length' || word === 'digits';
}
