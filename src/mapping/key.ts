// Business keys: the written alternatives of `key:` compiled to a function of a scope. The key
// with the type and the tenant makes the id (crypto/uuid.ts).
import { authorityText } from '../hl7/business-key.ts';
import type { Cell } from './cell.ts';
import type { Read } from './read.ts';
import { findInstances, type Scope } from './scope.ts';

/** A key that was found; `warning` is the written text of its alternative, or ''. */
export interface FoundKey {
  key: string;
  warning: string;
  /** What it was read from; empty without an account. */
  cells: readonly Cell[];
}

export interface KeyMaker {
  /** Names of the instances that it needs. */
  needs: string[];
  /** undefined = no alternative has all its parts. */
  find(scope: Scope): FoundKey | undefined;
}

/** How parts of a key are compiled; `fail` tells what is wrong with one and where. */
export interface KeyContext {
  read(path: string): Read | undefined;
  isInstance(name: string): boolean;
  fail(place: (string | number)[], text: string): void;
}

/** The text of a part; its cells are only listed for an account. */
type Part = (scope: Scope, cells: Cell[] | null) => string | undefined;

/** Compiles `key:`. Faults go to `context.fail`. */
export function compileKey(written: unknown, context: KeyContext): KeyMaker {
  const needs: string[] = [];
  const alternatives: { parts: Part[]; warning: string }[] = [];
  (Array.isArray(written) ? written : []).forEach((alternative: unknown, index) => {
    const { of, warning } = readAlternative(alternative);
    const parts = of.map((part, position) => {
      const compiled = compilePart(String(part), context, needs);
      if (typeof compiled === 'function') return compiled;
      context.fail([index, position], compiled);
      return () => undefined;
    });
    alternatives.push({ parts, warning });
  });
  return { needs, find: (scope) => findKey(alternatives, scope) };
}

function readAlternative(written: unknown): { of: unknown[]; warning: string } {
  if (Array.isArray(written)) return { of: written, warning: '' };
  const { of, warning } = (written ?? {}) as { of?: unknown[]; warning?: string };
  return { of: of ?? [], warning: warning ?? '' };
}

function findKey(
  alternatives: readonly { parts: Part[]; warning: string }[],
  scope: Scope,
): FoundKey | undefined {
  for (const { parts, warning } of alternatives) {
    const cells: Cell[] | null = scope.run.account === null ? null : [];
    let key = '';
    let complete = true;
    for (let i = 0; i < parts.length; i++) {
      const text = parts[i]?.(scope, cells);
      if (text === undefined) {
        complete = false;
        break;
      }
      key = i === 0 ? text : `${key}|${text}`;
    }
    if (complete) return { key, warning, cells: cells ?? NO_CELLS };
  }
  return undefined;
}

const NO_CELLS: readonly Cell[] = [];

const CALL = /^(authority|key|message)\(([^()]*)\)$/;

/** A compiled part, or what is wrong with it. */
function compilePart(text: string, context: KeyContext, needs: string[]): Part | string {
  const optional = text.endsWith('?');
  const part = optional ? text.slice(0, -1) : text;
  const constant = /^'([^']*)'$/.exec(part)?.[1];
  if (constant !== undefined) return () => constant;
  const call = CALL.exec(part);
  if (call === null) return compilePath(part, optional, context);
  const [, name, argument = ''] = call;
  if (name === 'message') return (scope) => scope.run.messageId;
  if (name === 'authority') return compileAuthority(argument, optional, context);
  if (!context.isInstance(argument)) return `There is no instance named ${argument}.`;
  needs.push(argument);
  return (scope) => findInstances(scope, argument)[0]?.key ?? (optional ? '' : undefined);
}

function compilePath(path: string, optional: boolean, context: KeyContext): Part | string {
  const read = context.read(path);
  if (read === undefined)
    return `"${path}" is not a path, authority(), key(), message() or 'text'.`;
  return (scope, cells) => {
    const cell = read.one(scope);
    const text = cell.text;
    if (text === '') return optional ? '' : undefined;
    cells?.push(cell);
    return text;
  };
}

/** One HD-like path, or the three spread-out parts of an EI. */
function compileAuthority(argument: string, optional: boolean, context: KeyContext): Part | string {
  const paths = argument.split(',').map((path) => path.trim());
  const reads = paths.map((path) => context.read(path));
  const [first, second, third] = reads;
  if (first === undefined || reads.includes(undefined) || ![1, 3].includes(reads.length)) {
    return `authority() takes one path, or three for the parts of an EI: "${argument}".`;
  }
  return (scope, cells) => {
    const one = first.one(scope);
    const parts =
      second === undefined || third === undefined
        ? [one.child(1), one.child(2), one.child(3)]
        : [one, second.one(scope), third.one(scope)];
    const [namespace = '', universal = '', kind = ''] = parts.map((cell) => cell.text);
    const text = authorityText(namespace, universal, kind);
    if (text === '') return optional ? '' : undefined;
    cells?.push(...parts);
    return text;
  };
}
