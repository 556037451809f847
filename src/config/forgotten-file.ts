// The file `forgotten.jsonl` beside the root key: which keys were destroyed. It is kept apart from
// the store and its backups, only grows, and its lines mean nothing here: see record/forgotten.ts.
import { createHash } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readSync,
  statSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { EngineError } from '../model/errors.ts';

/** About 300 000 forgotten patients. */
const FILE_BYTES_MAX = 128 * 1024 * 1024;
/** A key id has at most some 80 characters. */
const LINE_BYTES_MAX = 4_096;
const SUM_HEX = 16;

export interface ForgottenFile {
  /** Texts that were not read before, whoever wrote them. Throws KEY_UNAVAILABLE when damaged. */
  readNew(): string[];
  /** Durable when it returns. A text holds no line end. Throws KEY_UNAVAILABLE when refused. */
  append(texts: readonly string[]): void;
}

/** Touches nothing yet. Each line is a checksum (a bit may flip on disk), a space, and the text. */
export function openForgottenFile(place: { readonly rootKeyFile: string }): ForgottenFile {
  const file = join(dirname(place.rootKeyFile), 'forgotten.jsonl');
  let readTo = 0;
  return {
    readNew() {
      const size = existsSync(file) ? statSync(file).size : 0;
      if (size < readTo) throw unusable(file, 'it has become shorter; put it back from a copy');
      if (size > FILE_BYTES_MAX) throw unusable(file, `it is longer than ${FILE_BYTES_MAX} bytes`);
      if (size === readTo) return [];
      const bytes = readFrom(file, readTo, size);
      const end = bytes.lastIndexOf('\n') + 1; // an append of now, or one that a kill cut off
      readTo += end;
      const lines = bytes.subarray(0, end).toString('utf8').split('\n');
      return lines.filter((line) => line !== '').map((line) => textOf(file, line));
    },
    append(texts) {
      try {
        appendLines(file, texts);
      } catch (cause) {
        const reason = 'Nothing is forgotten while this cannot be written beside the root key';
        const text = `${reason}: ${file} (${(cause as NodeJS.ErrnoException).code}).`;
        throw new EngineError('KEY_UNAVAILABLE', text, { cause });
      }
    },
  };
}

function textOf(file: string, line: string): string {
  const text = line.slice(SUM_HEX + 1);
  if (line === lineOf(text)) return text;
  throw unusable(file, 'a line of it is damaged; put it back from a copy');
}

function lineOf(text: string): string {
  return `${createHash('sha256').update(text).digest('hex').slice(0, SUM_HEX)} ${text}`;
}

/** One write: processes that append at the same time do not mix. */
function appendLines(file: string, texts: readonly string[]): void {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const handle = openSync(file, 'a+', 0o600);
  try {
    removeCutLine(handle);
    const lines = Buffer.from(texts.map((text) => `${lineOf(text)}\n`).join(''));
    if (writeSync(handle, lines) !== lines.length) throw new Error('written in part');
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
  const folder = openSync(dirname(file), 'r');
  fsyncSync(folder);
  closeSync(folder);
}

/** A kill may cut a line off. Its commit was never made: nothing is lost by dropping it. */
function removeCutLine(handle: number): void {
  const { size } = fstatSync(handle);
  const tail = readAll(handle, Math.max(0, size - LINE_BYTES_MAX), size);
  const end = tail.lastIndexOf('\n') + 1;
  if (end < tail.length) ftruncateSync(handle, size - (tail.length - end));
}

function readFrom(file: string, from: number, to: number): Buffer {
  const handle = openSync(file, 'r');
  try {
    return readAll(handle, from, to);
  } finally {
    closeSync(handle);
  }
}

function readAll(handle: number, from: number, to: number): Buffer {
  const bytes = Buffer.alloc(to - from);
  let at = 0;
  while (at < bytes.length) {
    const read = readSync(handle, bytes, at, bytes.length - at, from + at);
    if (read === 0) break;
    at += read;
  }
  return bytes.subarray(0, at);
}

function unusable(file: string, reason: string): EngineError {
  return new EngineError('KEY_UNAVAILABLE', `${file} cannot be used: ${reason}.`);
}
