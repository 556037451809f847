// The header peek, and that it agrees with the whole parser.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { businessKey } from '../../src/hl7/business-key.ts';
import { decodeMessage } from '../../src/hl7/charset.ts';
import { type HeaderOptions, readHeader } from '../../src/hl7/header.ts';
import { parseMessage } from '../../src/hl7/message.ts';
import { parsePath } from '../../src/hl7/path.ts';

const MSH = 'MSH|^~\\&|APP^1.2^ISO|FAC|RAPP|RFAC|20240101||ADT^A01^ADT_A01|ID1|P|2.5.1|||AL|NE';
const PID = 'PID|1||X1^^^HOSP&1.2.3&ISO^MR~X2||DOE';

function header(text: string, options?: HeaderOptions) {
  return readHeader(Buffer.from(text, 'utf8'), options);
}

describe('readHeader', () => {
  it('reads what intake needs', () => {
    expect(header(`${MSH}\r${PID}\r`).header).toMatchObject({
      sendingApplication: 'APP^1.2^ISO',
      sendingFacility: 'FAC',
      receivingApplication: 'RAPP',
      receivingFacility: 'RFAC',
      sender: 'APP^1.2^ISO|FAC',
      code: 'ADT',
      event: 'A01',
      structure: 'ADT_A01',
      type: 'ADT^A01^ADT_A01',
      controlId: 'ID1',
      processingId: 'P',
      version: '2.5.1',
      acceptAck: 'AL',
      applicationAck: 'NE',
      charset: '',
      subject: 'urn:oid:1.2.3|X1',
      orderingKey: 'X1',
      isAcknowledgement: false,
    });
  });

  it.each([
    ['LF', `${MSH}\nEVN|A01\n${PID}\n`],
    ['CRLF', `${MSH}\r\nEVN|A01\r\n${PID}\r\n`],
    ['BOM', `\ufeff${MSH}\r${PID}`],
    ['its frame', `\x0b${MSH}\x1c\r${PID}\x1c\r`],
    ['VT and blank lines', `\x0b\r\n${MSH}\r\r${PID}`],
    ['a trailer where a line begins', `${MSH}\r\x1c${PID}\x1c\r${PID.replace('X1', 'X9')}`],
    ['mixed ends', `${MSH}\rEVN|A01\n${PID}\r\n`],
    ['a segment before MSH', `ZZZ|1\r${MSH}\r${PID}\r`],
    ['own delimiters', `${MSH}\r${PID}`.replaceAll('|', '#').replaceAll('^', '!')],
    ['another charset', `${MSH}||ISO IR87\r${PID}`],
  ])('finds MSH and PID with %s', (_, text) => {
    expect(header(text).header).toMatchObject({
      controlId: 'ID1',
      type: 'ADT^A01^ADT_A01',
      subject: 'urn:oid:1.2.3|X1',
      orderingKey: 'X1',
    });
  });

  it.each([
    ['PID-3.1', 'X1'],
    ['PID-3[1]', 'X2'],
    ['PID-3.4.2', '1.2.3'],
    ['PID-5', 'DOE'],
    ['PID-18', ''],
    ['MSH-4', 'FAC'],
    ['PV1-19', 'V1'],
  ])('orders by %s', (place, key) => {
    const orderBy = parsePath(place);
    if (orderBy === undefined) throw new Error(place);
    expect(
      header(`${MSH}\r${PID}\rPV1||||||||||||||||||||\rPV1`, { orderBy }).header,
    ).toBeDefined();
    const text = `${MSH}\r${PID}\rPV1${'|'.repeat(19)}V1\r`;
    expect(header(text, { orderBy }).header?.orderingKey).toBe(key);
  });

  it('decodes keys by the charset of the message', () => {
    const text = `${MSH}||8859/1\rPID|1||\xfc1^^^H\xf6f\r`;
    const { header: read } = readHeader(Buffer.from(text, 'latin1'));
    expect(read).toMatchObject({ subject: 'Höf|ü1', orderingKey: 'ü1' });
    expect(readHeader(Buffer.from(text.replace('8859/1', ''), 'utf8')).header).toMatchObject({
      subject: 'Höf|ü1',
    });
  });

  it('keeps the bytes of MSH for the echo', () => {
    const text = MSH.replace('ID1', 'I\xe9\xff').replace('FAC', 'F\xc3\xa9');
    const { header: read } = readHeader(Buffer.from(text, 'latin1'));
    expect(read?.echo[10]).toBe('I\xe9\xff');
    expect(read?.echo[4]).toBe('F\xc3\xa9');
    expect(read?.echo[1]).toBe('|');
    expect(read?.echo[2]).toBe('^~\\&');
  });

  it('knows an acknowledgement', () => {
    const ack = MSH.replace('ADT^A01^ADT_A01', 'ACK^A01');
    expect(header(`${ack}\rMSA|AA|1\r`).header?.isAcknowledgement).toBe(true);
    expect(header(`${MSH}\rSFT|x\rMSA|AA|1\r`).header?.isAcknowledgement).toBe(true);
    expect(header(`${MSH}\n${PID}\nMSA|AA|1\n`).header?.isAcknowledgement).toBe(false);
  });

  it.each([
    ['', 'MSH'],
    ['PID|1\r', 'MSH'],
    ['MSH', 'MSH'],
    ['MSH||A', 'MSH-2'],
    ['MSH|^~\\&|A|B|||2024||ADT^A01|I\x1c|P|2.5\r', 'MSH'],
    ['MSH|^^^^|A', 'MSH-2'],
    ['MSH|é~\\&|A', 'MSH-2'],
    [`MSH|^~\\&|${'|'.repeat(70_000)}`, 'MSH'],
  ])('gives no header and an issue for %.20j', (text, at) => {
    const { header: read, issues } = header(text);
    expect(read).toBeUndefined();
    expect(issues).toMatchObject([{ severity: 'error', at }]);
  });

  it('reports a missing control id and a missing type', () => {
    const { issues } = header('MSH|^~\\&|A|B|C|D|2024||||P|2.5\r');
    expect(issues.map((issue) => issue.at)).toEqual(['MSH-10', 'MSH-9']);
  });
});

