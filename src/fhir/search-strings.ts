// Owns the meaning of string parameters: every word of the search starts a word of the value.
import type { Resource } from '../model/resource.ts';
import type { Parameter } from './parameters.ts';
import { valuesAt } from './places.ts';
import {
  type ClauseFault,
  type ClausePlan,
  invalidValue,
  notSupported,
  type SearchTerm,
  unindexed,
} from './search-plan.ts';
import { unescapeValue } from './search-values.ts';
import { type NamedText, textParams, textsOf } from './strings.ts';
import { fold, PREFIX_MAX, prefixOf, wordsOf } from './text.ts';

/** Several values are ORed. Modifiers: `exact` (case and accents count), `contains`. */
export function planString(
  parameter: Parameter,
  modifier: string,
  values: string[],
): ClausePlan | ClauseFault {
  const texts = values.map(unescapeValue);
  if (texts.some((text) => text.trim() === '')) return invalidValue('A text is needed.');
  switch (modifier) {
    case '':
      return planWords(parameter, texts.map(wordsOf));
    case 'exact':
      return planExact(parameter, texts);
    case 'contains':
      return planContains(parameter, texts.map(fold));
    default:
      return notSupported(
        `That modifier is not served for ${parameter.name}; served: exact, contains, missing.`,
      );
  }
}

function planWords(parameter: Parameter, wishes: string[][]): ClausePlan | ClauseFault {
  if (wishes.some((words) => words.length === 0))
    return invalidValue('Letters or digits are needed.');
  const test = (resource: Resource): boolean =>
    anyTexts(resource, parameter, (texts) => {
      const found = texts.flatMap((one) => wordsOf(one.text));
      return wishes.some((words) =>
        words.every((word) => found.some((other) => other.startsWith(word))),
      );
    });
  const [only] = wishes;
  const isSingle = wishes.length === 1 && only !== undefined;
  // (a AND b) OR c is no AND of ORs: each wish gives its most telling word, the check the rest.
  const groups = isSingle
    ? only.map((word) => termsOf(parameter, word))
    : [wishes.flatMap((words) => termsOf(parameter, longest(words)))];
  const exact = wishes.every((words) => words.length === 1 && longest(words).length <= PREFIX_MAX);
  return { groups, ranges: [], exact, test };
}

function longest(words: string[]): string {
  return words.reduce((best, word) => (word.length > best.length ? word : best), '');
}

function termsOf(parameter: Parameter, word: string): SearchTerm[] {
  const value = prefixOf(word);
  return parameter.places.flatMap((place) => textParams(place).map((param) => ({ param, value })));
}

function planExact(parameter: Parameter, texts: string[]): ClausePlan {
  const wanted = new Set(texts);
  const groups = [
    parameter.places.flatMap((place) =>
      textParams(place).flatMap((param) =>
        texts.map((value) => ({ param: `${param}:exact`, value })),
      ),
    ),
  ];
  const test = (resource: Resource): boolean =>
    anyTexts(resource, parameter, (found) => found.some((one) => wanted.has(one.text)));
  return { groups, ranges: [], exact: true, test };
}

function planContains(parameter: Parameter, wishes: string[]): ClausePlan {
  return unindexed((resource) =>
    anyTexts(resource, parameter, (texts) =>
      texts.some((one) => {
        const folded = fold(one.text);
        return wishes.some((wish) => folded.includes(wish));
      }),
    ),
  );
}

/** Whether the texts of one value (one HumanName, one Address, one string) pass. */
function anyTexts(
  resource: Resource,
  parameter: Parameter,
  passes: (texts: NamedText[]) => boolean,
): boolean {
  return parameter.places.some((place) =>
    valuesAt(resource, place).some((value) => passes(textsOf(place, value))),
  );
}
