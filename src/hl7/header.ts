// A cheap look at the raw bytes of one message: what intake needs to store, order and acknowledge
// it, without parsing it whole.
import type { Issue } from '../model/issue.ts';
import { businessKey } from './business-key.ts';
import { decodeAs, isTransparent } from './charset.ts';
import type { Delimiters } from './delimiters.ts';
import { readDelimiters } from './delimiters.ts';
import { parseMessage, Segment } from './message.ts';
import type { PeekedMsh } from './msh.ts';
import { findLineEnd, peekMsh } from './msh.ts';
import type { Path } from './path.ts';
import { issueAt } from './path.ts';

/** Texts are decoded; MSH-3 to 6 keep their components as received. It may hold patient data. */
export interface Header {
  delimiters: Delimiters;
  sendingApplication: string;
  sendingFacility: string;
  receivingApplication: string;
  receivingFacility: string;
  /** MSH-7 as received. */
  time: string;
  /** MSH-9: message code, trigger event, structure. */
  code: string;
  event: string;
  structure: string;
  /** MSH-9 with `^` whatever the delimiters are: `ADT^A01^ADT_A01`. */
  type: string;
  /** MSH-10 whole, escapes and all; '' = none. */
  controlId: string;
  /** MSH-11.1: P, T or D. */
  processingId: string;
  /** MSH-12.1: `2.5.1`. */
  version: string;
  /** MSH-15 and MSH-16: AL, NE, ER, SU; '' = not given. */
  acceptAck: string;
  applicationAck: string;
  /** MSH-18 as received, repetitions included. */
  charset: string;
  /** `application|facility`, MSH-3 and MSH-4. */
  sender: string;
  /** Business key of PID-3's first repetition; '' = none. */
  subject: string;
  /** Text at `orderBy`; '' = none. */
  orderingKey: string;
  /** MSH-9.1 is ACK or the message carries an MSA: it must never be acknowledged. */
  isAcknowledgement: boolean;
  /** MSH fields byte for byte, one latin1 character a byte; echo[n] is MSH-n, echo[0] is `MSH`. */
  echo: readonly string[];
}

export interface HeaderOptions {
  /** Field that orders messages; default PID-3.1. */
  orderBy?: Path;
  /** Table 0211 name for messages whose MSH-18 is empty. */
  charset?: string;
}

/**
 * Reads the header of one message. No header = it cannot be acknowledged as asked (no MSH, or
 * delimiters that cannot be used); the issues say why.
 */
export function readHeader(
  bytes: Uint8Array,
  options: HeaderOptions = {},
): { header?: Header; issues: Issue[] } {
  const msh = peekMsh(bytes);
  if (msh === undefined) {
    return { issues: [issueAt('MSH', 'error', 'structure', 'There is no readable MSH segment.')] };
  }
  const { delimiters, issues } = readDelimiters(msh.text);
  if (!/^[\x21-\x7e]*$/.test(msh.text.slice(3, 9).split(delimiters.field, 2).join(''))) {
    issues.push(issueAt('MSH-2', 'error', 'structure', 'Delimiters must be ASCII characters.'));
  }
  if (/[\x0b\x1c]/.test(msh.text)) {
    // Echoed in an answer they would break its frame.
    issues.push(issueAt('MSH', 'error', 'value', 'VT and FS must not stand in MSH.'));
  }
  if (issues.some((issue) => issue.severity === 'error')) return { issues };
  const header = readFields(bytes, msh, delimiters, options);
  if (header.controlId === '') {
    issues.push(issueAt('MSH-10', 'warning', 'required', 'The message has no control id.'));
  }
  if (header.code === '') {
    issues.push(issueAt('MSH-9', 'error', 'required', 'The message has no type.'));
  }
  return { header, issues };
}

const ORDER_BY: Path = {
  segment: 'PID',
  occurrence: 0,
  field: 3,
  repetition: undefined,
  component: 1,
  subcomponent: 0,
};

