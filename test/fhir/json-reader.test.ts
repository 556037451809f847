// The one reader of JSON from outside: what it takes, what it refuses and where, and that its work
// grows with the text alone.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { numberText, parseJson } from '../../src/fhir/json.ts';
import { grammarFault } from '../../src/fhir/json-grammar.ts';

function faultOf(text: string | Buffer, depthMax?: number): string {
  try {
    parseJson(text, depthMax);
    return '';
  } catch (thrown) {
    expect(thrown).toMatchObject({ code: 'BAD_REQUEST' });
    return String((thrown as Error).message);
  }
}

describe('what is refused', () => {
  it.each([
    ['a member twice', '{"a":1,\n "a":2}', 'twice in its object (line 2, column 2).'],
    [
      'a member twice, once escaped',
      '{"a":1,"\\u0061":2}',
      'twice in its object (line 1, column 8).',
    ],
    ['a member twice, deep', '[{"b":{"a":{},"c":1,"a":[]}}]', 'twice'],
    ['a member twice around an inner object', '{"a":{"a":1},"a":2}', 'twice'],
    ['__proto__', '{"x":{"__proto__":1}}', 'named __proto__ (line 1, column 7).'],
    ['__proto__, escaped', '{"\\u005f_proto__":1}', 'named __proto__'],
    ['half a surrogate', '{"a":"\\ud800"}', 'half a surrogate (line 1, column 6).'],
    ['the second half', '["x","\\uDC00\\ud800"]', 'half a surrogate (line 1, column 6).'],
    ['half a surrogate in a name', '{"\\ud83d":1}', 'half a surrogate'],
    ['half a surrogate before an escape', '"\\ud83d\\n"', 'half a surrogate'],
    ['half a surrogate in the text itself', '["\ud83d"]', 'half a surrogate'],
    ['a number that is infinite', '{"a":1e400}', 'beyond 1.8e308'],
    ['a number that is infinite, below', '[-1E+309]', 'beyond 1.8e308'],
    ['a number that vanishes', '[1e-400]', 'nearer to 0'],
    ['a number of 101 digits', `[${'1'.repeat(101)}]`, 'more than 100 characters'],
    ['a number of 100,000 digits', `[${'1'.repeat(100_000)}]`, 'more than 100 characters'],
    ['depth', `${'['.repeat(9)}${']'.repeat(9)}`, 'deeper than 8 levels (line 1, column 9).'],
    ['NaN', '[NaN]', 'not JSON (line 1, column 2).'],
    ['Infinity', '[-Infinity]', 'not JSON (line 1, column 2).'],
    ['trailing bytes', '{"a":1}\n}', 'not JSON (line 2, column 1).'],
    ['trailing NUL', '{"a":1}\u0000', 'not JSON (line 1, column 8).'],
    ['a comma too many', '[1,]', 'not JSON (line 1, column 4).'],
    ['a comma too many in an object', '{"a":1,}', 'not JSON (line 1, column 8).'],
    ['no comma', '{"a":1 "b":2}', 'not JSON (line 1, column 8).'],
    ['no colon', '{"a" 1}', 'not JSON (line 1, column 6).'],
    ['an open text', '{"a":"x', 'not JSON (line 1, column 8).'],
    ['a line break in a text', '"a\nb"', 'not JSON (line 1, column 3).'],
    ['an unknown escape', '["\\x"]', 'not JSON (line 1, column 3).'],
    ['a short escape', '["\\u12"]', 'not JSON (line 1, column 3).'],
    ['a leading zero', '[01]', 'not JSON (line 1, column 3).'],
    ['a leading plus', '[+1]', 'not JSON (line 1, column 2).'],
    ['single quotes', "{'a':1}", 'not JSON (line 1, column 2).'],
    ['a comment', '{} // x', 'not JSON (line 1, column 4).'],
    ['the wrong bracket', '[}', 'not JSON (line 1, column 2).'],
    ['nothing', '', 'not JSON (line 1, column 1).'],
    ['blanks', ' \n ', 'not JSON (line 2, column 2).'],
    ['two byte order marks', '\ufeff\ufeff{}', 'not JSON (line 1, column 1).'],
  ])('%s', (_name, text, part) => {
    const told = faultOf(text, 8);
    expect(told).toContain(part);
    expect(faultOf(Buffer.from(text), 8) === '' || text.includes('\ud83d')).toBe(
      text.includes('\ud83d'),
    );
  });

  it.each([
    ['a byte that is not UTF-8', [0x22, 0xff, 0x22]],
    ['a surrogate in UTF-8 (CESU-8)', [0x22, 0xed, 0xa0, 0x80, 0x22]],
    ['an overlong form', [0x22, 0xc0, 0xaf, 0x22]],
    ['UTF-16', [0xff, 0xfe, 0x7b, 0x00, 0x7d, 0x00]],
  ])('%s', (_name, bytes) => {
    expect(faultOf(Buffer.from(bytes))).toBe('The body is not UTF-8.');
  });
});

