// The tokenizer: delimiters, line ends, presence, numbering, escapes and places.
import { describe, expect, it } from 'vitest';
import { buildMessage, setValue } from '../../src/hl7/build.ts';
import { DEFAULT_DELIMITERS, readDelimiters } from '../../src/hl7/delimiters.ts';
import { decodeEscapes, escapeText } from '../../src/hl7/escape.ts';
import { leafLocation, visitLeaves } from '../../src/hl7/leaves.ts';
import { type Message, parseMessage } from '../../src/hl7/message.ts';
import { type Path, parsePath } from '../../src/hl7/path.ts';

const MSH = 'MSH|^~\\&|A|B|C|D|20240101||ADT^A01|1|P|2.5';

function path(text: string): Path {
  const parsed = parsePath(text);
  if (parsed === undefined) throw new Error(`no path: ${text}`);
  return parsed;
}

function read(message: Message, place: string): string {
  return message.at(path(place)).text;
}

function names(text: string): string[] {
  return parseMessage(text).segments.map((segment) => segment.name);
}

function leaves(text: string): string[] {
  const found: string[] = [];
  visitLeaves(parseMessage(text), (leaf) => found.push(`${leafLocation(leaf)}=${leaf.value.raw}`));
  return found;
}

describe('segments', () => {
  it.each([
    ['CR', `${MSH}\rPID|1\rPV1|1\r`],
    ['LF', `${MSH}\nPID|1\nPV1|1\n`],
    ['CRLF', `${MSH}\r\nPID|1\r\nPV1|1\r\n`],
    ['no last end', `${MSH}\rPID|1\rPV1|1`],
    ['CR, LF and CRLF mixed', `${MSH}\rPID|1\nPV1|1\r\n`],
    ['LF first, then CR', `${MSH}\nPID|1\rPV1|1\r`],
    ['blank lines', `\r\n${MSH}\r\r\nPID|1\r  \t\rPV1|1\r\n\r\n`],
    ['a BOM', `\ufeff${MSH}\rPID|1\rPV1|1\r`],
    ['a BOM seen as latin1', `\xef\xbb\xbf${MSH}\rPID|1\rPV1|1\r`],
    ['an MLLP frame', `\x0b${MSH}\rPID|1\rPV1|1\r\x1c\r`],
    ['an MLLP frame without last CR', `\x0b${MSH}\rPID|1\rPV1|1\x1c\r`],
  ])('are found with %s, and written back as they were', (_, text) => {
    expect(names(text)).toEqual(['MSH', 'PID', 'PV1']);
    expect(parseMessage(text).toString()).toBe(text);
    expect(parseMessage(text).issues).toEqual([]);
  });

  it('keep a line feed as data in a message whose segments end with CR', () => {
    const text = `${MSH}\rOBX|1|TX|1||one\ntwo\n\nNEG||F\rOBX|2\r`;
    expect(names(text)).toEqual(['MSH', 'OBX', 'OBX']);
    expect(read(parseMessage(text), 'OBX-5')).toBe('one\ntwo\n\nNEG');
  });

  it('are counted by name, from 0', () => {
    const message = parseMessage(`${MSH}\rOBX|a\rNTE|1\rOBX|b\r`);
    expect(message.all('OBX').map((segment) => segment.location)).toEqual(['OBX', 'OBX[1]']);
    expect(read(message, 'OBX[1]-1')).toBe('b');
    expect(read(message, 'OBX[2]-1')).toBe('');
  });

  it.each([
    ['PID|1\r', 'There is no MSH segment.'],
    ['', 'There is no MSH segment.'],
    [`${MSH}\rsome text\rPID|1\rPID|1\r`, 'The line does not begin with a segment name.'],
    [`${MSH}\r${MSH}\r`, 'A second message begins here.'],
    ['MSH\rPID|1\r', 'The field separator is missing or is a letter, digit or space.'],
    ['MSH||A\r', 'The encoding characters are missing; ^~\\& was assumed.'],
    ['MSH|^^\\&|A\r', 'The delimiters must be different characters, not letters.'],
  ])('report %j as an error and still parse', (text, issue) => {
    const message = parseMessage(text);
    expect(message.issues.filter((i) => i.severity === 'error').map((i) => i.text)).toContain(
      issue,
    );
    expect(message.toString()).toBe(text);
  });

  it('never put a line that is no segment into a name or a place', () => {
    const message = parseMessage(`${MSH}\rDoe John\rDoe Jane\r`);
    expect(message.segments.map((segment) => segment.location)).toEqual(['MSH', '???', '???[1]']);
    expect(JSON.stringify(message.issues)).not.toContain('Doe');
  });

  it('of lower case are read, with a warning', () => {
    const message = parseMessage(`${MSH}\rpid|1||X\r`);
    expect(read(message, 'PID-3')).toBe('X');
    expect(message.issues).toMatchObject([{ severity: 'warning', at: 'line 2' }]);
  });

  it('report at most a hundred odd lines', () => {
    const { issues } = parseMessage(`${MSH}\r${'x\r'.repeat(5000)}`);
    expect(issues.length).toBe(101);
    expect(issues.at(-1)?.text).toBe('4900 further lines have faults of this kind.');
  });
});

