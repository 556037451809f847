// The noun that travels: a message, what is known of it before it is parsed, and its states.

export type MessageFormat = 'hl7v2' | 'fhir' | 'json';

/** `received` waits for its turn; `processed` had its effect; `set-aside` waits for an operator. */
export type MessageState = 'received' | 'processed' | 'set-aside';

/**
 * What intake reads from a message without parsing it whole. It may hold patient data (`subject`,
 * `controlId`), so it exists in clear in memory only and is sealed with the raw bytes at rest.
 */
export interface Envelope {
  /** UUIDv7, made at intake. */
  id: string;
  tenant: string;
  channel: string;
  format: MessageFormat;
  /** ISO 8601 instant in UTC with milliseconds; later times of this message derive from it. */
  receivedAt: string;
  /** MSH-3 and MSH-4 as `application|facility`, or the id of the principal that posted it. */
  sender: string;
  /** MSH-10, Bundle.identifier.value or the Idempotency-Key header; '' where there is none. */
  controlId: string;
  /** `ADT^A01^ADT_A01`, `Bundle`, or the record name of a JSON channel. */
  type: string;
  /** Business key of the patient, `authority|value` (PID-3, first repetition); '' = none known. */
  subject: string;
  /** Messages with the same ordering key are applied in arrival order; default PID-3.1. */
  orderingKey: string;
  /** What was wrong with the batch that it came in (BTS-1, trailers): of its first message. */
  batch?: import('./issue.ts').Issue[];
}

/** What became of a message; kept sealed beside it. */
export interface MessageOutcome {
  issues: import('./issue.ts').Issue[];
  /** The resources that the message wrote, or found already as it would write them. */
  resources: WrittenResource[];
  /** SHA-256 (hex) of the compiled map that was used; '' where no map was reached. */
  mapHash: string;
  /** Set aside for a reused control id: how often the same bytes came again, and when last. */
  repeats?: { count: number; lastAt: string };
}

export interface WrittenResource {
  type: string;
  id: string;
  version: number;
  outcome: 'created' | 'updated' | 'unchanged';
}
