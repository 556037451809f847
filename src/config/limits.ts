// Every limit of Artery with its default, its bounds and its reason: the one table.
// docs/reference/limits.md is made from it. It does not enforce: the rooms that are named do.
import { tableOf } from '../model/table.ts';

interface LimitRow {
  default: number;
  min: number;
  max: number;
  unit: 'bytes' | 'ms' | 'count' | 'levels';
  /** What is bounded, and what happens at the bound. */
  about: string;
}

const KIB = 1024;
const MIB = 1024 * KIB;
const MINUTE_MS = 60_000;

/** A row `frameBytesMax` is set by the environment variable `ARTERY_FRAME_BYTES_MAX`. */
export const LIMITS = tableOf({
  frameBytesMax: bytes(
    16 * MIB,
    'One MLLP frame; a longer one is answered AR and the connection closed.',
  ),
  idleTimeoutMs: ms(60 * MINUTE_MS, 'An MLLP connection that sends nothing is closed.', 24 * 60),
  connectionsMax: count(256, 'Open MLLP connections per channel; further ones are closed.'),
  peerConnectionsMax: count(
    128,
    'Open MLLP connections of one address to one channel; further ones are closed. Where a ' +
      'channel is full, the address with most of them gives an idle one up for one with fewer.',
  ),
  peerFrameBytesMax: bytes(
    128 * MIB,
    'Unfinished and unanswered MLLP frames of one address; the connection beyond it is closed.',
    4_096 * MIB,
  ),
  frameBytesTotalMax: bytes(
    512 * MIB,
    'Unfinished and unanswered MLLP frames of all; the address that holds most is closed.',
    16_384 * MIB,
  ),
  frameTimeoutMs: ms(
    2 * MINUTE_MS,
    'An MLLP frame must be whole so long after its first byte; else its connection is closed.',
    60,
  ),
  inflightMax: count(
    64,
    'Messages of one connection that wait for their durable write before it is paused.',
  ),
  bodyBytesMax: bytes(16 * MIB, 'Body of a message posted to an HTTP channel; answered 413.'),
  fhirBodyBytesMax: bytes(4 * MIB, 'Body of a request to /fhir/R4; answered 413.'),
  adminBodyBytesMax: bytes(16 * MIB, 'Body of a request to /admin; answered 413.'),
  httpConnectionsMax: count(
    1_024,
    'Open HTTP connections; beyond it the address with most of them gives its oldest one up on ' +
      'which no whole request waits for an answer.',
  ),
  httpPeerConnectionsMax: count(
    512,
    'Open HTTP connections of one address; beyond it its own oldest such one is closed.',
  ),
  headersTimeoutMs: ms(
    10_000,
    'The headers of an HTTP request must have arrived; answered 408.',
    10,
  ),
  strangerFailuresPerMinute: count(
    300,
    'Failed sign-ins of one address over HTTP, others without a token count a tenth; then 429.',
  ),
  requestTimeoutMs: ms(30_000, 'An HTTP request must have arrived whole within it.', 10),
  urlBytesMax: bytes(8 * KIB, 'Length of a request line; answered 414.'),
  jsonDepthMax: {
    default: 64,
    min: 8,
    max: 1_000,
    unit: 'levels',
    about: 'Nesting of a JSON body; deeper is refused.',
  },
  segmentsMax: count(20_000, 'Segments of one HL7v2 message; one with more is refused (AR).'),
  messagePartsMax: count(
    200_000,
    'Fields, repetitions, components and subcomponents of one HL7v2 message; more sets it aside.',
    1_000_000,
  ),
  repetitionsMax: count(1_000, 'Repetitions of one HL7v2 field; more sets the message aside.'),
  batchMessagesMax: count(1_000, 'Messages of one batch or frame; more are refused.'),
  bundleEntriesMax: count(1_000, 'Entries of one FHIR bundle; a larger one is refused (400).'),
  resourcesMax: count(
    5_000,
    'Resources that one message may write, its Provenance not counted; more sets it aside.',
  ),
  issuesMax: count(200, 'Issues kept of one message; the rest is counted.'),
  waitingMax: count(
    200_000,
    'Acknowledged messages that wait to be processed; then intake answers AE (overloaded).',
    10_000_000,
  ),
  inboxMax: count(16, 'Waiting messages of one ordering key that are read at a time.', 1_000),
  workConcurrency: count(96, 'Ordering keys processed at the same time.', 1_024),
  workSilenceMs: {
    default: MINUTE_MS,
    min: 5_000,
    max: 60 * MINUTE_MS,
    unit: 'ms',
    about: 'A work thread that tells nothing for so long is ended, and another takes its place.',
  },
  attemptsMax: count(8, 'Attempts at one message, over all restarts, before it is set aside.', 100),
  firstDelayMs: ms(500, 'Wait before the second attempt; doubled each time.', 60),
  delayMsMax: ms(MINUTE_MS, 'Longest wait between two attempts.', 24 * 60),
  sweepIntervalMs: ms(5_000, 'The queue is told again what the store still holds.', 60),
  drainTimeoutMs: ms(15_000, 'Running work may take so long to finish when the server stops.', 10),
  checkpointIntervalMs: ms(MINUTE_MS, 'Time between two signed audit checkpoints.', 24 * 60),
  checkpointEntriesMax: count(
    10_000,
    'Audit entries after which a checkpoint is signed before its time; looked at each second.',
    1_000_000,
  ),
  storeBatchMax: count(256, 'Units that one group commit takes.', 10_000),
  searchCountDefault: count(20, 'Results on a page when `_count` is absent.', 1_000),
  searchCountMax: count(1_000, 'Largest page; a larger `_count` is lowered to it.', 10_000),
  searchTermsMax: count(64, 'Parameters and alternatives of one search; more are refused.', 1_000),
  totalCountMax: count(10_000, 'Counting the matches of a search stops here.', 1_000_000),
  adminListMax: count(1_000, 'Rows of one page of an /admin list.', 10_000),
  replayMax: count(10_000, 'Messages that one replay call takes up.', 1_000_000),
  channelFileBytesMax: bytes(256 * KIB, 'A channel file; a larger one is refused.'),
  channelsMax: count(500, 'Channel files in the folder; further ones are refused.', 10_000),
  mappingFileBytesMax: bytes(4 * MIB, 'A mapping file; a larger one is refused.'),
  reloadDelayMs: ms(300, 'A changed channel or mapping file is read after this quiet time.', 1),
  reloadPollMs: ms(
    5_000,
    'Folders are also looked at in this interval, where the system tells nothing.',
    60,
  ),
  tokenLifeMs: ms(
    90 * 24 * 60 * MINUTE_MS,
    'Life of a bearer token that is made without a word about it.',
    10 * 366 * 24 * 60,
  ),
  tokenLifeMsMax: ms(
    366 * 24 * 60 * MINUTE_MS,
    'Longest life of a bearer token, but for one that is made to live for ever.',
    10 * 366 * 24 * 60,
  ),
} as const satisfies Record<string, LimitRow>);

export type LimitName = keyof typeof LIMITS;
export type Limits = Readonly<Record<LimitName, number>>;

/** The defaults, for tests and tools that run without a configuration. */
export function defaultLimits(): Limits {
  const entries = Object.entries(LIMITS).map(([name, row]) => [name, row.default] as const);
  return Object.freeze(Object.fromEntries(entries)) as Limits;
}

/** `frameBytesMax` to `ARTERY_FRAME_BYTES_MAX`. */
export function limitVariable(name: string): string {
  return `ARTERY_${name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
}

function bytes(value: number, about: string, max = 256 * MIB): LimitRow {
  return { default: value, min: KIB, max, unit: 'bytes', about };
}

function ms(value: number, about: string, minutesMax: number): LimitRow {
  return { default: value, min: 1, max: minutesMax * MINUTE_MS, unit: 'ms', about };
}

function count(value: number, about: string, max = 100_000): LimitRow {
  return { default: value, min: 1, max, unit: 'count', about };
}
