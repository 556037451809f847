// Mutations that know no grammar: bytes of a frame, characters of a file.
import type { Random } from './random.ts';

/** Characters and pieces that have broken parsers: control, delimiters, surrogates, long runs. */
export const ODD_TEXTS: readonly string[] = [
  ...['\u0000', '\u000b', '\u001c', '\r', '\n', '\u001c\r', '\u0007', '\u007f', '\u0085', '\u00a0'],
  ...['\u2028', '\ufeff', '\ufffd', '\uffff', '\u{1f600}', '\\ud800', '\ud800', 'e\u0301'],
  ...['', ' ', '  ', '""', '\\', '\\\\', '|', '^', '~', '&', '#', '%00', '%ff', '../', '${HOME}'],
  ...[
    'toString',
    '__proto__',
    'constructor',
    'null',
    'undefined',
    'NaN',
    'Infinity',
    '-0',
    '1e400',
  ],
  ...['0'.repeat(300), '9'.repeat(40), 'A'.repeat(5_000), '-1', '1.7e308', '00000000', '20260230'],
  ...['9999-12-31', '0001-01-01T00:00:00Z', '2026-02-29', '24:00', '+2400', "'", '<a>', '{{', '[['],
];

/** One to four changes at places of their own. */
export function mutateText(
  random: Random,
  text: string,
  odd: readonly string[] = ODD_TEXTS,
): string {
  let changed = text;
  for (let left = 1 + random.below(4); left > 0; left -= 1)
    changed = changeOnce(random, changed, odd);
  return changed;
}

function changeOnce(random: Random, text: string, odd: readonly string[]): string {
  const from = random.below(text.length + 1);
  const to = Math.min(text.length, from + random.below(1 + Math.min(64, text.length)));
  const [head, part, tail] = [text.slice(0, from), text.slice(from, to), text.slice(to)];
  switch (random.below(6)) {
    case 0:
      return head + tail;
    case 1:
      return head + part.repeat(2 + random.below(4)) + tail;
    case 2:
      return head + random.pick(odd) + tail;
    case 3:
      return head + random.pick(odd) + part + tail;
    case 4:
      return head;
    default:
      return `${head}${String.fromCharCode(random.below(256))}${text.slice(from + 1)}`;
  }
}

/** The same on bytes. */
export function mutateBytes(random: Random, bytes: Uint8Array): Buffer {
  const odd = ODD_TEXTS.map((text) => Buffer.from(text, 'utf8').toString('latin1'));
  const text = Buffer.from(bytes).toString('latin1');
  return Buffer.from(mutateText(random, text, odd), 'latin1');
}
