// Owns how text is made comparable: folded (case, accents, punctuation) and cut into words and
// prefixes. Index and search both come here, so that they cannot disagree.
import { tableOf } from '../model/table.ts';

/** Longest prefix that is a token of its own; a longer search word is verified in clear. */
export const PREFIX_MAX = 12;

/** Words of one value that are looked at; a longer text is found by its first ones only. */
export const WORDS_MAX = 32;

const LETTERS: Record<string, string> = tableOf({
  ß: 'ss',
  æ: 'ae',
  œ: 'oe',
  ø: 'o',
  ł: 'l',
  đ: 'd',
  ı: 'i',
});

/** Lower case, without accents: `Müller-Łoś` -> `muller-los`. */
export function fold(text: string): string {
  const lower = text.toLowerCase();
  if (/^[\u0000-\u007f]*$/.test(lower)) return lower;
  return lower
    .normalize('NFD')
    .replace(/\p{M}+/gu, '')
    .replace(/[ßæœøłđı]/g, (letter) => LETTERS[letter] ?? letter);
}

/** Folded words, at most WORDS_MAX: `O'Brien-Smith` -> `obrien`, `smith`. */
export function wordsOf(text: string): string[] {
  const words =
    fold(text)
      .replace(/['’`]/g, '')
      .match(/[\p{L}\p{N}]+/gu) ?? [];
  return words.length > WORDS_MAX ? words.slice(0, WORDS_MAX) : words;
}

/** What a word is looked up by: itself, cut at PREFIX_MAX. */
export function prefixOf(word: string): string {
  return word.length > PREFIX_MAX ? word.slice(0, PREFIX_MAX) : word;
}

/** A phone number by its digits and `+`; anything with letters or `@` folded. */
export function foldContact(text: string): string {
  if (/[\p{L}@]/u.test(text)) return fold(text.trim());
  return text.replace(/[^0-9+]/g, '');
}
