// A search parameter without a value: it never widens a search without a word.
import { describe, expect, it } from 'vitest';
import { parametersOf } from '../../src/fhir/parameters.ts';
import { parseSearch } from '../../src/fhir/search.ts';
import { hasErrors } from '../../src/model/issue.ts';

const TYPES = ['Patient', 'Observation', 'Encounter'];
const NAMES = TYPES.flatMap((type) =>
  [...parametersOf(type).keys(), '_id', '_lastUpdated', 'unknown'].map((name) => [type, name]),
) as [string, string][];

function parse(type: string, query: string, lenient: boolean) {
  return parseSearch(type, new URLSearchParams(query), {
    countDefault: 20,
    countMax: 100,
    lenient,
  });
}

describe('an empty value', () => {
  it.each(NAMES)('%s?%s= is refused', (type, name) => {
    for (const value of ['', ',']) {
      expect(hasErrors(parse(type, `${name}=${value}`, false).issues)).toBe(true);
    }
  });

  it.each(NAMES)(
    '%s?%s= is told, and not in the self link, where the client is lenient',
    (type, name) => {
      const { query, issues } = parse(type, `${name}=&_count=5`, true);
      expect(issues).toHaveLength(1);
      expect(issues[0]).toMatchObject({ severity: 'warning', at: name });
      expect(query.applied).toEqual([['_count', '5']]);
    },
  );
});
