// The first half of the trip: source -> intake -> ACK -> queue. A positive answer leaves only after
// the durable write. What arrives is cut, sealed and stored here; it is understood in work.ts.
import type { Channel } from '../model/channel.ts';
import { type ErrorCode, toEngineError } from '../model/errors.ts';
import type { Issue } from '../model/issue.ts';
import type { Principal } from '../model/principal.ts';
import { tableOf } from '../model/table.ts';
import {
  acknowledgeHl7,
  answerJson,
  expectsApplicationAnswer,
  peekBatchHeader,
  type Ruling,
  readHeader,
  shortName,
  writeBatchAnswer,
} from '../pipeline/acknowledge.ts';
import {
  type IntakeContext,
  type IntakeItem,
  type IntakeLimits,
  isNoise,
  readIntake,
} from '../pipeline/intake.ts';
import type { Queue } from '../queue/port.ts';
import { acceptMessages, type Receipt } from '../record/accept.ts';
import type { ClinicalRecord } from '../record/context.ts';
import { countNoise } from '../record/denials.ts';
import { replayMessage } from '../record/replay.ts';
import type { Answer, Receive, Received } from '../source/port.ts';
import type { Telemetry } from '../telemetry/events.ts';
import { placesOf } from '../telemetry/fields.ts';
import { type Accept, acceptInOrder } from './arrival-order.ts';
import type { Finished } from './desk.ts';

export interface ReceiveOptions {
  record: ClinicalRecord;
  queue: Pick<Queue, 'wake'>;
  telemetry: Telemetry;
  channel(name: string): Channel | undefined;
  /** UUIDv7 of a moment (ms since the epoch). */
  newId(at: number): string;
  checkRecord(channel: Channel, record: unknown): Issue[];
  /** Accepted messages that wait, as far as this process knows. */
  waiting(): number;
  /** Resolves when the message reached its end; undefined when that took too long. */
  finished(id: string): Promise<Finished | undefined>;
  serves?: IntakeContext['serves'];
  limits: IntakeLimits & { waitingMax: number };
}

type Storing = ReceiveOptions & { accept: Accept };

/** What every source calls. It never rejects: whatever goes wrong is an answer. */
export function createReceive(options: ReceiveOptions): Receive {
  const accept = acceptInOrder((principal, items) =>
    acceptMessages(options.record, principal, items),
  );
  const storing: Storing = { ...options, accept };
  return async (received) => {
    const begun = performance.now();
    const channel = options.channel(received.channel);
    if (channel === undefined) return { status: 404, frames: [] };
    const receivedAt = new Date(received.at).toISOString();
    const items = readIntake(received.bytes, {
      channel,
      receivedAt,
      newId: () => options.newId(received.at),
      sender: received.principal ?? `channel:${channel.name}`,
      idempotencyKey: received.idempotencyKey ?? '',
      checkRecord: (record) => options.checkRecord(channel, record),
      ...(options.serves && { serves: options.serves }),
      limits: options.limits,
    });
    if (channel.format === 'hl7v2' && isNoise(received.bytes)) {
      return answerNoise(items, received, channel, options);
    }
    const rulings = await store(items, received, channel, storing);
    report(items, rulings, channel, performance.now() - begun, options.telemetry);
    if (channel.format !== 'hl7v2') return answerHttp(items, rulings, channel);
    const answer = answerHl7(items, rulings, channel, options);
    return channel.batchAnswer === 'batch' ? inOneBatch(answer, received, items, options) : answer;
  };
}

/** No HL7 at all: it is answered (AR) and counted, not kept. */
function answerNoise(
  items: IntakeItem[],
  received: Received,
  channel: Channel,
  options: ReceiveOptions,
): Answer {
  const { name } = channel;
  const denial = { action: 'refuse', detail: 'NOISE', channel: name } as const;
  countNoise(options.record, principalOf(received, channel, ''), denial);
  options.telemetry.emit('frame.noise', { channel: name, bytes: received.bytes.length });
  const rulings = items.map((item) => rulingOf(item));
  return { ...answerHl7(items, rulings, channel, options), headers: {} };
}

/** Counts bytes that came outside of frames, by their peer. */
export function countStray(options: ReceiveOptions): (channel: string, peer: string) => void {
  return (name, peer) => {
    const channel = options.channel(name);
    if (channel === undefined) return;
    const sender = { tenant: channel.tenant, id: '', scopes: [], peer, patient: null };
    countNoise(options.record, sender, { action: 'refuse', detail: 'NOISE', channel: name });
  };
}

