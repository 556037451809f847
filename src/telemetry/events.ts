// All named events: level, sentence, typed fields and labels of the counter that each one moves.
// Ids and codes only; there is no field that takes free text (fields.ts withholds what is none).

import { tableOf } from '../model/table.ts';
import { type FieldKind, type FieldType, fits, WITHHELD } from './fields.ts';
import type { Logger } from './logger.ts';
import type { Metrics } from './metrics.ts';

interface EventRow {
  level: 'debug' | 'info' | 'warn' | 'error';
  sentence: string;
  fields: Readonly<Record<string, FieldKind>>;
  /** Fields that are labels of the counter: of few values only. */
  labels: readonly string[];
  /** Lines a minute; what is beyond is counted, and told by `log.suppressed`. */
  perMinuteMax?: number;
}

/** Lines a minute of an event that a stranger can cause at will. */
const STRANGER_PER_MINUTE = 120;

const ON_CHANNEL = { id: 'id', channel: 'channel' } as const;

export const EVENTS = tableOf({
  // messages
  'message.received': row(
    'debug',
    'A message is durable and acknowledged.',
    { ...ON_CHANNEL, bytes: 'count', ms: 'ms' },
    ['channel'],
  ),
  'message.duplicate': byStranger(
    row('info', 'A message was sent again; the first answer was repeated.', ON_CHANNEL, [
      'channel',
    ]),
  ),
  'message.refused': byStranger(
    row(
      'warn',
      'A message was refused and not kept.',
      { channel: 'channel', code: 'code', ack: 'ack', bytes: 'count' },
      ['channel', 'code'],
    ),
  ),
  'message.processed': row(
    'debug',
    'A message had its effect.',
    { ...ON_CHANNEL, resources: 'count', attempts: 'count', ms: 'ms' },
    ['channel'],
  ),
  'message.set-aside': row(
    'warn',
    'A message was set aside and waits for an operator.',
    { ...ON_CHANNEL, code: 'code', issues: 'count' },
    ['channel', 'code'],
  ),
  'message.retried': row(
    'warn',
    'An attempt at a message failed; it will be tried again.',
    { ...ON_CHANNEL, code: 'code', attempts: 'count', delayMs: 'ms', places: 'places' },
    ['channel', 'code'],
  ),
  'message.suspected': row(
    'warn',
    'The process ended while this message was worked on; it is tried again, alone.',
    { ...ON_CHANNEL, attempts: 'count' },
    ['channel'],
  ),
  'message.replayed': row(
    'info',
    'An operator put a message back in line.',
    { ...ON_CHANNEL, corrected: 'flag' },
    ['channel'],
  ),
  // connections of sources
  'connection.opened': byStranger(
    row('info', 'A sender connected.', { channel: 'channel', address: 'address' }, ['channel']),
  ),
  'connection.closed': byStranger(
    row(
      'info',
      'A connection ended.',
      { channel: 'channel', address: 'address', messages: 'count', code: 'code' },
      ['channel', 'code'],
    ),
  ),
  'connection.refused': byStranger(
    row(
      'warn',
      'A connection was refused.',
      { channel: 'channel', address: 'address', code: 'code' },
      ['channel', 'code'],
    ),
  ),
  'frame.noise': byStranger(
    row(
      'warn',
      'Bytes that are no message were dropped, outside a frame or in one.',
      { channel: 'channel', bytes: 'count' },
      ['channel'],
    ),
  ),
  // channels and mappings
  'channel.loaded': row('info', 'A channel runs.', { channel: 'channel', address: 'address' }, [
    'channel',
  ]),
  'channel.stopped': row('info', 'A channel was stopped.', { channel: 'channel' }, ['channel']),
  'channel.refused': row(
    'error',
    'A channel file is wrong; `artery channel check` tells why.',
    { file: 'file', line: 'count' },
    [],
  ),
  'channel.failed': row(
    'error',
    'A channel could not be opened, or its certificate files cannot be used.',
    { channel: 'channel', address: 'address', code: 'code' },
    ['channel', 'code'],
  ),
  'mappings.loaded': row(
    'info',
    'The mappings were compiled.',
    { maps: 'count', faults: 'count' },
    [],
  ),
  'mapping.refused': row(
    'error',
    'A mapping file is wrong; `artery map lint` tells why.',
    { file: 'file', line: 'count' },
    [],
  ),
  // store, queue, audit
  'store.commit-failed': row(
    'error',
    'The store did not commit.',
    { code: 'code', places: 'places' },
    ['code'],
  ),
  'store.unwritable': row(
    'error',
    'The store takes no writes; the server is not ready.',
    { code: 'code' },
    ['code'],
  ),
  'store.writable': row('info', 'The store takes writes again.', {}, []),
  'store.opened': row('info', 'The store is open.', { ms: 'ms', waiting: 'count' }, []),
  'store.backed-up': row('info', 'A backup was written.', { ms: 'ms' }, []),
  'work.after-crash': row(
    'warn',
    'The last run did not stop but end: the first message of each key is worked on with care.',
    {},
    [],
  ),
  'queue.swept': row(
    'debug',
    'The sweep told the queue what the store holds.',
    { keys: 'count' },
    [],
  ),
  'queue.unreachable': row(
    'warn',
    'Redis does not answer; wake-ups are dropped, and the sweep repeats them later.',
    { code: 'code' },
    ['code'],
  ),
  'queue.reachable': row('info', 'Redis answers.', {}, []),
  'queue.wake-dropped': row('debug', 'A wake-up did not reach the queue; the sweep tells.', {}, []),
  'queue.worker-replaced': row(
    'warn',
    'Keys waited while the worker took none; it was made anew.',
    { waiting: 'count' },
    [],
  ),
  'audit.checkpoint': row('info', 'The audit log was signed.', { seq: 'count' }, []),
  'anchor.failed': row(
    'warn',
    'A destination of ARTERY_ANCHORS_TO did not take the signatures; it gets them later.',
    { destination: 'count', code: 'code', places: 'places' },
    ['code'],
  ),
  'audit.broken': row('error', 'The audit log does not verify.', { seq: 'count' }, []),
  'record.damaged': row(
    'error',
    'A stored record does not open; its audit entry has its full name.',
    { kind: 'code', id: 'id', version: 'count', code: 'code' },
    ['code'],
  ),
  'key.rotated': row('warn', 'A key was rotated.', { keyId: 'id' }, []),
  'patient.forgotten': row('warn', 'The key of a patient was destroyed.', { id: 'id' }, []),
  // access
  'access.denied': byStranger(
    row('warn', 'A request was denied.', { code: 'code', status: 'count', request: 'request' }, [
      'code',
    ]),
  ),
  'request.failed': row(
    'error',
    'A request failed in Artery itself.',
    { code: 'code', places: 'places', request: 'request' },
    ['code'],
  ),
  'task.failed': row('error', 'A background task failed.', { code: 'code', places: 'places' }, [
    'code',
  ]),
  'work.silent': row(
    'error',
    'The work thread told nothing for too long: it was ended, and another one is started.',
    { ms: 'ms' },
    [],
  ),
  'log.suppressed': row(
    'warn',
    'Lines of an event were not logged: there were too many in a minute. Its counter has them all.',
    { name: 'event', count: 'count' },
    [],
  ),
  // process
  'server.started': row(
    'info',
    'Artery is ready.',
    { address: 'address', version: 'version', channels: 'count', ms: 'ms' },
    [],
  ),
  'server.stopping': row('info', 'Artery finishes what runs and stops.', {}, []),
  'server.stopped': row('info', 'Artery stopped.', { ms: 'ms' }, []),
} as const satisfies Record<string, EventRow>);

