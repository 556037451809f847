// Acknowledgements: original mode (AA AE AR) and enhanced mode (CA CE CR, then AA AE AR), HL7
// v2.5.1 section 2.9. Pure: the same header, verdict and context give the same bytes.
import type { Issue } from '../model/issue.ts';
import { tableOf } from '../model/table.ts';
import type { Delimiters } from './delimiters.ts';
import { DEFAULT_DELIMITERS } from './delimiters.ts';
import type { Header } from './header.ts';
import type { Path } from './path.ts';
import { parsePath } from './path.ts';

export interface AckError {
  /** A place as in path.ts, or '' where it is about the message. */
  at: string;
  severity: Issue['severity'];
  /** ERR-3, HL7 table 0357. */
  code: number;
  /** One sentence without patient data. */
  text: string;
}

export interface Verdict {
  /** `error` may be mended and sent again (AE, CE), `rejected` is not for us (AR, CR). */
  outcome: 'accepted' | 'error' | 'rejected';
  errors?: readonly AckError[];
  /** Default `both`. `accept` leaves the application's answer for later, `application` is that. */
  stage?: 'both' | 'accept' | 'application';
}

export interface AckContext {
  /** ISO 8601 instant in UTC with milliseconds: MSH-7 of the answer. */
  receivedAt: string;
  /** MSH-10 of the answer; a second answer to the same message has an `A` behind it. */
  controlId: string;
}

export interface Acks {
  /** CA, CE or CR. */
  accept?: Uint8Array;
  /** AA, AE or AR. */
  application?: Uint8Array;
  /** Why there is no answer at all. */
  silent?: 'acknowledgement' | 'not-wanted';
}

/**
 * At most one answer of each kind, to be sent in the order accept, application; nothing where the
 * sender wants nothing (MSH-15, MSH-16) or where the message is itself an acknowledgement. Without
 * a header: an AR with an empty MSA-2.
 */
export function acksFor(header: Header | undefined, verdict: Verdict, context: AckContext): Acks {
  if (header === undefined) {
    const rejected: Verdict = { ...verdict, outcome: 'rejected' };
    return { application: writeAck(UNREADABLE, 'AR', rejected, context) };
  }
  if (header.isAcknowledgement) return { silent: 'acknowledgement' };
  const { accept, application } = chooseCodes(header, verdict);
  if (accept === undefined && application === undefined) return { silent: 'not-wanted' };
  const enhanced = isEnhanced(header);
  const acks: Acks = {};
  if (accept !== undefined) acks.accept = writeAck(header, accept, verdict, context);
  if (application !== undefined) {
    const controlId = enhanced ? `${context.controlId}A` : context.controlId;
    const own = { ...context, controlId };
    acks.application = writeAck(header, application, verdict, own, enhanced);
  }
  return acks;
}

/** The answers in the order in which they are sent. */
export function ackFrames(acks: Acks): Uint8Array[] {
  return [acks.accept, acks.application].filter((frame) => frame !== undefined);
}

/** True when MSH-15 or MSH-16 is given: the sender uses enhanced mode. */
export function isEnhanced(header: Pick<Header, 'acceptAck' | 'applicationAck'>): boolean {
  return header.acceptAck !== '' || header.applicationAck !== '';
}

/** An issue in the terms of ERR; `code` overrides the table 0357 code that its kind has. */
export function ackErrorOf(issue: Issue, code?: number): AckError {
  const { at, severity, text } = issue;
  return { at, severity, code: code ?? CODE_OF_ISSUE[issue.code] ?? 207, text };
}

const CODE_OF_ISSUE: Partial<Record<Issue['code'], number>> = tableOf({
  structure: 100,
  required: 101,
  value: 102,
  'code-invalid': 103,
  'too-long': 104,
  'not-supported': 200,
  'not-found': 204,
  duplicate: 205,
  conflict: 206,
});