describe('limits', () => {
  it('leave what is beyond them uncut, and say so', () => {
    const many = `${MSH}\r${'A\r'.repeat(110_000)}`;
    const message = parseMessage(many);
    expect(message.segments.length).toBe(100_001);
    expect(message.toString()).toBe(many);
    expect(message.issues[0]).toMatchObject({ severity: 'error', code: 'too-long' });
  });

  it('keep a field of countless components whole', () => {
    const many = `${MSH}\rPID|1||${'^'.repeat(1_100_000)}\r`;
    const message = parseMessage(many);
    expect(message.at(path('PID-3')).parts.length).toBe(1);
    expect(message.issues).toMatchObject([{ severity: 'error', code: 'too-long' }]);
    expect(message.toString()).toBe(many);
  });

  it('do not stop a large document', () => {
    const large = `${MSH}\rOBX|1|ED|||^^PDF^Base64^${'A'.repeat(3_000_000)}\r`;
    expect(parseMessage(large).issues).toEqual([]);
  });
});

describe('delimiters', () => {
  it.each([
    ['MSH|^~\\&|', DEFAULT_DELIMITERS],
    ['MSH|^~\\&#|', { ...DEFAULT_DELIMITERS, truncation: '#' }],
    ['MSH|^~|', { ...DEFAULT_DELIMITERS, escape: '', subcomponent: '' }],
    [
      'MSH#*!%@#',
      {
        field: '#',
        component: '*',
        repetition: '!',
        escape: '%',
        subcomponent: '@',
        truncation: '',
      },
    ],
  ])('of %j', (header, expected) => {
    expect(readDelimiters(header)).toEqual({ delimiters: expected, issues: [] });
  });

  it('of their own are used in the whole message', () => {
    const message = parseMessage('MSH#*!%@#A\rPID#1##X***H@1.2@ISO!Y##a%S%b*c\r');
    expect(read(message, 'PID-3.4.2')).toBe('1.2');
    expect(read(message, 'PID-3[1]')).toBe('Y');
    expect(read(message, 'PID-5.1')).toBe('a*b');
    expect(message.first('MSH')?.field(1).text).toBe('#');
    expect(message.first('MSH')?.field(2).text).toBe('*!%@');
    expect(message.first('MSH')?.field(3).text).toBe('A');
  });

  it('that are not declared delimit nothing', () => {
    const message = parseMessage('MSH|^~|A\rPID|1||a&b\\F\\c\r');
    expect(read(message, 'PID-3')).toBe('a&b\\F\\c');
  });
});

describe('values', () => {
  const message = parseMessage(`${MSH}\rPID|1||X^^^H&1.2&ISO~Y||""|^^|""^J|\r`);

  it.each([
    ['PID-1', 'valued', '1'],
    ['PID-2', 'empty', ''],
    ['PID-3', 'valued', 'X'],
    ['PID-3.2', 'empty', ''],
    ['PID-3.4', 'valued', 'H'],
    ['PID-3.4.3', 'valued', 'ISO'],
    ['PID-3.4.4', 'absent', ''],
    ['PID-3.5', 'absent', ''],
    ['PID-3[1].1', 'valued', 'Y'],
    ['PID-3[2]', 'absent', ''],
    ['PID-5', 'null', ''],
    ['PID-5.3', 'null', ''],
    ['PID-6', 'empty', ''],
    ['PID-7', 'valued', ''],
    ['PID-7.1', 'null', ''],
    ['PID-7.2', 'valued', 'J'],
    ['PID-8', 'empty', ''],
    ['PID-9', 'absent', ''],
    ['ZZZ-1', 'absent', ''],
    ['MSH-1', 'valued', '|'],
    ['MSH-2', 'valued', '^~\\&'],
    ['MSH-9.2', 'valued', 'A01'],
  ])('%s is %s', (place, presence, text) => {
    const value = message.at(path(place));
    expect([value.presence, value.text]).toEqual([presence, text]);
  });

  it('give the same text by Segment.text', () => {
    const pid = message.first('PID');
    expect([pid?.text(3), pid?.text(3, 4, 2), pid?.text(3, 1, 1, 1), pid?.text(99)]).toEqual([
      'X',
      '1.2',
      'Y',
      '',
    ]);
  });

  it('are enumerated once each, with the shortest clear place', () => {
    expect(leaves('MSH|^~\\&|A\rPID|1||X^^^H&1~Y||""||a&b\rOBX|1\rOBX|2^3\r')).toEqual([
      'MSH-1=|',
      'MSH-2=^~\\&',
      'MSH-3=A',
      'PID-1=1',
      'PID-3.1=X',
      'PID-3.4.1=H',
      'PID-3.4.2=1',
      'PID-3[1]=Y',
      'PID-5=""',
      'PID-7.1.1=a',
      'PID-7.1.2=b',
      'OBX-1=1',
      'OBX[1]-1.1=2',
      'OBX[1]-1.2=3',
    ]);
  });
});

