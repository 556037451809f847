// What becomes of an attempt that failed: the message is tried again later, or set aside with its
// reason. That the store does not answer is never the message's fault.
import { type EngineError, toEngineError } from '../model/errors.ts';
import { hasErrors, type Issue } from '../model/issue.ts';
import { type MessageRow, messageHead, setAside } from '../record/message.ts';
import { placesOf } from '../telemetry/fields.ts';
import type { Trial, Waiting } from './attempts.ts';
import type { Desk, WorkOptions } from './desk.ts';

/** Wait before a store that did not answer is asked again. */
const STORE_DELAY_MS = 1_000;
/** Another drain of the same key is at its message: it gets time to finish. */
const MOVED_DELAY_MS = 50;

/** Undefined when the message reached its end; else the ms to wait before its next attempt. */
export async function afterFailure(
  desk: Desk,
  trial: Trial,
  error: EngineError,
): Promise<number | undefined> {
  const { attempts, options } = desk;
  const { message, count } = trial;
  const { row } = message;
  const standing = await standingOf(row, options);
  if (standing === 'ended') {
    attempts.forget(row);
    return undefined;
  }
  if (standing === 'moved') return MOVED_DELAY_MS;
  const retry = options.channel(row.channel)?.retry;
  const isFinal = error.retry === 'never' || retry === undefined || count >= retry.attempts;
  if (error.code !== 'STORE_UNAVAILABLE' && isFinal) {
    return abandon(desk, trial, errorText(error));
  }
  if (error.code === 'STORE_UNAVAILABLE' || retry === undefined) {
    attempts.interrupted(trial);
    return storeFault(options, error).againInMs;
  }
  try {
    await attempts.failed(trial);
  } catch (thrown) {
    return storeFault(options, toEngineError(thrown)).againInMs;
  }
  const delayMs = Math.min(retry.firstDelayMs * 2 ** (count - 1), retry.delayMsMax);
  options.telemetry.emit('message.retried', {
    ...{ id: row.id, channel: row.channel, code: error.code, attempts: count, delayMs },
    places: placesOf(error.cause ?? error),
  });
  return delayMs;
}

/**
 * `ended`: the commit was made and only its answer was lost, or another drain was faster. `moved`:
 * it waits, but not as it was read. An unknown standing is taken for none of these.
 */
async function standingOf(
  { tenant, id, changedAt }: MessageRow,
  options: WorkOptions,
): Promise<'ended' | 'moved' | 'same'> {
  const head = await messageHead(options.record, tenant, id).catch(() => undefined);
  if (head === undefined) return 'same';
  if (head.state === 'received') return Date.parse(head.changedAt) === changedAt ? 'same' : 'moved';
  options.finished({ id, state: head.state, issues: [] });
  return 'ended';
}

/** No attempt will help: the message is set aside with what went wrong. Answers as above. */
export async function abandon(
  { options, attempts }: Desk,
  { message, count }: Trial,
  text: string,
): Promise<number | undefined> {
  try {
    await giveUp(message, [processingIssue(text)], count, '', options);
    attempts.forget(message.row);
    return undefined;
  } catch (thrown) {
    return storeFault(options, toEngineError(thrown)).againInMs;
  }
}

function errorText(error: EngineError): string {
  const where = error.code === 'INTERNAL' ? ` (${placesOf(error.cause ?? error)})` : '';
  return `${error.code}: ${error.message}${where}`;
}

export function processEnded(attempts: number): string {
  return (
    'The process or its work thread ended while this message was worked on. After ' +
    `${attempts} attempts it is not tried again; correct it, or its map, and replay it.`
  );
}

export async function giveUp(
  message: Waiting,
  issues: Issue[],
  attempts: number,
  mapHash: string,
  options: WorkOptions,
): Promise<void> {
  await setAside(options.record, message.row, { issues, attempts, mapHash });
  options.telemetry.emit('message.set-aside', {
    id: message.row.id,
    channel: message.row.channel,
    code: hasErrors(issues) ? 'INVALID_CONTENT' : 'INTERNAL',
    issues: issues.length,
  });
  options.finished({ id: message.row.id, state: 'set-aside', issues });
}

export function processingIssue(text: string): Issue {
  return { severity: 'error', code: 'processing', at: '', text };
}

export function storeFault(options: WorkOptions, error: EngineError): { againInMs: number } {
  options.telemetry.emit('store.commit-failed', {
    code: error.code,
    places: placesOf(error.cause ?? error),
  });
  return { againInMs: STORE_DELAY_MS };
}
