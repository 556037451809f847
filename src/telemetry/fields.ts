// The closed list of what an event's field may hold. Every kind has a form that no sentence and no
// name of a person fits into; what does not fit is withheld, so free text cannot reach a log.

import { constants } from 'node:os';
import { ERRORS } from '../model/errors.ts';
import { tableOf } from '../model/table.ts';

export type FieldKind = keyof typeof FORMS;

/** The placeholder for a value that does not have its field's form. */
export const WITHHELD = '(withheld)';

/** One-word codes; a capital word that is not listed may be somebody's name. */
const CODES: ReadonlySet<string> = new Set([
  ...Object.keys(ERRORS),
  ...Object.keys(constants.errno),
  ...['END', 'EPROTO', 'ENOTFOUND', 'EAI_AGAIN'],
]);

const FORMS = tableOf({
  /** UUID of a message, resource or credential. */
  id: text(/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/),
  /** X-Request-Id: a UUID, or what a proxy makes of hexadecimal digits; a word may be a name. */
  request: text(/^[0-9a-f][0-9a-f.-]{15,127}$/i),
  /** Name of a channel: the operator's own file name. */
  channel: text(/^[a-z][a-z0-9-]{0,63}$/),
  /** Code of model/errors.ts, a system code as ECONNRESET, or words joined by underscores. */
  code: (value: unknown) =>
    typeof value === 'string' &&
    (CODES.has(value) || /^[A-Z0-9]{1,20}(_[A-Z0-9]{1,20}){1,8}$/.test(value)),
  /** Error class and `file:line` of its frames, as placesOf() makes it. */
  places: text(/^(?:NotAnError|[A-Za-z]{0,40}Error)( [a-z0-9/._-]+:\d+){0,6}$/),
  /** Name of an event that a stranger can cause: `frame.noise`. */
  event: text(/^(?:message|connection|frame|access)\.[a-z-]{1,20}$/),
  /** `127.0.0.1:2575`, `[::1]:8080`. */
  address: text(/^(?:\[[0-9a-f:.]{2,45}\]|[0-9a-f:.]{2,45}|[a-z0-9.-]{1,100}):\d{1,5}$/i),
  /** A relative file name that the operator wrote, `adt-inbound.yaml`. */
  file: text(/^[A-Za-z0-9_./-]{1,120}\.(?:ya?ml|json)$/),
  /** hex SHA-256, or its first characters. */
  hash: text(/^[0-9a-f]{8,64}$/),
  /** `0.1.0`, `24.21.0` */
  version: text(/^v?\d{1,4}(?:\.\d{1,4}){1,2}$/),
  /** HL7 table 0008 code of an acknowledgement. */
  ack: text(/^(?:AA|AE|AR|CA|CE|CR)$/),
  /** A whole number. */
  count: (value: unknown) => Number.isSafeInteger(value),
  /** Milliseconds, fractions allowed. */
  ms: (value: unknown) => typeof value === 'number' && Number.isFinite(value),
  flag: (value: unknown) => typeof value === 'boolean',
} satisfies Record<string, (value: unknown) => boolean>);

/** TypeScript type of a field kind. */
export type FieldType<K extends FieldKind> = K extends 'count' | 'ms'
  ? number
  : K extends 'flag'
    ? boolean
    : string;

export function fits(kind: FieldKind, value: unknown): boolean {
  return FORMS[kind](value);
}

/** Where an error arose, without its message: the message may quote what it failed on. */
export function placesOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return 'NotAnError';
  const name = /^[A-Za-z]{0,40}Error$/.test(thrown.name) ? thrown.name : 'Error';
  const frames = (thrown.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line));
  const places = frames.flatMap((frame) => {
    const found = /\/(?:src|node_modules|test)\/([A-Za-z0-9/._@-]+:\d+):\d+\)?$/.exec(frame);
    return found?.[1] === undefined ? [] : [found[1].toLowerCase().replaceAll('@', '')];
  });
  return [name, ...places.slice(0, 6)].join(' ');
}

function text(form: RegExp): (value: unknown) => boolean {
  return (value) => typeof value === 'string' && form.test(value);
}
