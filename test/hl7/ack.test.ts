// Which acknowledgements leave, and what stands in them.
import { describe, expect, it } from 'vitest';
import { type AckError, ackErrorOf, ackFrames, acksFor, type Verdict } from '../../src/hl7/ack.ts';
import { type Header, readHeader } from '../../src/hl7/header.ts';
import { parseMessage } from '../../src/hl7/message.ts';

const CONTEXT = { receivedAt: '2026-02-03T04:05:06.789Z', controlId: 'C1' };
const ERROR: AckError = {
  at: 'PID-3[1].4.2',
  severity: 'error',
  code: 101,
  text: 'It is missing.',
};

function header(text: string): Header {
  const read = readHeader(Buffer.from(text, 'latin1')).header;
  if (read === undefined) throw new Error('no header');
  return read;
}

function asking(accept: string, application: string, version = '2.5.1'): Header {
  const fields = `|^~\\&|A|F|RA|RF|2024||ADT^A01^ADT_A01|ID1|T|${version}`;
  return header(`MSH${fields}|||${accept}|${application}||8859/1\r`);
}

function answers(asked: Header | undefined, verdict: Verdict): string[] {
  return ackFrames(acksFor(asked, verdict, CONTEXT)).map((bytes) =>
    Buffer.from(bytes).toString('latin1'),
  );
}

/** MSA-1 of each answer, in order. */
function codes(asked: Header, verdict: Verdict): string {
  return answers(asked, verdict)
    .map((text) => parseMessage(text).first('MSA')?.text(1))
    .join(' ');
}

describe('original mode', () => {
  it.each([
    ['accepted', 'AA'],
    ['error', 'AE'],
    ['rejected', 'AR'],
  ] as const)('answers %s by %s', (outcome, code) => {
    expect(codes(asking('', ''), { outcome })).toBe(code);
    expect(codes(asking('', ''), { outcome, stage: 'application' })).toBe(code);
  });
});

describe('enhanced mode', () => {
  it.each([
    // MSH-15, MSH-16, then the answers to an accepted, a faulty and a rejected message.
    ['AL', 'NE', 'CA', 'CE', 'CR'],
    ['AL', 'AL', 'CA AA', 'CE', 'CR'],
    ['NE', 'AL', 'AA', 'AE', 'AR'],
    ['NE', 'NE', '', '', ''],
    ['ER', 'NE', '', 'CE', 'CR'],
    ['SU', 'NE', 'CA', '', ''],
    ['SU', 'AL', 'CA AA', 'AE', 'AR'],
    ['ER', 'AL', 'AA', 'CE', 'CR'],
    ['ER', 'ER', '', 'CE', 'CR'],
    ['AL', 'ER', 'CA', 'CE', 'CR'],
    ['AL', 'SU', 'CA AA', 'CE', 'CR'],
    ['NE', 'ER', '', 'AE', 'AR'],
    ['NE', 'SU', 'AA', '', ''],
    ['', 'AL', 'AA', 'AE', 'AR'],
    ['AL', '', 'CA', 'CE', 'CR'],
    ['al', 'ne', 'CA', 'CE', 'CR'],
  ])('MSH-15 %s, MSH-16 %s', (accept, application, accepted, error, rejected) => {
    const asked = asking(accept, application);
    expect(codes(asked, { outcome: 'accepted' })).toBe(accepted);
    expect(codes(asked, { outcome: 'error' })).toBe(error);
    expect(codes(asked, { outcome: 'rejected' })).toBe(rejected);
  });

  it('gives the two answers apart when the application answers later', () => {
    const asked = asking('AL', 'AL');
    expect(codes(asked, { outcome: 'accepted', stage: 'accept' })).toBe('CA');
    expect(codes(asked, { outcome: 'error', stage: 'application' })).toBe('AE');
  });

  it('gives the two answers different control ids, and wants no answer to them', () => {
    const [accept = '', application = ''] = answers(asking('AL', 'AL'), { outcome: 'accepted' });
    expect(parseMessage(accept).first('MSH')?.text(10)).toBe('C1');
    expect(parseMessage(application).first('MSH')?.text(10)).toBe('C1A');
    expect(parseMessage(application).first('MSH')?.text(15)).toBe('NE');
  });

  it('says why there is no answer', () => {
    expect(acksFor(asking('NE', 'NE'), { outcome: 'error' }, CONTEXT)).toEqual({
      silent: 'not-wanted',
    });
  });
});

describe('an acknowledgement', () => {
  it('is never acknowledged', () => {
    const ack = header('MSH|^~\\&|A|B|||2024||ACK^A01|1|P|2.5|||AL|AL\rMSA|AA|9\r');
    expect(acksFor(ack, { outcome: 'error', errors: [ERROR] }, CONTEXT)).toEqual({
      silent: 'acknowledgement',
    });
  });
});