export type EventName = keyof typeof EVENTS;

export type EventFields<N extends EventName> = {
  [F in keyof (typeof EVENTS)[N]['fields']]: (typeof EVENTS)[N]['fields'][F] extends FieldKind
    ? FieldType<(typeof EVENTS)[N]['fields'][F]>
    : never;
};

export interface Telemetry {
  /** Logs the event and moves its counter. Never throws: a field without its form is withheld. */
  emit<N extends EventName>(name: N, fields: EventFields<N>): void;
  readonly metrics: Metrics;
}

export function createTelemetry(
  logger: Logger,
  metrics: Metrics,
  clock: () => number = Date.now,
): Telemetry {
  const minutes = new Map<EventName, { minute: number; lines: number; suppressed: number }>();
  const write = (name: EventName, fields: Fields) => {
    const event: EventRow = EVENTS[name];
    const checked = checkFields(event, fields, metrics);
    metrics.countEvent(name, pickLabels(event, checked));
    const { perMinuteMax } = event;
    if (perMinuteMax === undefined || hasRoom(name, perMinuteMax)) {
      logger.log(event.level, name, event.sentence, checked);
    }
  };
  const hasRoom = (name: EventName, perMinuteMax: number): boolean => {
    const minute = Math.floor(clock() / 60_000);
    const known = minutes.get(name);
    if (known?.minute === minute) {
      known.lines += 1;
      if (known.lines <= perMinuteMax) return true;
      known.suppressed += 1;
      return false;
    }
    minutes.set(name, { minute, lines: 1, suppressed: 0 });
    const count = known?.suppressed ?? 0;
    if (count > 0) write('log.suppressed', { name, count });
    return true;
  };
  return { metrics, emit: (name, fields) => write(name, fields) };
}

type Fields = Readonly<Record<string, unknown>>;

function checkFields(event: EventRow, fields: Fields, metrics: Metrics): Fields {
  const checked: Record<string, unknown> = {};
  for (const [name, kind] of Object.entries(event.fields)) {
    const value = fields[name];
    const passes = fits(kind, value);
    if (!passes) metrics.countWithheld();
    checked[name] = passes ? value : WITHHELD;
  }
  return checked;
}

function pickLabels(event: EventRow, fields: Fields): Record<string, string> {
  return Object.fromEntries(event.labels.map((label) => [label, String(fields[label])]));
}

/** An event that a stranger can cause at will: its lines are bounded. */
function byStranger<R extends object>(event: R): R & { perMinuteMax: number } {
  return { ...event, perMinuteMax: STRANGER_PER_MINUTE };
}

function row<const F extends Readonly<Record<string, FieldKind>>>(
  level: EventRow['level'],
  sentence: string,
  fields: F,
  labels: readonly (keyof F & string)[],
): { level: EventRow['level']; sentence: string; fields: F; labels: readonly string[] } {
  return { level, sentence, fields, labels };
}
