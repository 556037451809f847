// Finds the MSH segment in raw bytes, cheaply: the bytes are seen as latin1, one character a byte.
// What the fields mean is for header.ts and charset.ts.
import { visitLines } from './lines.ts';

export interface PeekedMsh {
  /** The segment as latin1, from `MSH` to before its end. */
  text: string;
  /** Split at the separator: fields[0] is `MSH`, fields[n] is MSH-(n+1). */
  fields: string[];
  /** Index of the first byte after the segment's text: its end, or the bytes' length. */
  end: number;
}

/** undefined = there is no MSH segment, its separator is missing, or it is beyond 64 KiB. */
export function peekMsh(bytes: Uint8Array): PeekedMsh | undefined {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const start = findStart(buffer);
  if (start < 0) return undefined;
  const end = findLineEnd(buffer, start);
  if (end - start > MSH_BYTES_MAX) return undefined;
  const text = buffer.toString('latin1', start, end);
  const separator = text.charAt(3);
  if (separator === '' || /[\w\s]/.test(separator)) return undefined;
  return { text, fields: text.split(separator), end };
}

/** A longer one is no MSH; it would only cost memory. */
const MSH_BYTES_MAX = 65_536;

/** MLLP's trailer, where a message came with its frame. */
const FS = 0x1c;

/** Index of the CR, LF or trailing FS that ends the line at `from`, or the length. */
export function findLineEnd(buffer: Buffer, from: number): number {
  const cr = buffer.indexOf(13, from);
  const stop = cr < 0 ? buffer.length : cr;
  const lf = buffer.subarray(from, stop).indexOf(10);
  const end = lf < 0 ? stop : from + lf;
  return end > from && buffer[end - 1] === FS ? end - 1 : end;
}

function findStart(buffer: Buffer): number {
  let start = buffer[0] === 0xef && buffer[1] === 0xbb && buffer[2] === 0xbf ? 3 : 0;
  for (let byte = buffer[start]; byte !== undefined && byte <= 0x20; byte = buffer[start]) start++;
  if (beginsMsh(buffer, start)) return start;
  let found = -1;
  visitLines(buffer.toString('latin1'), (line) => {
    if (line.text.startsWith('MSH')) found = line.start;
    return found < 0;
  });
  return found;
}

function beginsMsh(buffer: Buffer, at: number): boolean {
  return buffer[at] === 0x4d && buffer[at + 1] === 0x53 && buffer[at + 2] === 0x48;
}
