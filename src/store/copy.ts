// Moves all rows of one store into another: page by page, so that a killed move goes on where it
// stopped, and compared at the end. It knows no database; transfer.ts is what it drives.
import { createHash, type Hash } from 'node:crypto';
import { EngineError } from '../model/errors.ts';
import {
  KINDS,
  type Kind,
  type Place,
  type Progress,
  type Rows,
  type Transfer,
} from './transfer.ts';

export interface CopyOptions {
  /** Rows and bytes of one page; a larger row goes alone. */
  rowsMax?: number;
  bytesMax?: number;
  /** Told after each page. */
  tell?(step: CopyStep): void;
}

export interface CopyStep {
  phase: 'copying' | 'comparing';
  kind: Kind;
  rows: number;
  of: number;
}

/** Of each kind: rows, and the digest that source and target share. */
export type CopyReport = Record<Kind, { rows: number; sum: string }>;

const PAGE_ROWS = 1_000;
const PAGE_BYTES = 8 * 1024 * 1024;
/** Of a row beside its bytes. */
const ROW_BYTES = 300;
const MODULUS = 1n << 256n;

/**
 * The mark to go on from: that of an earlier, unfinished move of the same source, else a new one.
 * Throws PRECONDITION_FAILED when the target holds something else, or the source has changed.
 */
export async function beginCopy(source: Transfer, target: Transfer): Promise<Progress> {
  const state = await source.state();
  const found = await target.progress();
  if (found !== undefined) {
    if (found.state === state) return found;
    const text =
      `The ${target.label} is an unfinished copy of the ${found.source} as it was then; ` +
      `the ${source.label} is another or has changed: begin again with an empty target.`;
    throw new EngineError('PRECONDITION_FAILED', text);
  }
  await refuseUsed(target);
  const none = () => ({ rows: 0, sum: hex(0n) });
  const copied = Object.fromEntries(KINDS.map((kind) => [kind, none()])) as Progress['copied'];
  const [kind] = KINDS;
  const fresh: Progress = { source: source.label, state, step: 0, kind, after: null, copied };
  await target.begin(fresh);
  return fresh;
}

/** Throws PRECONDITION_FAILED when there is anything in it. */
export async function refuseUsed(target: Transfer): Promise<void> {
  if (await target.isEmpty()) return;
  const text = `The ${target.label} holds data already: name an empty target.`;
  throw new EngineError('PRECONDITION_FAILED', text);
}

/**
 * Copies what is left and compares everything. The target stays marked: `target.admit()` is the
 * caller's, when all its own checks are done. Throws STORE_CORRUPT when the two are not equal,
 * PRECONDITION_FAILED when the source was written to meanwhile.
 */
export async function copyRows(
  source: Transfer,
  target: Transfer,
  options: CopyOptions = {},
): Promise<CopyReport> {
  let progress = await beginCopy(source, target);
  for (const kind of KINDS.slice(KINDS.indexOf(progress.kind))) {
    if (progress.kind !== kind) progress = { ...progress, kind, after: null };
    progress = await copyKind(source, target, progress, kind, options);
  }
  if ((await source.state()) !== progress.state) {
    const text = `The ${source.label} was written to meanwhile: stop its writers, begin again.`;
    throw new EngineError('PRECONDITION_FAILED', text);
  }
  await target.finish();
  for (const kind of KINDS) await compareKind(source, target, progress, kind, options);
  return progress.copied;
}

async function copyKind<K extends Kind>(
  source: Transfer,
  target: Transfer,
  begun: Progress,
  kind: K,
  options: CopyOptions,
): Promise<Progress> {
  let progress = begun;
  const of = await source.count(kind);
  for await (const { rows, place } of pages(source, kind, progress.after, options)) {
    const { copied } = progress;
    const sum = rows.reduce((total, row) => total + digest(row), BigInt(`0x${copied[kind].sum}`));
    const tally = { rows: copied[kind].rows + rows.length, sum: hex(sum) };
    const step = progress.step + 1;
    progress = { ...progress, step, kind, after: place, copied: { ...copied, [kind]: tally } };
    await target.write(kind, rows, progress);
    options.tell?.({ phase: 'copying', kind, rows: tally.rows, of });
  }
  return progress;
}

async function* pages<K extends Kind>(
  source: Transfer,
  kind: K,
  after: Place | null,
  { rowsMax = PAGE_ROWS, bytesMax = PAGE_BYTES }: CopyOptions,
): AsyncGenerator<{ rows: Rows[K][]; place: Place }> {
  let rows: Rows[K][] = [];
  let bytes = 0;
  let last: Place = [];
  for await (const { row, place } of source.rows(kind, after)) {
    const size = bytesOf(row);
    if (rows.length > 0 && (rows.length >= rowsMax || bytes + size > bytesMax)) {
      yield { rows, place: last };
      rows = [];
      bytes = 0;
    }
    rows.push(row);
    bytes += size;
    last = place;
  }
  if (rows.length > 0) yield { rows, place: last };
}

/** Both are counted by their own means: a row that the source's pages left out shows here. */
async function compareKind(
  source: Transfer,
  target: Transfer,
  { copied }: Progress,
  kind: Kind,
  { rowsMax = PAGE_ROWS, tell }: CopyOptions,
): Promise<void> {
  const { rows: of, sum } = copied[kind];
  const counts = [await source.count(kind), await target.count(kind)];
  if (counts.some((count) => count !== of)) throw differs(kind, `${counts.join(' and ')} rows`);
  let total = 0n;
  let rows = 0;
  for await (const { row } of target.rows(kind, null)) {
    total += digest(row);
    rows += 1;
    if (rows % rowsMax === 0 || rows === of) tell?.({ phase: 'comparing', kind, rows, of });
  }
  if (rows !== of) throw differs(kind, `${of} and ${rows} rows`);
  if (hex(total) !== sum) throw differs(kind, 'equal counts, other content');
}

function differs(kind: Kind, how: string): EngineError {
  const text = `The copy is not equal to its source: ${kind} (${how}). Begin with an empty target.`;
  return new EngineError('STORE_CORRUPT', text);
}

function hex(sum: bigint): string {
  return (sum % MODULUS).toString(16).padStart(64, '0');
}

/** SHA-256 over a row's fields in the order of their names. */
function digest(row: object): bigint {
  const hash = createHash('sha256');
  feed(hash, row);
  return BigInt(`0x${hash.digest('hex')}`);
}

function feed(hash: Hash, value: unknown): void {
  if (value instanceof Uint8Array) {
    hash.update(`bytes ${value.byteLength}:`);
    hash.update(value);
    return;
  }
  if (typeof value !== 'object' || value === null) {
    hash.update(`${JSON.stringify(value)};`);
    return;
  }
  const fields = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  hash.update(`${Array.isArray(value) ? 'list' : 'row'} ${fields.length}:`);
  for (const [name, field] of fields) {
    hash.update(`${JSON.stringify(name)}=`);
    feed(hash, field);
  }
}

function bytesOf(value: unknown): number {
  if (value instanceof Uint8Array) return value.byteLength;
  if (typeof value === 'string') return value.length;
  if (typeof value !== 'object' || value === null) return 8;
  let total = ROW_BYTES;
  for (const field of Object.values(value)) total += bytesOf(field);
  return total;
}
