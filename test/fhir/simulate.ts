// Answers a search from index entries alone, as the store does, beside the verdict in clear.
import { expect } from 'vitest';
import { indexEntries } from '../../src/fhir/index-entries.ts';
import { matches, parseSearch, type SearchQuery, type SearchRange } from '../../src/fhir/search.ts';
import type { Resource } from '../../src/model/resource.ts';

export const OPTIONS = { countDefault: 20, countMax: 100, baseUrl: 'https://here.example/fhir/R4' };

/** Whether the index answers a resource; record/ only blinds the terms in between. */
export function isIndexed(resource: Resource, query: SearchQuery): boolean {
  const entries = indexEntries(resource);
  const tokens = new Set(
    entries.flatMap((entry) => (entry.kind === 'token' ? [`${entry.param} ${entry.value}`] : [])),
  );
  const hasRange = (test: SearchRange): boolean => {
    const own = entries.filter((entry) => entry.kind === 'range' && entry.param === test.param);
    const spans = own as unknown as { low: number; high: number }[];
    switch (test.test) {
      case 'missing':
        return spans.length === 0;
      case 'present':
        return spans.length > 0;
      case 'within':
        return spans.some((span) => span.low >= test.low && span.high <= test.high);
      case 'overlaps':
        return spans.some((span) => span.high >= test.low && span.low <= test.high);
    }
  };
  const at = Date.parse(resource.meta?.lastUpdated ?? '');
  return (
    resource.resourceType === query.type &&
    query.tokens.every((group) =>
      group.some(({ param, value }) => tokens.has(`${param} ${value}`)),
    ) &&
    query.ranges.every(hasRange) &&
    (query.ids?.includes(resource.id ?? '') ?? true) &&
    (query.lastUpdated?.every(({ low, high }) => at >= low && at <= high) ?? true)
  );
}

/** The verdict of a search on a resource; fails when index and clear check disagree. */
export function isFound(resource: Resource, text: string): boolean {
  const { query, issues } = parseSearch(resource.resourceType, new URLSearchParams(text), OPTIONS);
  expect(issues).toEqual([]);
  const found = matches(resource, query);
  const indexed = isIndexed(resource, query);
  if (found) expect(indexed, `${text}: the index loses a match`).toBe(true);
  if (query.exact) expect(indexed, `${text}: called exact, but is not`).toBe(found);
  return found;
}
