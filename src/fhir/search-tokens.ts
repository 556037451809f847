// Owns the meaning of token, reference and uri parameters: what is looked up, what matches.
import type { Resource } from '../model/resource.ts';
import { isResourceType } from './elements.ts';
import { isOpenTarget } from './index-entries.ts';
import type { Parameter } from './parameters.ts';
import { tokensOf, valuesAt } from './places.ts';
import { parseReference } from './reference.ts';
import {
  type ClauseFault,
  type ClausePlan,
  invalidValue,
  isFault,
  notSupported,
  type SearchTerm,
  unindexed,
} from './search-plan.ts';
import { splitEscaped, unescapeValue } from './search-values.ts';
import { fold, foldContact } from './text.ts';

type Data = Record<string, unknown>;

/** Several values are ORed. Modifiers: `not`. */
export function planToken(
  parameter: Parameter,
  modifier: string,
  values: string[],
): ClausePlan | ClauseFault {
  if (modifier !== '' && modifier !== 'not') return refuse(parameter, modifier, 'not, missing');
  const wishes = values.map((value) => readToken(parameter, value));
  if (wishes.some((wish) => wish.term === '' && wish.system === '')) {
    return invalidValue('A token is written as code, system|code, |code or system|.');
  }
  const test = (resource: Resource): boolean =>
    wishes.some((wish) => hasToken(resource, parameter, wish));
  if (modifier === 'not') return unindexed((resource) => !test(resource));
  const isIndexed = wishes.every((wish) => wish.term !== '');
  if (!isIndexed) return unindexed(test);
  const group = wishes.flatMap((wish) => termsAt(parameter, wish.term));
  return { groups: [group], ranges: [], exact: wishes.every((wish) => wish.use === ''), test };
}

interface TokenWish {
  /** Token as indexed, '' = any code of `system`. */
  term: string;
  /** Of `system|`; '' otherwise. */
  system: string;
  /** Of `home|555`: ContactPoint.use. */
  use: string;
}

function readToken(parameter: Parameter, value: string): TokenWish {
  const parts = splitEscaped(value, '|').map(unescapeValue);
  const type = parameter.places[0]?.type ?? '';
  const code = parts.length > 1 ? parts.slice(1).join('|') : (parts[0] ?? '');
  const system = parts.length > 1 ? (parts[0] ?? '') : null;
  if (type === 'ContactPoint') {
    return { term: foldContact(code), system: '', use: system ?? '' };
  }
  if (type === 'CodeableConcept' || type === 'Coding' || type === 'Identifier') {
    if (system !== null && system !== '' && code === '') return { term: '', system, use: '' };
    const folded = fold(code);
    const term = system === null || folded === '' ? folded : `${system}|${folded}`;
    return { term, system: '', use: '' };
  }
  // A code element has its system from its binding; another system never matches.
  const isOther = system !== null && system !== '' && parameter.system !== system;
  const term = isOther && parameter.system !== '' ? `${system}|${fold(code)}` : fold(code);
  return { term, system: '', use: '' };
}

function hasToken(resource: Resource, parameter: Parameter, wish: TokenWish): boolean {
  return parameter.places.some((place) =>
    valuesAt(resource, place).some((value) => {
      if (wish.use !== '' && (value as Data).use !== wish.use) return false;
      const tokens = tokensOf(place.type, value);
      if (wish.term !== '') return tokens.includes(wish.term);
      return tokens.some((token) => token.startsWith(`${wish.system}|`));
    }),
  );
}

function termsAt(parameter: Parameter, value: string): SearchTerm[] {
  return parameter.places.map((place) => ({ param: place.path, value }));
}

/** uri parameters: the whole text; a canonical also without its version. */
export function planUri(
  parameter: Parameter,
  modifier: string,
  values: string[],
): ClausePlan | ClauseFault {
  if (modifier !== '') return refuse(parameter, modifier, 'missing');
  const wanted = values.map(unescapeValue);
  if (wanted.includes('')) return invalidValue('A URI is needed.');
  return planWanted(parameter, wanted);
}