describe('the business key', () => {
  it.each([
    ['X^^^H&1.2&ISO', 'urn:oid:1.2|X'],
    ['X^^^H&1.2', 'urn:oid:1.2|X'],
    ['X^^^&urn:oid:1.2&ISO', 'urn:oid:1.2|X'],
    ['X^^^H&h.example&DNS', 'h.example|X'],
    ['X^^^H', 'H|X'],
    ['X', '|X'],
    ['^^^H', ''],
    ['""', ''],
    ['', ''],
  ])('of %j is %j', (cx, key) => {
    const segment = parseMessage(`${MSH}\rPID|||${cx}`).first('PID');
    expect(segment && businessKey(segment.field(3).repetition(0))).toBe(key);
    expect(header(`${MSH}\rPID|||${cx}`).header?.subject).toBe(key);
  });

  it('is the same for the peek and the parser, whatever the bytes are', () => {
    const bit = fc.constantFrom(
      '\x1c',
      '\x0b',
      ' ',
      'PID|1||X^^^H',
      'PV1|1',
      'x',
      '\n',
      '\r',
      '\r\n',
      '~',
      '&1.2',
      'ü',
      '\xff',
    );
    const charset = fc.constantFrom('', 'UNICODE UTF-8', '8859/1', 'ASCII', 'ISO IR87', '8859/2');
    const orderBy = parsePath('PID-3.4');
    if (orderBy === undefined) throw new Error('no path');
    fc.assert(
      fc.property(
        fc.array(bit, { maxLength: 12 }),
        charset,
        fc.boolean(),
        (bits, declared, utf8) => {
          const text = `${MSH}||${declared}\r${bits.join('')}`;
          const bytes = Buffer.from(text, utf8 ? 'utf8' : 'latin1');
          const message = parseMessage(decodeMessage(bytes).text);
          const cx = message.first('PID')?.field(3).repetition(0);
          expect(readHeader(bytes, { orderBy }).header).toMatchObject({
            subject: cx === undefined ? '' : businessKey(cx),
            orderingKey: message.at(orderBy).text,
          });
        },
      ),
      { numRuns: 2000 },
    );
  });
});