/** The answer to a frame beyond the limit, of which only the head was read: AR, not kept. */
export function refuseOversize(options: ReceiveOptions): Receive {
  return async (received) => {
    const channel = options.channel(received.channel);
    if (channel === undefined) return { frames: [] };
    const { header } = readHeader(received.bytes);
    const id = options.newId(received.at);
    const receivedAt = new Date(received.at).toISOString();
    const ruling: Ruling = { id, receivedAt, verdict: 'rejected', issues: [], fault: 'TOO_LARGE' };
    const denial = { action: 'refuse', detail: 'TOO_LARGE', channel: channel.name } as const;
    countNoise(options.record, principalOf(received, channel, ''), denial);
    options.telemetry.emit('message.refused', {
      channel: channel.name,
      bytes: received.bytes.length,
      code: 'TOO_LARGE',
      ack: 'AR',
    });
    return { frames: acknowledgeHl7(header, ruling, 'both') };
  };
}

/** Stores what is to be stored and decides what each message is told, in order. */
async function store(
  items: IntakeItem[],
  received: Received,
  channel: Channel,
  options: Storing,
): Promise<Ruling[]> {
  // A rejected HTTP body is answered with its reasons and not kept; a feed's message always is.
  const kept = items.filter((item) => item.verdict !== 'rejected' || channel.format === 'hl7v2');
  if (kept.length === 0) return items.map((item) => rulingOf(item));
  if (options.waiting() >= options.limits.waitingMax) {
    return items.map((item) => faultOf(item, 'OVERLOADED'));
  }
  try {
    const receipts = await options.accept(
      principalOf(received, channel),
      kept.map((item) => ({
        envelope: item.envelope,
        raw: item.raw,
        verdict: isForWork(item) ? 'received' : 'set-aside',
        issues: item.issues,
      })),
    );
    for (const [index, receipt] of receipts.entries()) {
      if (receipt.kind === 'accepted') {
        // What is set aside is at its end: nothing waits, and nobody is woken.
        if (!isForWork(kept[index])) continue;
        options.queue.wake({ tenant: channel.tenant, orderingKey: receipt.orderingKey });
      } else if (isWelcomeNow(receipt, kept[index])) {
        const principal = principalOf(received, channel);
        options.queue.wake(
          await replayMessage(options.record, principal, receipt.first.id, { force: true }),
        );
      }
    }
    return items.map((item) => rulingOf(item, receipts[kept.indexOf(item)]));
  } catch (thrown) {
    const error = toEngineError(thrown);
    options.telemetry.emit('store.commit-failed', {
      code: error.code,
      places: placesOf(error.cause ?? error),
    });
    return items.map((item) => faultOf(item, error.code));
  }
}

/**
 * The same message was refused when it came first, and would be accepted today (the channel takes
 * more now): the stored one is put in line, so that the positive answer is true.
 */
function isWelcomeNow(receipt: Receipt, item: IntakeItem | undefined): boolean {
  return receipt.kind === 'duplicate' && receipt.first.refused && isForWork(item);
}

/** Accepted, and not held for an operator. */
function isForWork(item: IntakeItem | undefined): boolean {
  return item?.verdict === 'accepted' && item.held !== true;
}

function rulingOf(item: IntakeItem, receipt?: Receipt): Ruling {
  const { verdict, issues } = item;
  if (receipt?.kind === 'duplicate') {
    const { id, receivedAt } = receipt.first;
    return { id, receivedAt, verdict, issues };
  }
  const { id, receivedAt } = item.envelope;
  if (receipt?.kind === 'id-reused') {
    const text = 'Another message with this control id was received before; this one is set aside.';
    const issue: Issue = { severity: 'error', code: 'duplicate', at: 'MSH-10', text };
    return { ...receipt.kept, verdict: 'error', issues: [issue] };
  }
  return { id, receivedAt, verdict, issues };
}

function faultOf(item: IntakeItem, fault: ErrorCode): Ruling {
  const { id, receivedAt } = item.envelope;
  return { id, receivedAt, verdict: 'error', issues: [], fault };
}

