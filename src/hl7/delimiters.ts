// The delimiters that a message declares in MSH-1 and MSH-2 (FHS, BHS alike), and their defaults.
// It does not split anything: see value.ts and message.ts.
import type { Issue } from '../model/issue.ts';

/** One character each; '' = not declared by the message, so it delimits nothing. */
export interface Delimiters {
  field: string;
  component: string;
  repetition: string;
  escape: string;
  subcomponent: string;
  /** v2.7 and later, the fifth character of MSH-2. */
  truncation: string;
}

export const DEFAULT_DELIMITERS: Delimiters = Object.freeze({
  field: '|',
  component: '^',
  repetition: '~',
  escape: '\\',
  subcomponent: '&',
  truncation: '',
});

/**
 * Reads the delimiters of a header segment (`MSH|^~\&|...`; also FHS, BHS). A short MSH-2 leaves
 * the rest undeclared. Where nothing usable is declared the defaults are returned with an issue.
 */
export function readDelimiters(header: string): { delimiters: Delimiters; issues: Issue[] } {
  if (header.startsWith('|^~\\&|', 3)) return { delimiters: DEFAULT_DELIMITERS, issues: [] };
  const name = header.slice(0, 3);
  const field = header.charAt(3);
  if (field === '' || isWord(field)) {
    return { delimiters: DEFAULT_DELIMITERS, issues: [wrong(`${name}-1`, NO_SEPARATOR)] };
  }
  const end = header.indexOf(field, 4);
  const declared = header.slice(4, end < 0 ? undefined : end);
  if (declared === '') {
    const delimiters = { ...DEFAULT_DELIMITERS, field };
    return { delimiters, issues: [wrong(`${name}-2`, NO_ENCODING_CHARACTERS)] };
  }
  const [component = '', repetition = '', mark = '', subcomponent = ''] = declared;
  const truncation = declared.length === 5 ? declared.charAt(4) : '';
  const delimiters = {
    field,
    component,
    repetition,
    escape: mark,
    subcomponent,
    truncation,
  };
  return { delimiters, issues: checkDeclared(name, declared, delimiters) };
}

const NO_SEPARATOR = 'The field separator is missing or is a letter, digit or space.';
const NO_ENCODING_CHARACTERS = 'The encoding characters are missing; ^~\\& was assumed.';

function checkDeclared(name: string, declared: string, delimiters: Delimiters): Issue[] {
  const issues: Issue[] = [];
  const used = Object.values(delimiters).filter((character) => character !== '');
  if (new Set(used).size < used.length || used.some(isWord)) {
    issues.push(wrong(`${name}-2`, 'The delimiters must be different characters, not letters.'));
  }
  if (declared.length > 5) {
    const text = 'More than five encoding characters; the first four were taken.';
    issues.push({ severity: 'warning', code: 'value', at: `${name}-2`, text });
  }
  return issues;
}

function isWord(character: string): boolean {
  return /[A-Za-z0-9\s\p{Cc}]/u.test(character);
}

function wrong(at: string, text: string): Issue {
  return { severity: 'error', code: 'structure', at, text };
}
