// Width classes: an entry is never wider than its class, and classes rise with widths.
import { expect, it } from 'vitest';
import { spanOf, spanWidthMax } from '../../src/store/sqlite/spans.ts';

const DAY_MS = 86_400_000;

it('holds no entry that is wider than its class, down to and up to the extremes', () => {
  const widths = [0, 5e-324, 0.001, 0.1, 1, 15.99, 16, 17, 256, DAY_MS - 1, DAY_MS * 366, 1e300];
  for (let power = -40; power <= 60; power++) widths.push(2 ** power, 2 ** power * 1.0000000001);
  for (const width of widths) {
    const span = spanOf(0, width);
    expect(Number.isInteger(span) && span >= 0 && span <= 20, `class of ${width}`).toBe(true);
    expect(width, `class ${span}`).toBeLessThanOrEqual(spanWidthMax(span));
  }
});

it('keeps days, years and open ends apart', () => {
  const day = spanOf(0, DAY_MS - 1);
  const year = spanOf(0, DAY_MS * 365 - 1);
  const open = spanOf(Date.UTC(2026, 0, 1), 8.64e15);
  expect([spanOf(3, 3), day < year, year < open]).toEqual([0, true, true]);
  expect(spanWidthMax(day)).toBeLessThan(DAY_MS * 16);
});