describe('what is taken', () => {
  it.each([
    '{"a":{"a":1},"b":[{"a":1},{"a":2}],"A":3,"a ":4}',
    '{"\\ud83d\\ude00":"\\ud83d\\ude00","\\\\ud800":"\\\\ud800"}',
    '["a","a","a",{"a":"a"}]',
    '{"toString":1,"constructor":{},"":0}',
    '"\\u0000\\t"',
    '[-0.0e0,0,-1,1E5,5e-324,1.7976931348623157e308]',
    '"\u2028"',
  ])('%s', (text) => {
    expect(parseJson(text)).toEqual(JSON.parse(text));
    expect(parseJson(Buffer.from(`\ufeff ${text}\r\n\t `))).toEqual(JSON.parse(text));
  });

  it.each(['{"a":-0}', '{"a":[1.50,12345678901234567890,{"b":0.10}]}', '[-0,1e3]'])(
    'the numbers of %s with every digit',
    (text) => {
      expect(JSON.stringify(parseJson(text))).toBe(text);
    },
  );

  it('tells long record numbers apart', () => {
    const record = parseJson('{"mrn":12345678901234567891,"l":[12345678901234567892,1e3,1.50]}');
    const { l } = record as { l: number[] };
    expect(numberText(record as object, 'mrn')).toBe('12345678901234567891');
    expect(['0', '1', '2'].map((key) => numberText(l, key))).toEqual([
      '12345678901234567892',
      '1000',
      '1.50',
    ]);
  });
});

describe('for any text', () => {
  it('takes what JSON.parse takes, where no member stands twice', () => {
    fc.assert(
      fc.property(fc.json({ depthSize: 'medium' }), (text) => {
        fc.pre(!text.includes('__proto__'));
        expect(parseJson(text)).toEqual(JSON.parse(text));
      }),
      { numRuns: 500 },
    );
  });

  it('refuses what JSON.parse refuses, at a place inside of it, and never otherwise', () => {
    const pieces = fc.constantFrom(
      ...['{', '}', '[', ']', ',', ':', '"a"', '"b"', '1', '-', '1.5', 'true', 'nul', ' ', '\n'],
      ...['"', '\\', '\\u0061', 'e', '"\\n"', '0', '\u0001'],
    );
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 12 }), (parts) => {
        const text = parts.join('');
        const told = faultOf(text);
        if (isJson(text)) expect(told === '' || told.includes('twice')).toBe(true);
        else {
          expect(told).not.toBe('');
          const at = grammarFault(text);
          expect(at >= 0 && at <= text.length).toBe(true);
          // What stands before the place can still become JSON: it is no fault by itself.
          if (at > 0) expect(grammarFault(text.slice(0, at))).toBe(at);
        }
      }),
      { numRuns: 3_000 },
    );
  });

  function isJson(text: string): boolean {
    try {
      JSON.parse(text);
      return true;
    } catch {
      return false;
    }
  }
});

describe('the work', () => {
  const sizes = [20_000, 160_000];
  it.each([
    ['members', (n: number) => `{${list(n, (i) => `"k${i}":1`)}}`],
    ['members of one name', (n: number) => `[${list(n, () => '{"a":{"b":1,"c":2}}')}]`],
    ['quotes', (n: number) => `["${'\\"'.repeat(n)}"]`],
    ['backslashes', (n: number) => `["${'\\\\'.repeat(n)}"]`],
    ['escapes', (n: number) => `[${list(n, () => '"\\u0061"')}]`],
    ['escaped names', (n: number) => `{${list(n, (i) => `"\\u0061${i}":1`)}}`],
    ['open quotes', (n: number) => '"'.repeat(n)],
    ['minus signs', (n: number) => '-'.repeat(n)],
    ['brackets', (n: number) => '['.repeat(n)],
    ['open objects', (n: number) => '{"a":'.repeat(n)],
    ['line breaks and a fault', (n: number) => `${'\n'.repeat(n)}x`],
    ['decimals', (n: number) => `[${list(n, (i) => `{"v":${i}.50}`)}]`],
  ])('grows with the number of %s, not with its square', (_name, make) => {
    const [small = 0, large = 0] = sizes.map((n) => fastest(() => faultOf(make(n), 100)));
    // Eight times the text: quadratic work would take 64 times as long.
    expect(large / Math.max(small, 0.2)).toBeLessThan(40);
  });

  function list(n: number, item: (i: number) => string): string {
    return Array.from({ length: n }, (_, i) => item(i)).join(',');
  }

  function fastest(run: () => void): number {
    let best = Number.POSITIVE_INFINITY;
    for (let i = 0; i < 3; i++) {
      const begun = performance.now();
      run();
      best = Math.min(best, performance.now() - begun);
    }
    return best;
  }
});
