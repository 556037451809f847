// MSH-18 and the bytes: what is declared, what is true, and what is read.
import { describe, expect, it } from 'vitest';
import { charsetOf, decodeMessage, encodeText } from '../../src/hl7/charset.ts';

function message(charset: string, body: Uint8Array | string): Buffer {
  const bytes = typeof body === 'string' ? Buffer.from(body, 'latin1') : body;
  const head = `MSH|^~\\&|A|B|C|D|2024||ADT^A01|1|P|2.5||||||${charset}\rPID|1||`;
  return Buffer.concat([Buffer.from(head, 'latin1'), bytes, Buffer.from('\r')]);
}

function body(text: string): string {
  return text.slice(text.indexOf('PID|1||') + 7, -1);
}

const utf8 = Buffer.from('Müller 山', 'utf8');

describe('decoding', () => {
  it.each([
    ['UNICODE UTF-8', utf8, '', 'Müller 山', 'utf-8', 0],
    ['utf8', utf8, '', 'Müller 山', 'utf-8', 0],
    ['', utf8, '', 'Müller 山', 'utf-8', 0],
    ['', 'M\xfcller', '8859/1', 'Müller', 'iso-8859-1', 0],
    ['8859/1', 'M\xfcller \x80', '', 'Müller \x80', 'iso-8859-1', 0],
    ['8859/15', '\xa4', '', '€', 'iso-8859-15', 0],
    ['8859/2', '\xb3\xf3d\xbc \x85', '', 'łódź \x85', 'iso-8859-2', 0],
    ['8859/5', '\xb8\xd2\xd0\xdd', '', 'Иван', 'iso-8859-5', 0],
    ['8859/7', '\xc3\xe9', '', 'Γι', 'iso-8859-7', 0],
    ['8859/9', '\xde\xfd', '', 'Şı', 'iso-8859-9', 0],
    ['ISO IR87', '\x1b$B;3ED\x1b(B', '', '山田', 'iso-2022-jp', 0],
    ['~ISO IR87', '\x1b$B;3ED\x1b(B^X', '', '山田^X', 'iso-2022-jp', 0],
    ['GB 18030-2000', '\xc9\xbd', '', '山', 'gb18030', 0],
    ['KS X 1001', '\xb1\xe8', '', '김', 'euc-kr', 0],
    // Lies.
    ['UNICODE UTF-8', 'M\xfcller', '', 'Müller', 'iso-8859-1', 1],
    ['UNICODE UTF-8', '\xb3', '8859/2', 'ł', 'iso-8859-2', 1],
    ['', 'M\xfcller', '', 'Müller', 'iso-8859-1', 1],
    ['ASCII', utf8, '', 'Müller 山', 'utf-8', 1],
    ['ASCII', 'M\xfcller', '', 'Müller', 'iso-8859-1', 1],
    ['ISO IR87', utf8, '', 'Müller 山', 'utf-8', 1],
    ['8859/3', '\xa5', '', '\ufffd', 'iso-8859-3', 1],
    ['ISO IR 999', utf8, '', 'Müller 山', 'utf-8', 1],
    ['ISO IR 999', 'plain', '', 'plain', 'utf-8', 1],
  ])('%j', (charset, bytes, fallback, text, actual, warnings) => {
    const decoded = decodeMessage(message(charset, bytes), fallback || undefined);
    expect(body(decoded.text)).toBe(text);
    expect(decoded.charset).toBe(actual);
    expect(decoded.issues.map((issue) => issue.severity)).toEqual(
      Array.from({ length: warnings }, () => 'warning'),
    );
  });

  it('keeps a BOM in the text, so that it is written back', () => {
    const bytes = Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), message('UNICODE UTF-8', utf8)]);
    const { text, charset } = decodeMessage(bytes);
    expect(text.startsWith('\ufeffMSH')).toBe(true);
    expect(Buffer.from(encodeText(text, charset))).toEqual(bytes);
  });

  it('reads bytes without MSH by the fallback', () => {
    expect(decodeMessage(Buffer.from('\xfc', 'latin1'), '8859/1').text).toBe('ü');
  });
});

describe('encoding', () => {
  const parts = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 16];

  it.each(parts)('8859/%i writes every byte back that it can read', (part) => {
    const bytes = Buffer.from(Array.from({ length: 0x60 }, (_, index) => 0xa0 + index));
    const { text, charset } = decodeMessage(message(`8859/${part}`, bytes));
    const read = body(text);
    expect(charset).toBe(`iso-8859-${part}`);
    [...read].forEach((character, index) => {
      if (character === '\ufffd') return;
      expect([...encodeText(character, charset)]).toEqual([0xa0 + index]);
    });
  });

  it('refuses a character that the charset does not have', () => {
    expect(() => encodeText('山', 'iso-8859-1')).toThrowError(/does not exist/);
    expect(() => encodeText('ü', 'ascii')).toThrowError(/does not exist/);
  });
});

describe('names of table 0211', () => {
  it.each([
    ['8859/1', 'iso-8859-1'],
    ['ISO-8859-1', 'iso-8859-1'],
    ['iso 8859/15', 'iso-8859-15'],
    ['UTF-8', 'utf-8'],
    ['us-ascii', 'ascii'],
    ['8859/12', undefined],
    ['8859/17', undefined],
    ['', undefined],
    ['toString', undefined],
    ['constructor', undefined],
  ])('%j is %s', (name, charset) => {
    expect(charsetOf(name)).toBe(charset);
  });
});