describe('escapes', () => {
  it.each([
    ['\\F\\\\S\\\\T\\\\R\\\\E\\', '|^&~\\'],
    ['a\\.br\\b', 'a\nb'],
    ['a\\.sp3\\b', 'a\n\n\nb'],
    ['\\H\\bold\\N\\', 'bold'],
    ['\\X41\\\\X0D0A\\', 'A\r\n'],
    ['\\XC3A9\\ and \\XE9\\', 'é and é'],
    ['\\P\\', '#'],
    ['\\E\\F\\E\\', '\\F\\'],
    ['\\Zabc\\', '\\Zabc\\'],
    ['\\Q\\ \\X4\\ \\X4G\\', '\\Q\\ \\X4\\ \\X4G\\'],
    ['C:\\temp\\S\\x', 'C:\\temp^x'],
    ['one \\ alone', 'one \\ alone'],
    ['\\M2442\\;3ED\\C2842\\ x', '山田 x'],
    ['\\.sp99999\\', '\\.sp99999\\'],
  ])('%j reads %j', (raw, text) => {
    expect(decodeEscapes(raw, DEFAULT_DELIMITERS)).toBe(text);
  });

  it('keep a value that is written as the null a value', () => {
    const message = parseMessage(buildMessage([{ name: 'PID', fields: ['""', null, ''] }]));
    expect(message.at(path('PID-1'))).toMatchObject({ presence: 'valued', text: '""' });
    expect(message.at(path('PID-2')).presence).toBe('null');
  });

  it('are refused where the message has no escape character', () => {
    const delimiters = { ...DEFAULT_DELIMITERS, escape: '' };
    expect(escapeText('plain', delimiters)).toBe('plain');
    expect(() => escapeText('a|b', delimiters)).toThrowError(/no escape character/);
  });
});

describe('setting a place', () => {
  const text = `\x0b${MSH}\nPID|1||X^^^H~Y|\n\nOBX|1`;

  it.each([
    ['PID-3.1', 'a^b', `\x0b${MSH}\nPID|1||a\\S\\b^^^H~Y|\n\nOBX|1`],
    ['PID-3[2].2.2', 'z', `\x0b${MSH}\nPID|1||X^^^H~Y~^&z|\n\nOBX|1`],
    ['PID-3', null, `\x0b${MSH}\nPID|1||""|\n\nOBX|1`],
    ['PID-6', 'x', `\x0b${MSH}\nPID|1||X^^^H~Y|||x\n\nOBX|1`],
    ['MSH-10', '2', `\x0b${MSH.replace('|1|P', '|2|P')}\nPID|1||X^^^H~Y|\n\nOBX|1`],
    ['ZZ1-2', 'x', `${text}\nZZ1||x\n`],
    ['OBX[1]-1', '2', `${text}\nOBX|2\n`],
  ])('%s leaves all else as it was', (place, value, expected) => {
    expect(setValue(parseMessage(text), path(place), value).toString()).toBe(expected);
  });

  it.each(['MSH-2', 'OBX[2]-1', 'PID'])('%s is refused', (place) => {
    expect(() => setValue(parseMessage(text), path(place), 'x')).toThrowError();
  });
});

describe('paths', () => {
  it.each(['PID-3.1', 'PID-3[1].4.2', 'OBX[2]-5', 'PID', 'PID.3'])('%s is read', (text) => {
    expect(parsePath(text)).toBeDefined();
  });
  it.each(['', 'PI-3', 'PID-0', 'PID-3.0', 'PID-3[x]', 'PID-3.1.2.3', 'pid-3', 'PID-99999'])(
    '%j is refused',
    (text) => {
      expect(parsePath(text)).toBeUndefined();
    },
  );
});
