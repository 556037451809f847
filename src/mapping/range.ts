// Numeric reference ranges as OBX-7 writes them (HL7 v2.5.1 section 7.4.2.7): `12.0-16.0`, `<5`,
// `>=3.5`. A text that is none, such as `negative`, is no fault: it makes no range.
import { keepDecimal } from '../fhir/json.ts';
import type { JsonObject } from './json.ts';
import { CONVERSIONS, type ConversionContext, Decimal } from './primitives.ts';
import type { Convert } from './value.ts';

/** A FHIR Range without units. Its limits count as part of it, `<` and `>` are not told. */
export const convertRange: Convert = (cell, scope, _path, _repetition, label) => {
  const { text } = cell;
  if (text.length > TEXT_MAX) return undefined;
  const range = readRange(text, scope.run.conversion);
  if (range !== undefined) scope.run.account?.mapped(cell, label);
  return range;
};

const TEXT_MAX = 100;
const BOTH = /^\s*([+-]?[\d.]+)\s*(?:-|–|\.\.\.?)\s*([+-]?[\d.]+)\s*$/;
const ONE = /^\s*(<|>|<=|>=|≤|≥)\s*([+-]?[\d.]+)\s*$/;

function readRange(text: string, context: ConversionContext): JsonObject | undefined {
  const [, from, to] = BOTH.exec(text) ?? [];
  if (from !== undefined && to !== undefined) {
    const [low, high] = [readNumber(from, context), readNumber(to, context)];
    if (low === undefined || high === undefined || low.value > high.value) return undefined;
    return { low: quantity(low), high: quantity(high) };
  }
  const [, comparator, limit] = ONE.exec(text) ?? [];
  const number = limit === undefined ? undefined : readNumber(limit, context);
  if (comparator === undefined || number === undefined) return undefined;
  return /^[<≤]/.test(comparator) ? { high: quantity(number) } : { low: quantity(number) };
}

function readNumber(text: string, context: ConversionContext): Decimal | undefined {
  const number = CONVERSIONS.decimal?.(text, context);
  return number instanceof Decimal ? number : undefined;
}

function quantity({ value, text }: Decimal): JsonObject {
  const made: JsonObject = { value };
  if (text !== '') keepDecimal(made, 'value', text);
  return made;
}
