// The first look at what arrived: cuts it into messages and gives each its envelope and a verdict,
// without parsing it whole. What is stored and answered is decided by flow/receive.ts.

import { numberText, parseJson } from '../fhir/json.ts';
import { splitBatch } from '../hl7/batch.ts';
import { type Header, readHeader } from '../hl7/header.ts';
import { isNoise } from '../hl7/noise.ts';
import { type Path, parsePath } from '../hl7/path.ts';
import type { Channel } from '../model/channel.ts';
import { toEngineError } from '../model/errors.ts';
import { hasErrors, type Issue, type IssueCode } from '../model/issue.ts';
import type { Envelope } from '../model/message.ts';
import type { Resource } from '../model/resource.ts';
import { tooManyEntries } from './fhir.ts';

export { isNoise };

export interface IntakeContext {
  channel: Channel;
  /** ISO 8601 instant in UTC with milliseconds. */
  receivedAt: string;
  /** Makes the UUIDv7 of each message. */
  newId(): string;
  /** Principal id; the sender where the message itself names none. */
  sender: string;
  /** Idempotency-Key header, '' = none. */
  idempotencyKey: string;
  /** Findings about a JSON record by the channel's schema. */
  checkRecord(record: unknown): Issue[];
  /** Whether a map serves `ADT^A01` on the channel; absent or undefined = not known. */
  serves?(channel: Channel, type: string): Served | undefined;
  limits: IntakeLimits;
}

export interface IntakeLimits {
  batchMessagesMax: number;
  jsonDepthMax: number;
  segmentsMax: number;
  bundleEntriesMax: number;
}

/** `broken`: there is a map, and it was refused for its faults. */
export type Served = 'yes' | 'no' | 'broken';

export interface IntakeItem {
  envelope: Envelope;
  raw: Uint8Array;
  /** `error`: can be mended and sent again (AE, 422); `rejected`: is not for us (AR, 400). */
  verdict: 'accepted' | 'error' | 'rejected';
  issues: Issue[];
  /** Accepted by the answer, but kept set aside until an operator replays it. */
  held?: true;
  /** hl7v2 only; absent when there is no readable MSH. */
  header?: Header;
}

/** Never throws; bytes that hold no message at all give one rejected item, so nothing is lost. */
export function readIntake(bytes: Uint8Array, context: IntakeContext): IntakeItem[] {
  if (context.channel.format === 'hl7v2') return readHl7(bytes, context);
  return [readJson(bytes, context)];
}

// ---- HL7 v2

function readHl7(bytes: Uint8Array, context: IntakeContext): IntakeItem[] {
  const batch = splitBatch(bytes);
  const { batchMessagesMax } = context.limits;
  if (batch.messages.length === 0 || batch.messages.length > batchMessagesMax) {
    const text = `There are ${batch.messages.length} messages; 1 to ${batchMessagesMax} are taken.`;
    const issues = [...batch.issues, errorIssue('MSH', 'structure', text)];
    const envelope = envelopeOf(context, { sender: context.sender, controlId: '', type: '' });
    return [{ envelope, raw: bytes, verdict: 'rejected', issues }];
  }
  const orderBy = parsePath(context.channel.orderBy);
  return batch.messages.map(({ start, end }, index) => {
    const item = readHl7Message(bytes.subarray(start, end), orderBy, context);
    if (index > 0 || batch.issues.length === 0) return item;
    const envelope = { ...item.envelope, batch: batch.issues };
    return { ...item, envelope, issues: [...batch.issues, ...item.issues] };
  });
}

function readHl7Message(
  raw: Uint8Array,
  orderBy: Path | undefined,
  context: IntakeContext,
): IntakeItem {
  const { charset } = context.channel;
  const { header, issues } = readHeader(raw, { charset, ...(orderBy ? { orderBy } : {}) });
  if (header === undefined) {
    const envelope = envelopeOf(context, { sender: context.sender, controlId: '', type: '' });
    return { envelope, raw, verdict: 'rejected', issues };
  }
  const envelope = envelopeOf(context, header);
  const refusal = refusalOf(header, context) ?? tooLong(raw, context.limits.segmentsMax);
  if (refusal === undefined && !hasErrors(issues)) {
    const hold = processingIssue(header, context.channel);
    if (hold !== undefined) {
      const found = [...issues, hold];
      if (context.channel.otherProcessing === 'set-aside') {
        return { envelope, raw, header, verdict: 'accepted', held: true, issues: found };
      }
      return { envelope, raw, header, verdict: 'rejected', issues: found };
    }
  }
  return {
    envelope,
    raw,
    header,
    verdict: refusal?.verdict ?? (hasErrors(issues) ? 'error' : 'accepted'),
    issues: refusal ? [...issues, refusal.issue] : issues,
  };
}