/** References by id, `Type/id` or URL. Modifiers: a type, `identifier`. */
export function planReference(
  parameter: Parameter,
  modifier: string,
  values: string[],
  baseUrl: string,
): ClausePlan | ClauseFault {
  if (modifier === 'identifier') return planIdentifier(parameter, values);
  if (modifier !== '' && !isResourceType(modifier)) {
    return refuse(parameter, modifier, 'a resource type, identifier, missing');
  }
  if (modifier !== '' && !isTarget(parameter, modifier)) {
    return invalidValue(`${parameter.name} does not point to ${modifier}.`);
  }
  const wanted: string[] = [];
  for (const value of values) {
    const read = readReference(parameter, modifier, unescapeValue(value), baseUrl);
    if (!Array.isArray(read)) return read;
    wanted.push(...read);
  }
  return planWanted(parameter, wanted);
}

function readReference(
  parameter: Parameter,
  modifier: string,
  value: string,
  baseUrl: string,
): string[] | ClauseFault {
  const local =
    baseUrl !== '' && value.startsWith(`${baseUrl}/`) ? value.slice(baseUrl.length + 1) : value;
  if (/^[A-Za-z0-9.-]{1,64}$/.test(local)) {
    if (modifier !== '') return [`${modifier}/${local}`];
    return isOpenTarget(parameter) ? [local] : parameter.targets.map((type) => `${type}/${local}`);
  }
  const target = parseReference(local);
  if (target === null) {
    return /^[a-z][a-z0-9+.-]*:\S+$/.test(local)
      ? [local]
      : invalidValue('A reference is written as id, Type/id or an absolute URL.');
  }
  if (modifier !== '' && target.type !== modifier) {
    return invalidValue('The type of the value is not the type of the modifier.');
  }
  if (!isTarget(parameter, target.type)) {
    return invalidValue(`${parameter.name} points to ${parameter.targets.join(', ')} only.`);
  }
  const path = `${target.type}/${target.id}`;
  return [target.base === '' ? path : `${target.base}/${path}`];
}

function isTarget(parameter: Parameter, type: string): boolean {
  return (
    isResourceType(type) && (parameter.targets.length === 0 || parameter.targets.includes(type))
  );
}

/** A reference, or its id alone where the parameter is open (it is indexed as such, too). */
function planWanted(parameter: Parameter, wanted: string[]): ClausePlan {
  const wishes = new Set(wanted);
  const test = (resource: Resource): boolean =>
    parameter.places.some((place) =>
      valuesAt(resource, place).some((value) =>
        tokensOf(place.type, value).some(
          (token) => wishes.has(token) || isBareWish(parameter, wishes, token),
        ),
      ),
    );
  const group = wanted.flatMap((term) => termsAt(parameter, term));
  return { groups: [group], ranges: [], exact: true, test };
}

function isBareWish(parameter: Parameter, wishes: Set<string>, token: string): boolean {
  if (parameter.kind !== 'reference' || !isOpenTarget(parameter)) return false;
  return wishes.has(parseReference(token)?.id ?? '');
}

/** `subject:identifier=system|value` looks at Reference.identifier, which is not indexed. */
function planIdentifier(parameter: Parameter, values: string[]): ClausePlan | ClauseFault {
  const places = parameter.places.filter((place) => place.type === 'Reference');
  const identifiers: Parameter = {
    ...parameter,
    kind: 'token',
    places: places.map((place) => ({
      path: `${place.path}.identifier`,
      steps: [...place.steps, { key: 'identifier', filter: null }],
      type: 'Identifier',
    })),
  };
  const planned = planToken(identifiers, '', values);
  return isFault(planned) ? planned : unindexed(planned.test);
}

function refuse(parameter: Parameter, modifier: string, served: string): ClauseFault {
  const shown = /^[A-Za-z-]{1,20}$/.test(modifier) ? `:${modifier}` : 'This modifier';
  return notSupported(`${shown} is not served for ${parameter.name}; served: ${served}.`);
}