/** HL7 table 0357. */
const TABLE_0357: Record<number, string> = tableOf({
  0: 'Message accepted',
  100: 'Segment sequence error',
  101: 'Required field missing',
  102: 'Data type error',
  103: 'Table value not found',
  104: 'Value too long',
  200: 'Unsupported message type',
  201: 'Unsupported event code',
  202: 'Unsupported processing id',
  203: 'Unsupported version id',
  204: 'Unknown key identifier',
  205: 'Duplicate key identifier',
  206: 'Application record locked',
  207: 'Application internal error',
});

const ERRORS_MAX = 20;

type Asked = Pick<Header, 'delimiters' | 'event' | 'version' | 'echo'>;

const UNREADABLE: Asked = { delimiters: DEFAULT_DELIMITERS, event: '', version: '2.5.1', echo: [] };

const ORIGINAL = tableOf({ accepted: 'AA', error: 'AE', rejected: 'AR' } as const);
const ACCEPT = tableOf({ accepted: 'CA', error: 'CE', rejected: 'CR' } as const);

function chooseCodes(header: Header, verdict: Verdict): { accept?: string; application?: string } {
  const { outcome, stage = 'both' } = verdict;
  if (!isEnhanced(header)) {
    return stage === 'accept' ? {} : { application: ORIGINAL[outcome] };
  }
  const success = outcome === 'accepted';
  const wantsAccept = stage !== 'application' && isWanted(header.acceptAck, success);
  const wantsApplication = stage !== 'accept' && isWanted(header.applicationAck, success);
  // Section 2.9.3: after CE or CR the message was not taken, so no application answer follows.
  const refused = wantsAccept && !success;
  return {
    ...(wantsAccept ? { accept: ACCEPT[outcome] } : {}),
    ...(wantsApplication && !refused ? { application: ORIGINAL[outcome] } : {}),
  };
}

/** HL7 table 0155. An unknown condition is read as AL: an answer too many can be seen. */
function isWanted(condition: string, success: boolean): boolean {
  switch (condition.toUpperCase()) {
    case '':
    case 'NE':
      return false;
    case 'ER':
      return !success;
    case 'SU':
      return success;
    default:
      return true;
  }
}

function writeAck(
  asked: Asked,
  code: string,
  verdict: Verdict,
  context: AckContext,
  application = false,
): Uint8Array {
  const { delimiters, echo } = asked;
  const errors = (verdict.errors ?? []).slice(0, ERRORS_MAX);
  const fields = [
    `MSH${delimiters.field}${echo[2] ?? '^~\\&'}`,
    ...[echo[5], echo[6], echo[3], echo[4]],
    `${context.receivedAt.replace(/[-:TZ]/g, '')}+0000`,
    '',
    messageType(asked),
    plain(context.controlId, delimiters),
    echo[11] || 'P',
    echo[12] || '2.5.1',
    ...['', '', application ? 'NE' : '', application ? 'NE' : '', ''],
    echo[18],
  ];
  const lines = [joinFields(fields, delimiters), msaLine(asked, code, errors)];
  return Buffer.from(`${[...lines, ...errLines(asked, errors)].join('\r')}\r`, 'latin1');
}

/** The structure (component 3) came with v2.3.1, the event in an ACK with v2.2. */
function messageType(asked: Asked): string {
  const separator = asked.delimiters.component;
  const event = asked.echo[9]?.split(separator)[1] ?? '';
  if (event === '' || isBefore(asked.version, '2.2')) return 'ACK';
  const type = `ACK${separator}${event}`;
  return isBefore(asked.version, '2.3.1') ? type : `${type}${separator}ACK`;
}

function msaLine(asked: Asked, code: string, errors: readonly AckError[]): string {
  const { delimiters, version } = asked;
  // MSA-3 was withdrawn in v2.7 in favour of ERR.
  const text = isBefore(version, '2.7') ? plain(errors[0]?.text ?? '', delimiters) : '';
  return joinFields(['MSA', code, asked.echo[10] ?? '', text], delimiters, 3);
}