type Refusal = { verdict: 'error' | 'rejected'; issue: Issue };

/** Lines are counted in the bytes: a segment has at least three and its end. */
function tooLong(raw: Uint8Array, segmentsMax: number): Refusal | undefined {
  if (raw.length <= 2 * segmentsMax) return undefined;
  // Beside CR a lone LF may be data: what is not counted here is counted by the pipeline.
  const end = raw.includes(CR) ? CR : LF;
  let count = 0;
  let inLine = false;
  for (const byte of raw) {
    if (byte === CR || byte === LF) inLine = inLine && byte !== end;
    else if (!inLine) {
      inLine = true;
      count += 1;
    }
  }
  if (count <= segmentsMax) return undefined;
  const text = `The message has more than ${segmentsMax} segments (segmentsMax).`;
  return { verdict: 'rejected', issue: errorIssue('MSH', 'too-long', text) };
}

const CR = 0x0d;
const LF = 0x0a;

/** What the header alone shows: type, version and processing id (HL7 v2.5.1 section 2.9.2.1). */
function refusalOf(header: Header, context: IntakeContext): Refusal | undefined {
  const { channel } = context;
  const reject = (at: string, code: IssueCode, text: string): Refusal => ({
    verdict: 'rejected',
    issue: errorIssue(at, code, text),
  });
  if (header.isAcknowledgement) {
    return reject('MSH-9', 'not-supported', 'An acknowledgement was sent where messages come in.');
  }
  if (!/^v?2(\.\d+)*$/i.test(header.version) && header.version !== '') {
    return reject('MSH-12', 'not-supported', 'The version is not one of HL7 v2.');
  }
  if (!isAccepted(header, channel.accepts)) {
    return reject('MSH-9', 'not-supported', 'This channel does not take messages of that type.');
  }
  const served = context.serves?.(channel, `${header.code}^${header.event}`) ?? 'yes';
  if (served === 'no') {
    return reject('MSH-9', 'not-supported', 'No message map serves this type of message.');
  }
  if (served === 'broken') {
    const text = 'The message map of this type has a fault; the operator must mend the mappings.';
    return { verdict: 'error', issue: errorIssue('', 'processing', text) };
  }
  if (header.controlId === '') {
    const text = 'A control id is required: without it a repeated message cannot be told.';
    return { verdict: 'error', issue: errorIssue('MSH-10', 'required', text) };
  }
  return undefined;
}

/** MSH-11.1 tells test and training data from production data (HL7 table 0103). */
function processingIssue(header: Header, channel: Channel): Issue | undefined {
  if (channel.processingIds.includes(header.processingId || 'P')) return undefined;
  const text = `This channel takes processing id ${channel.processingIds.join(', ')} only.`;
  return errorIssue('MSH-11', 'not-supported', text);
}

function isAccepted(header: Header, accepts: readonly string[]): boolean {
  if (accepts.length === 0) return true;
  return accepts.some((pattern) => {
    const [code, event] = pattern.split('^');
    return code === header.code && (event === undefined || event === '*' || event === header.event);
  });
}

// ---- FHIR and JSON records

function readJson(bytes: Uint8Array, context: IntakeContext): IntakeItem {
  const parsed = tryParse(bytes, context.limits.jsonDepthMax);
  const base = { sender: context.sender, controlId: context.idempotencyKey, type: '' };
  if ('issue' in parsed) {
    const envelope = envelopeOf(context, base);
    return { envelope, raw: bytes, verdict: 'rejected', issues: [parsed.issue] };
  }
  const item =
    context.channel.format === 'fhir'
      ? readFhir(parsed.value, base, context.limits.bundleEntriesMax)
      : readRecord(parsed.value, base, context);
  return {
    envelope: envelopeOf(context, item.known),
    raw: bytes,
    verdict: hasErrors(item.issues) ? 'rejected' : 'accepted',
    issues: item.issues,
  };
}

