// Finds where a text stops being JSON (RFC 8259). It is asked only after JSON.parse has refused the
// text: the message of JSON.parse quotes the text, which may be patient data.

/** Place of the first character that the grammar does not allow; the length when more must come. */
export function grammarFault(text: string): number {
  const open: string[] = [];
  let awaits: Awaits = 'value';
  let at = skipBlanks(text, 0);
  while (at < text.length) {
    const step = take(text, at, awaits, open);
    if (step === null) return at;
    awaits = step.awaits;
    if (step.broken) return step.end;
    at = skipBlanks(text, step.end);
  }
  return text.length;
}

/** `value-or-end`: after `[`. `name-or-end`: after `{`. `comma`: after a value. */
type Awaits = 'value' | 'value-or-end' | 'name' | 'name-or-end' | 'colon' | 'comma' | 'nothing';

interface Step {
  end: number;
  awaits: Awaits;
  /** The token itself is wrong at `end`. */
  broken?: boolean;
}

function take(text: string, at: number, awaits: Awaits, open: string[]): Step | null {
  const c = text.charAt(at);
  const end = at + 1;
  switch (awaits) {
    case 'value-or-end':
      if (c === ']') return close(end, open);
      return takeValue(text, at, open);
    case 'value':
      return takeValue(text, at, open);
    case 'name-or-end':
      if (c === '}') return close(end, open);
      return c === '"' ? { ...takeString(text, at), awaits: 'colon' } : null;
    case 'name':
      return c === '"' ? { ...takeString(text, at), awaits: 'colon' } : null;
    case 'colon':
      return c === ':' ? { end, awaits: 'value' } : null;
    case 'comma':
      if (c === ',') return { end, awaits: open.at(-1) === '{' ? 'name' : 'value' };
      return c === (open.at(-1) === '{' ? '}' : ']') ? close(end, open) : null;
    case 'nothing':
      return null;
  }
}

function close(end: number, open: string[]): Step {
  open.pop();
  return { end, awaits: open.length === 0 ? 'nothing' : 'comma' };
}

function takeValue(text: string, at: number, open: string[]): Step | null {
  const c = text.charAt(at);
  if (c === '{' || c === '[') {
    open.push(c);
    return { end: at + 1, awaits: c === '{' ? 'name-or-end' : 'value-or-end' };
  }
  const awaits = open.length === 0 ? 'nothing' : 'comma';
  if (c === '"') return { ...takeString(text, at), awaits };
  const word = /(?:-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)/y;
  word.lastIndex = at;
  return word.test(text) ? { end: word.lastIndex, awaits } : null;
}

function takeString(text: string, open: number): { end: number; broken?: boolean } {
  for (let i = open + 1; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c === 0x22) return { end: i + 1 };
    if (c < 0x20) return { end: i, broken: true };
    if (c !== 0x5c) continue;
    const sequence = /^\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/.exec(text.slice(i, i + 6));
    if (sequence === null) return { end: i, broken: true };
    i += sequence[0].length - 1;
  }
  return { end: text.length };
}

function skipBlanks(text: string, from: number): number {
  let at = from;
  while (at < text.length && ' \t\n\r'.includes(text.charAt(at))) at++;
  return at;
}