function principalOf(
  received: Received,
  channel: Channel,
  unnamed = `channel:${channel.name}`,
): Principal {
  const id = received.principal ?? unnamed;
  return { tenant: channel.tenant, id, scopes: [], peer: received.peer, patient: null };
}

function answerHl7(
  items: IntakeItem[],
  rulings: Ruling[],
  channel: Channel,
  options: ReceiveOptions,
): Answer {
  const frames: Uint8Array[] = [];
  const later: Promise<Uint8Array[]>[] = [];
  for (const [index, item] of items.entries()) {
    const ruling = rulings[index] as Ruling;
    const waits =
      ruling.verdict === 'accepted' && isForWork(item) && expectsApplicationAnswer(item.header);
    frames.push(...acknowledgeHl7(item.header, ruling, waits ? 'accept' : 'both'));
    if (waits) later.push(applicationAnswer(item, ruling, options));
  }
  const [first] = rulings;
  const answer: Answer = {
    frames,
    contentType: 'application/hl7-v2',
    ...httpState(first, channel),
  };
  if (later.length > 0) answer.later = Promise.all(later).then((answers) => answers.flat());
  return answer;
}

/** A batch of answers to a batch; what follows later (enhanced mode) is a batch of its own. */
function inOneBatch(
  answer: Answer,
  { bytes, at }: Received,
  items: IntakeItem[],
  options: ReceiveOptions,
): Answer {
  const header = peekBatchHeader(bytes);
  if (header === undefined) return answer;
  const notes = (items[0]?.envelope.batch ?? []).map((issue) => `${issue.at}: ${issue.text}`);
  const wrap = (frames: Uint8Array[]): Uint8Array[] => {
    const controlId = shortName(options.newId(at));
    const context = { at: new Date(at).toISOString(), controlId, notes };
    const batch = writeBatchAnswer(header, frames, context);
    return batch === undefined ? [] : [batch];
  };
  const { later } = answer;
  return {
    ...answer,
    frames: wrap(answer.frames ?? []),
    ...(later === undefined ? {} : { later: later.then(wrap) }),
  };
}

/** Enhanced mode: the application's answer tells what became of the message (section 2.9.3.2). */
async function applicationAnswer(
  item: IntakeItem,
  ruling: Ruling,
  options: ReceiveOptions,
): Promise<Uint8Array[]> {
  const end = await options.finished(ruling.id);
  if (end === undefined) return [];
  const verdict = end.state === 'processed' ? 'accepted' : 'error';
  return acknowledgeHl7(item.header, { ...ruling, verdict, issues: end.issues }, 'application');
}

function answerHttp(items: IntakeItem[], rulings: Ruling[], channel: Channel): Answer {
  const [item, ruling] = [items[0] as IntakeItem, rulings[0] as Ruling];
  const state = httpState(ruling, channel);
  const { status, contentType, body } = answerJson(item, ruling, state.headers.location);
  return { frames: [body], contentType, status, headers: isStored(ruling) ? state.headers : {} };
}

const STATUS = tableOf({ accepted: 202, error: 422, rejected: 400 } as const);

function httpState(ruling: Ruling | undefined, channel: Channel) {
  const status = ruling?.fault ? 503 : STATUS[ruling?.verdict ?? 'rejected'];
  const location = `/channels/${channel.name}/messages/${ruling?.id ?? ''}`;
  return { status, headers: { location, 'x-message-id': ruling?.id ?? '' } };
}

function isStored(ruling: Ruling): boolean {
  return ruling.fault === undefined && ruling.verdict !== 'rejected';
}

function report(
  items: IntakeItem[],
  rulings: Ruling[],
  channel: Channel,
  ms: number,
  telemetry: Telemetry,
): void {
  telemetry.metrics.observeStage('receive', ms);
  for (const [index, item] of items.entries()) {
    const ruling = rulings[index] as Ruling;
    const fields = { channel: channel.name, bytes: item.raw.length };
    if (ruling.id !== item.envelope.id) {
      telemetry.emit('message.duplicate', { id: ruling.id, channel: channel.name });
    } else if (ruling.verdict === 'accepted') {
      telemetry.emit('message.received', { id: ruling.id, ...fields, ms });
    } else {
      const ack = ruling.verdict === 'error' ? 'AE' : 'AR';
      telemetry.emit('message.refused', {
        ...fields,
        code: ruling.fault ?? 'INVALID_CONTENT',
        ack,
      });
    }
  }
}