type Known = Pick<Envelope, 'sender' | 'controlId' | 'type'> &
  Partial<Pick<Envelope, 'subject' | 'orderingKey'>>;

function readFhir(
  value: unknown,
  base: Known,
  entriesMax: number,
): { known: Known; issues: Issue[] } {
  const type = isObject(value) ? value.resourceType : undefined;
  if (!isObject(value) || typeof type !== 'string' || !/^[A-Z][A-Za-z]{1,63}$/.test(type)) {
    const text = 'A FHIR resource is expected: a JSON object with a resourceType.';
    return { known: base, issues: [errorIssue('resourceType', 'structure', text)] };
  }
  const tooMany = type === 'Bundle' ? tooManyEntries(value, entriesMax) : undefined;
  if (tooMany !== undefined) return { known: { ...base, type }, issues: [tooMany] };
  const resource = value as Resource;
  const identifier = isObject(resource.identifier) ? resource.identifier.value : undefined;
  const own = type === 'Bundle' && typeof identifier === 'string' ? identifier : '';
  const known = { ...base, type, controlId: base.controlId || own, ...subjectOf(resource) };
  return { known, issues: [] };
}

/** The first Patient's first identifier, as PID-3 would say it; else the patient referred to. */
function subjectOf(resource: Resource): Pick<Known, 'subject' | 'orderingKey'> {
  const resources = [resource, ...entryResources(resource)];
  for (const candidate of resources) {
    if (candidate.resourceType !== 'Patient' || !Array.isArray(candidate.identifier)) continue;
    const [first] = candidate.identifier as unknown[];
    if (!isObject(first) || typeof first.value !== 'string') continue;
    const system = typeof first.system === 'string' ? first.system : '';
    return { subject: `${system}|${first.value}`, orderingKey: first.value };
  }
  for (const candidate of resources) {
    const reference = candidate.subject ?? candidate.patient;
    if (isObject(reference) && typeof reference.reference === 'string') {
      return { orderingKey: reference.reference };
    }
  }
  return {};
}

function entryResources(resource: Resource): Resource[] {
  if (resource.resourceType !== 'Bundle' || !Array.isArray(resource.entry)) return [];
  return resource.entry.flatMap((entry: unknown) =>
    isObject(entry) && isObject(entry.resource) ? [entry.resource as Resource] : [],
  );
}

function readRecord(
  value: unknown,
  base: Known,
  context: IntakeContext,
): { known: Known; issues: Issue[] } {
  const { channel } = context;
  const known = { ...base, type: channel.record?.name ?? '' };
  const issues = context.checkRecord(value);
  const key = valueAt(value, channel.orderBy);
  if (key === '') return { known, issues };
  return {
    known: { ...known, orderingKey: key, subject: `urn:artery:channel:${channel.name}|${key}` },
    issues,
  };
}

/** JSON Pointer (RFC 6901) to a text or number; '' where there is none. */
function valueAt(value: unknown, pointer: string): string {
  let found = value;
  let written = '';
  for (const part of pointer.split('/').slice(1)) {
    const name = part.replaceAll('~1', '/').replaceAll('~0', '~');
    if (typeof found !== 'object' || found === null || !Object.hasOwn(found, name)) return '';
    const holder = found;
    found = (found as Record<string, unknown>)[name];
    // As a double, two long record numbers would be one.
    written = typeof found === 'number' ? numberText(holder, name) : '';
  }
  return typeof found === 'string' ? found : written;
}

function tryParse(bytes: Uint8Array, depthMax: number): { value: unknown } | { issue: Issue } {
  try {
    return {
      value: parseJson(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length), depthMax),
    };
  } catch (thrown) {
    return { issue: errorIssue('', 'structure', toEngineError(thrown).message) };
  }
}

function envelopeOf(context: IntakeContext, known: Known): Envelope {
  const { channel } = context;
  return {
    id: context.newId(),
    tenant: channel.tenant,
    channel: channel.name,
    format: channel.format,
    receivedAt: context.receivedAt,
    sender: known.sender,
    controlId: known.controlId,
    type: known.type,
    subject: known.subject ?? '',
    // Without a key of its own a message keeps the channel's order: slower, never wrong.
    orderingKey: known.orderingKey || `channel ${channel.name}`,
  };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function errorIssue(at: string, code: IssueCode, text: string): Issue {
  return { severity: 'error', code, at, text };
}