function readFields(
  bytes: Uint8Array,
  msh: PeekedMsh,
  delimiters: Delimiters,
  options: HeaderOptions,
): Header {
  const charset = msh.fields[17] ?? '';
  const fallback = options.charset ?? 'UNICODE UTF-8';
  const ascii = !/[\x80-\xff]/.test(msh.text) && isTransparent(charset, fallback);
  const text = ascii ? msh.text : decodeMsh(bytes, charset, fallback);
  const segment = new Segment('MSH', 0, text, '', delimiters);
  const raw = (n: number) => segment.field(n).raw;
  const [code = '', event = '', structure = ''] = [1, 2, 3].map((n) => segment.text(9, n).trim());
  return {
    delimiters,
    sendingApplication: raw(3),
    sendingFacility: raw(4),
    receivingApplication: raw(5),
    receivingFacility: raw(6),
    time: segment.text(7),
    code,
    event,
    structure,
    type: [code, event, structure].join('^').replace(/\^+$/, ''),
    controlId: raw(10),
    processingId: segment.text(11).trim(),
    version: segment.text(12).trim(),
    acceptAck: segment.text(15).trim(),
    applicationAck: segment.text(16).trim(),
    charset,
    sender: `${raw(3)}|${raw(4)}`,
    ...readKeys(bytes, msh, delimiters, charset, options),
    isAcknowledgement: code === 'ACK' || isAnswer(bytes, msh.end),
    echo: ['MSH', delimiters.field, ...msh.fields.slice(1)],
  };
}

function decodeMsh(bytes: Uint8Array, charset: string, fallback: string): string {
  const { text } = decodeAs(bytes, charset, fallback);
  return parseMessage(text).first('MSH')?.raw ?? '';
}

type Keys = Pick<Header, 'subject' | 'orderingKey'>;

function readKeys(
  bytes: Uint8Array,
  msh: PeekedMsh,
  delimiters: Delimiters,
  charset: string,
  options: HeaderOptions,
): Keys {
  const orderBy = options.orderBy ?? ORDER_BY;
  const fallback = options.charset ?? 'UNICODE UTF-8';
  if (orderBy.segment === 'PID' && orderBy.occurrence === 0 && isTransparent(charset, fallback)) {
    const pid = peekPid(bytes, msh.end, delimiters);
    const keys = pid && keysOf(pid, orderBy);
    if (keys !== undefined) return keys;
  }
  // The slow and always right way: no PID in the usual place, other charsets, non-ASCII keys.
  const message = parseMessage(decodeAs(bytes, charset, fallback).text);
  const subject = message.first('PID')?.field(3).repetition(0);
  return {
    subject: subject === undefined ? '' : businessKey(subject),
    orderingKey: message.at(orderBy).text,
  };
}

/** Keys of a PID seen as latin1; undefined when one of them is not ASCII and must be decoded. */
function keysOf(pid: Segment, orderBy: Path): Keys | undefined {
  const subject = pid.field(3).repetition(0);
  const order = pid.at(orderBy);
  if (/[\x80-\xff]/.test(subject.raw) || /[\x80-\xff]/.test(order.raw)) return undefined;
  return { subject: businessKey(subject), orderingKey: order.text };
}

/** The first PID, where it begins right after a line end like that of MSH; else undefined. */
function peekPid(bytes: Uint8Array, from: number, delimiters: Delimiters): Segment | undefined {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const start = buffer.indexOf(`PID${delimiters.field}`, from, 'latin1');
  if (start < 0) return undefined;
  const linesEndWithLf = buffer[from] === 10;
  const before = buffer[start - 1];
  const isLine = before === 13 || (before === 10 && (linesEndWithLf || buffer[start - 2] === 13));
  const end = findLineEnd(buffer, start);
  if (!isLine || end - start > PID_BYTES_MAX) return undefined;
  // A lone LF may be data there.
  if (!linesEndWithLf && buffer[end] === 10) return undefined;
  return new Segment('PID', 0, buffer.toString('latin1', start, end), '', delimiters);
}

/** A longer one goes the slow way, which has limits of its own. */
const PID_BYTES_MAX = 65_536;

/** An MSA follows MSH (and SFT, UAC): the message answers another one. */
function isAnswer(bytes: Uint8Array, from: number): boolean {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = from, lines = 0; lines < 10; lines++) {
    while (buffer[at] === 13 || buffer[at] === 10) at++;
    const name = buffer.toString('latin1', at, at + 3);
    if (name !== 'SFT' && name !== 'UAC') return name === 'MSA';
    at = findLineEnd(buffer, at);
  }
  return false;
}
