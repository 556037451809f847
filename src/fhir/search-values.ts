// Owns the grammar inside a search value: comma lists, `|`, escapes, prefixes. R4 search.html.

export type Prefix = 'eq' | 'ne' | 'gt' | 'lt' | 'ge' | 'le' | 'sa' | 'eb';

/** Cuts at an unescaped separator; the escapes stay, so that parts can be cut again. */
export function splitEscaped(text: string, separator: ',' | '|'): string[] {
  if (!text.includes('\\')) return text.split(separator);
  const parts: string[] = [];
  let part = '';
  for (let i = 0; i < text.length; i++) {
    const c = text.charAt(i);
    if (c === '\\') part += c + text.charAt(++i);
    else if (c === separator) {
      parts.push(part);
      part = '';
    } else part += c;
  }
  parts.push(part);
  return parts;
}

/** `\,` `\|` `\$` and `\\` to what they stand for. */
export function unescapeValue(text: string): string {
  return text.includes('\\') ? text.replace(/\\([,|$\\])/g, '$1') : text;
}

/** `ge2020` -> ge and `2020`; without a prefix eq. `ap` is answered as null: not supported. */
export function splitPrefix(text: string): { prefix: Prefix | null; rest: string } {
  const m = /^(eq|ne|gt|lt|ge|le|sa|eb|ap)(?=[\d.+-])/.exec(text);
  if (!m) return { prefix: 'eq', rest: text };
  const prefix = m[1] === 'ap' ? null : (m[1] as Prefix);
  return { prefix, rest: text.slice(2) };
}
