// The port of a move between stores: all that a store holds, as rows that every adapter reads and
// writes, and the mark that an unfinished move leaves in its target. copy.ts drives it.
import { EngineError } from '../model/errors.ts';
import type {
  AuditRow,
  Checkpoint,
  CredentialRow,
  IntakeRow,
  KeyRow,
  RangeEntry,
  ResourceRow,
} from './port.ts';

/** In the order in which they are written: a version follows its resource. */
export const KINDS = [
  'keys',
  'credentials',
  'resources',
  'versions',
  'intake',
  'audit',
  'checkpoints',
] as const;

export type Kind = (typeof KINDS)[number];

type OfTenant<T> = T & { tenant: string };

/** Numbers and counts that an adapter keeps for itself are in none of them: it makes them anew. */
export interface Rows {
  keys: KeyRow;
  credentials: CredentialRow;
  /** The newest version of each resource, with its index entries. */
  resources: OfTenant<ResourceRow> & IndexEntries & { forgotten: boolean };
  /** The superseded versions. */
  versions: OfTenant<ResourceRow>;
  intake: OfTenant<IntakeRow>;
  audit: OfTenant<AuditRow>;
  checkpoints: OfTenant<Checkpoint>;
}

export interface IndexEntries {
  tokens: string[];
  ranges: RangeEntry[];
}

/** Where a row stands in the adapter's own order; kept as JSON. */
export type Place = readonly (string | number)[];

/** Rows and the sum of their SHA-256, modulo 2^256, in hex: the order of rows is no matter. */
export interface Tally {
  rows: number;
  sum: string;
}

/** How far a move has come; stored in the target together with each page of rows. */
export interface Progress {
  /** Label of the source, for people. */
  source: string;
  /** `state()` of the source when the move began. */
  state: string;
  /** Pages written. */
  step: number;
  kind: Kind;
  /** Of the last row of `kind` that was written, null = none yet. */
  after: Place | null;
  copied: Record<Kind, Tally>;
}

/** A store that nobody else uses, opened to be moved from or to. */
export interface Transfer {
  /** What it is, for people; without a password. */
  readonly label: string;
  /** Rows behind `after`, in an order that stands as long as none is written. */
  rows<K extends Kind>(kind: K, after: Place | null): AsyncIterable<{ row: Rows[K]; place: Place }>;
  count(kind: Kind): Promise<number>;
  /** Differs after every commit to the store: a changed source is not taken for the same. */
  state(): Promise<string>;
  /** The mark of an unfinished move. */
  progress(): Promise<Progress | undefined>;
  isEmpty(): Promise<boolean>;
  /** Sets the mark: the store cannot be used before `admit`. */
  begin(progress: Progress): Promise<void>;
  /** The rows and the mark in one transaction, durable when it resolves. */
  write<K extends Kind>(kind: K, rows: Rows[K][], progress: Progress): Promise<void>;
  /** After the last row: makes what the adapter keeps beside its rows. May be repeated. */
  finish(): Promise<void>;
  /** Takes the mark away. */
  admit(): Promise<void>;
  close(): Promise<void>;
}

/** `target`: may be new, empty or marked; else it must hold a store that is complete. */
export type TransferUse = 'source' | 'target';

/** Index entries as every adapter gives them: sorted, none twice. */
export function tidyEntries(tokens: string[], ranges: RangeEntry[]): IndexEntries {
  const unique = new Map(ranges.map((entry) => [JSON.stringify(entryKey(entry)), entry]));
  return { tokens: [...new Set(tokens)].sort(), ranges: [...unique.values()].sort(byEntry) };
}

function entryKey({ param, low, high }: RangeEntry): [string, number, number] {
  return [param, low, high];
}

function byEntry(a: RangeEntry, b: RangeEntry): number {
  if (a.param !== b.param) return a.param < b.param ? -1 : 1;
  return a.low - b.low || a.high - b.high;
}

/** What opening a marked store throws. */
export function unfinishedError({ source }: Pick<Progress, 'source'>): EngineError {
  return new EngineError(
    'STORE_UNFINISHED',
    `This store is an unfinished copy of the ${source}: run the same artery store copy again.`,
  );
}