describe('what stands in it', () => {
  it('is deterministic and swaps sender and receiver', () => {
    const verdict: Verdict = { outcome: 'accepted' };
    const expected =
      'MSH|^~\\&|RA|RF|A|F|20260203040506.789+0000||ACK^A01^ACK|C1|T|2.5.1||||||8859/1\r' +
      'MSA|AA|ID1\r';
    expect(answers(asking('', ''), verdict)).toEqual([expected]);
    expect(answers(asking('', ''), verdict)).toEqual([expected]);
  });

  it.each(['A1', 'a&b^c~d', 'x\\F\\y', '\xe9\xff\x80', ' 7 ', '""', '#'])(
    'echoes MSH-10 %j byte for byte',
    (id) => {
      const asked = header(`MSH|^~\\&|A|B|||2024||ADT^A01|${id}|P|2.5\r`);
      const [text = ''] = answers(asked, { outcome: 'accepted' });
      expect(text.split('\r')[1]).toBe(`MSA|AA|${id}`);
    },
  );

  it('uses the delimiters of the sender', () => {
    const asked = header('MSH#*!%@#A*1#B###2024##ADT*A01#7#P#2.5\r');
    const errors = [{ ...ERROR, text: 'a#b*c' }];
    expect(answers(asked, { outcome: 'error', errors })).toEqual([
      'MSH#*!%@###A*1#B#20260203040506.789+0000##ACK*A01*ACK#C1#P#2.5\r' +
        'MSA#AE#7#a%F%b%S%c\r' +
        'ERR##PID*1*3*2*4*2#101*Required field missing*HL70357#E####a%F%b%S%c\r',
    ]);
  });

  it.each([
    ['2.1', 'ACK'],
    ['2.2', 'ACK^A01'],
    ['2.3', 'ACK^A01'],
    ['2.3.1', 'ACK^A01^ACK'],
    ['2.8', 'ACK^A01^ACK'],
    ['', 'ACK^A01^ACK'],
  ])('of version %j has the type %s', (version, type) => {
    const [text = ''] = answers(asking('', '', version), { outcome: 'accepted' });
    expect(text.split('|')[8]).toBe(type);
  });

  it.each([
    ['PID', 'PID^1'],
    ['OBX[2]-5', 'OBX^3^5^1'],
    ['PID-3.1', 'PID^1^3^1^1'],
    ['somewhere', ''],
  ])('places %s in ERR-2 as %s', (at, location) => {
    const errors = [{ ...ERROR, at }];
    const [text = ''] = answers(asking('', ''), { outcome: 'error', errors });
    expect(text.split('\r')[2]?.split('|')[2]).toBe(location);
  });

  it('uses ERR-1 before version 2.5, and no MSA-3 from 2.7', () => {
    const verdict: Verdict = { outcome: 'error', errors: [ERROR, { ...ERROR, at: 'OBX[1]' }] };
    const [old = ''] = answers(asking('', '', '2.4'), verdict);
    expect(old.split('\r').slice(1, 3)).toEqual([
      'MSA|AE|ID1|It is missing.',
      'ERR|PID^1^3^101&Required field missing&HL70357~OBX^2^^101&Required field missing&HL70357',
    ]);
    const [recent = ''] = answers(asking('', '', '2.7'), verdict);
    expect(recent.split('\r')[1]).toBe('MSA|AE|ID1');
    expect(recent.split('\r').filter((line) => line.startsWith('ERR')).length).toBe(2);
  });

  it('is AR with an empty MSA-2 where there is no header', () => {
    const errors = [{ ...ERROR, at: 'MSH', code: 100 }];
    expect(answers(undefined, { outcome: 'error', errors })).toEqual([
      'MSH|^~\\&|||||20260203040506.789+0000||ACK|C1|P|2.5.1\r' +
        'MSA|AR||It is missing.\r' +
        'ERR||MSH^1|100^Segment sequence error^HL70357|E||||It is missing.\r',
    ]);
  });

  it('holds at most twenty errors and only printable ASCII of its own', () => {
    const errors = Array.from({ length: 50 }, () => ({ ...ERROR, text: 'é\rMSH|' }));
    const [text = ''] = answers(asking('', ''), { outcome: 'error', errors });
    const lines = text.split('\r').filter((line) => line !== '');
    expect(lines.length).toBe(22);
    expect(lines[2]).toContain('???MSH\\F\\'.slice(1));
  });

  it('takes the table 0357 code of an issue', () => {
    const issue = { severity: 'error', code: 'required', at: 'PID-3', text: 'x' } as const;
    expect(ackErrorOf(issue)).toEqual({ at: 'PID-3', severity: 'error', code: 101, text: 'x' });
    expect(ackErrorOf(issue, 205).code).toBe(205);
    expect(ackErrorOf({ ...issue, code: 'processing' }).code).toBe(207);
  });
});
