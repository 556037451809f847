// Width classes of ranges. An entry that overlaps [low, high] starts at most its own width before
// `low`; classed by width, all entries of a class are found in one short stretch of an index.

/** Each class is 16 times wider than the one before; class 0 holds points. */
const CLASS_BITS = 4;
const CLASS_OF_ONE = 8;
const CLASS_MAX = 20;

/** Class of an entry: 0 for a point, else 1 to 20. */
export function spanOf(low: number, high: number): number {
  const width = high - low;
  if (width === 0) return 0;
  const step = Math.ceil(Math.log2(width) / CLASS_BITS);
  const span = Math.min(CLASS_MAX, Math.max(1, step + CLASS_OF_ONE));
  // Rounding of log2 near a border must not put an entry into a class narrower than itself.
  return width <= spanWidthMax(span) ? span : span + 1;
}

/** No entry of the class is wider; the last class has no bound. */
export function spanWidthMax(span: number): number {
  if (span === 0) return 0;
  if (span >= CLASS_MAX) return Number.POSITIVE_INFINITY;
  return 2 ** (CLASS_BITS * (span - CLASS_OF_ONE));
}
