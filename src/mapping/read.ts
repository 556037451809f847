// Compiles source paths to functions of a scope. Paths inside an `each` block that name the
// block's own field read the repetition in hand.

import { DEFAULT_DELIMITERS } from '../hl7/delimiters.ts';
import { ABSENT, Value } from '../hl7/value.ts';
import { type Cell, JsonCell } from './cell.ts';
import type { Reader } from './condition.ts';
import type { Scope } from './scope.ts';
import type { ComponentPath, FieldPath, PointerPath, SourcePath } from './source-path.ts';

/** A compiled path: its first value, and one per repetition. */
export interface Read extends Reader<Scope> {
  path: SourcePath;
}

/** Fields of the `each` blocks around a row, outermost first: `PV1-7`. */
export type Eaches = readonly string[];

export function compileRead(path: SourcePath, eaches: Eaches): Read {
  if (path.kind === 'component') return { path, ...readComponent(path) };
  if (path.kind === 'pointer') return { path, ...readPointer(path) };
  const depth = path.repetition === undefined ? eaches.lastIndexOf(fieldName(path)) : -1;
  if (depth >= 0) return { path, ...readEach(path, depth) };
  if (path.field === 0) return { path, ...readSegment(path) };
  return { path, ...readField(path) };
}

/** Name of the field of a path, as `each` blocks are known by. */
export function fieldName(path: FieldPath): string {
  return `${path.segment}-${path.field}`;
}

const PRESENT = new Value('present', 3, DEFAULT_DELIMITERS);

function readSegment({ segment }: FieldPath): Reader<Scope> {
  const one = (scope: Scope) => (scope.find(segment) === undefined ? ABSENT : PRESENT);
  return { one, all: (scope) => [one(scope)] };
}

function readField(path: FieldPath): Reader<Scope> {
  const { segment, field, repetition, component, subcomponent } = path;
  const fieldOf = (scope: Scope) => scope.find(segment)?.field(field) ?? ABSENT;
  if (repetition !== undefined) {
    const one = (scope: Scope) => below(fieldOf(scope).repetition(repetition), path);
    return { one, all: (scope) => [one(scope)] };
  }
  if (component === 0) return { one: fieldOf, all: (scope) => fieldOf(scope).repetitions };
  return {
    one: (scope) => {
      const first = fieldOf(scope).child(component);
      return subcomponent === 0 ? first : first.child(subcomponent);
    },
    all: (scope) => fieldOf(scope).repetitions.map((value) => below(value, path)),
  };
}

function readEach(path: FieldPath, depth: number): Reader<Scope> {
  const one = (scope: Scope) => below(scope.eaches[depth] ?? ABSENT, path);
  return { one, all: (scope) => [one(scope)] };
}

function below<C extends Cell>(cell: C, { component, subcomponent }: FieldPath): Cell {
  if (component === 0) return cell;
  const child = cell.child(component);
  return subcomponent === 0 ? child : child.child(subcomponent);
}

function readComponent({ part, subpart }: ComponentPath): Reader<Scope> {
  if (part === 0) return { one: (scope) => scope.cell, all: (scope) => [scope.cell] };
  const one =
    subpart === 0
      ? (scope: Scope) => scope.cell.child(part)
      : (scope: Scope) => scope.cell.child(part).child(subpart);
  return { one, all: (scope) => [one(scope)] };
}

function readPointer({ relative, tokens }: PointerPath): Reader<Scope> {
  const one = (scope: Scope) => {
    const base = relative ? scope.cell : scope.run.record;
    return base instanceof JsonCell ? base.at(tokens) : ABSENT;
  };
  return { one, all: (scope) => one(scope).repetitions };
}