function errLines(asked: Asked, errors: readonly AckError[]): string[] {
  if (errors.length === 0) return [];
  const { delimiters } = asked;
  if (isBefore(asked.version, '2.5')) {
    const repeat = delimiters.repetition;
    const shown = repeat === '' ? errors.slice(0, 1) : errors;
    const list = shown.map((error) => oldLocation(error, delimiters)).join(repeat);
    return [joinFields(['ERR', list], delimiters)];
  }
  return errors.map((error) => errLine(error, delimiters));
}

/** ERR of v2.5 and later: ERR-2 location (ERL), 3 code, 4 severity, 7 diagnostic, 8 for users. */
function errLine(error: AckError, delimiters: Delimiters): string {
  const { component } = delimiters;
  const code = [String(error.code), TABLE_0357[error.code] ?? '', 'HL70357'].join(component);
  const severity = { error: 'E', warning: 'W', information: 'I' }[error.severity];
  const path = parsePath(error.at);
  const place = path === undefined ? plain(error.at, delimiters) : '';
  const location = path === undefined ? '' : erl(path, component);
  const text = plain(error.text, delimiters);
  return joinFields(['ERR', '', location, code, severity, '', '', place, text], delimiters);
}

/** ERL: segment, its sequence, field, repetition, component, subcomponent; all count from 1. */
function erl(path: Path, component: string): string {
  const { segment, occurrence, field, repetition = 0 } = path;
  const parts = [segment, occurrence + 1, field, field > 0 ? repetition + 1 : 0];
  const numbers = [...parts, path.component, path.subcomponent];
  while (numbers.at(-1) === 0) numbers.pop();
  return numbers.map(String).join(component);
}

/** ELD, ERR-1 before v2.5: segment, sequence, field, code. */
function oldLocation(error: AckError, delimiters: Delimiters): string {
  const path = parsePath(error.at);
  const { subcomponent } = delimiters;
  const code = [String(error.code), TABLE_0357[error.code] ?? '', 'HL70357'];
  const coded = subcomponent === '' ? String(error.code) : code.join(subcomponent);
  const place = path === undefined ? ['', '', ''] : [path.segment, path.occurrence + 1, path.field];
  return [...place.map((part) => (part === 0 ? '' : String(part))), coded].join(
    delimiters.component,
  );
}

/** Own text: printable ASCII, delimiters escaped, or blanked where there is no escape character. */
function plain(text: string, delimiters: Delimiters): string {
  const { field, component, repetition, subcomponent } = delimiters;
  const names = new Map([
    [field, 'F'],
    [component, 'S'],
    [repetition, 'R'],
    [subcomponent, 'T'],
    [delimiters.escape, 'E'],
  ]);
  let out = '';
  for (const character of text.slice(0, 500)) {
    const name = names.get(character);
    if (name === undefined) out += /[\x20-\x7e]/.test(character) ? character : '?';
    else out += delimiters.escape === '' ? ' ' : delimiters.escape + name + delimiters.escape;
  }
  return out;
}

function joinFields(fields: (string | undefined)[], delimiters: Delimiters, least = 1): string {
  const kept = fields.map((field) => field ?? '');
  while (kept.length > least && kept.at(-1) === '') kept.pop();
  return kept.join(delimiters.field);
}

/** Compares `2.3.1` and `2.5` by their numbers; an unreadable version is before nothing. */
function isBefore(version: string, other: string): boolean {
  if (!/^\d+(\.\d+)*$/.test(version)) return false;
  const [left, right] = [version, other].map((text) => text.split('.').map(Number));
  for (let i = 0; i < 3; i++) {
    const difference = (left?.[i] ?? 0) - (right?.[i] ?? 0);
    if (difference !== 0) return difference < 0;
  }
  return false;
}
