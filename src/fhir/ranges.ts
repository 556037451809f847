// Owns the spans that values of dates, periods, numbers and quantities cover on their scale.
import { type Span, spanOf, TIME_MAX, TIME_MIN } from './time.ts';

type Data = Record<string, unknown>;

/** The span of one value; empty when it has none. Both ends are finite. */
export function rangesOf(type: string, value: unknown): Span[] {
  switch (type) {
    case 'date':
    case 'dateTime':
    case 'instant':
      return some(typeof value === 'string' ? spanOf(value) : null);
    case 'Period':
      return some(spanOfPeriod(value as Data));
    case 'Range':
      return some(spanOfRange(value as Data));
    case 'decimal':
    case 'integer':
    case 'positiveInt':
    case 'unsignedInt':
      return typeof value === 'number' ? [{ low: value, high: value }] : [];
    default:
      return some(spanOfQuantity(value as Data));
  }
}

function some(span: Span | null): Span[] {
  return span === null ? [] : [span];
}

function spanOfPeriod(period: Data): Span | null {
  const start = typeof period.start === 'string' ? spanOf(period.start) : null;
  const end = typeof period.end === 'string' ? spanOf(period.end) : null;
  if (start === null && end === null) return null;
  const low = start?.low ?? TIME_MIN;
  const high = end?.high ?? TIME_MAX;
  return low <= high ? { low, high } : null;
}

function spanOfRange(range: Data): Span | null {
  const low = (range.low as Data | undefined)?.value;
  const high = (range.high as Data | undefined)?.value;
  if (typeof low !== 'number' && typeof high !== 'number') return null;
  const span = {
    low: typeof low === 'number' ? low : -Number.MAX_VALUE,
    high: typeof high === 'number' ? high : Number.MAX_VALUE,
  };
  return span.low <= span.high ? span : null;
}

/** `< 5` covers all below 5. */
function spanOfQuantity(quantity: Data): Span | null {
  const value = quantity.value;
  if (typeof value !== 'number') return null;
  const comparator = quantity.comparator;
  if (comparator === '<' || comparator === '<=') return { low: -Number.MAX_VALUE, high: value };
  if (comparator === '>' || comparator === '>=') return { low: value, high: Number.MAX_VALUE };
  return { low: value, high: value };
}
