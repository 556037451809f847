// Cuts a frame or file into messages: FHS/BHS/BTS/FTS batches, and several MSH in one frame. It
// gives ranges of the bytes, never copies, and never cuts inside a message.
import type { Issue } from '../model/issue.ts';
import type { Line } from './lines.ts';
import { visitLines } from './lines.ts';
import { issueAt } from './path.ts';

/** Half-open range of bytes. */
export interface ByteRange {
  start: number;
  end: number;
}

export interface Batch {
  /** In order; every range begins at `MSH` (the first may begin with a BOM or VT). */
  messages: ByteRange[];
  /** Counts that do not match, missing trailers, stray segments: warnings, about the container. */
  issues: Issue[];
  /** There was an FHS or BHS. */
  enveloped: boolean;
}

/**
 * A single message gives one range over all bytes. Bytes without any MSH, or with more than
 * `messagesMax` messages, give no range and an error.
 */
export function splitBatch(bytes: Uint8Array, messagesMax = 100_000): Batch {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (isSingle(buffer)) {
    return { messages: [{ start: 0, end: buffer.length }], issues: [], enveloped: false };
  }
  return new Splitter(messagesMax).run(buffer.toString('latin1'));
}

/** Begins with MSH and nothing later looks like a header or trailer at the start of a line. */
function isSingle(buffer: Buffer): boolean {
  if (buffer[0] !== 0x4d || buffer[1] !== 0x53 || buffer[2] !== 0x48) return false;
  return !MARKS.some((mark) => buffer.includes(mark, 3, 'latin1'));
}

const MARKS = ['\rMSH', '\nMSH', '\x0bMSH', 'BTS', 'FTS', 'BHS', 'FHS'];
const STRAY_MAX = 20;
const BATCH_ISSUES_MAX = 100;

class Splitter {
  private readonly messagesMax: number;
  private messages: ByteRange[] = [];
  private readonly issues: Issue[] = [];
  private enveloped = false;
  private start = -1;
  private stray = 0;
  /** Messages since BHS and batches since FHS; undefined = no such header is open. */
  private inBatch: number | undefined;
  private inFile: number | undefined;

  constructor(messagesMax: number) {
    this.messagesMax = messagesMax;
  }

  run(text: string): Batch {
    visitLines(text, (line) => {
      this.take(line);
      return this.messages.length <= this.messagesMax;
    });
    this.closeMessage(text.length);
    if (this.inBatch !== undefined) this.warn('BTS', 'The batch has no trailer.');
    if (this.inFile !== undefined) this.warn('FTS', 'The file has no trailer.');
    if (this.stray > STRAY_MAX) this.warn('line', `${this.stray} segments stand before MSH.`);
    if (this.messages.length > this.messagesMax) {
      this.messages = [];
      const many = `There are more than ${this.messagesMax} messages.`;
      this.issues.push(issueAt('MSH', 'error', 'too-long', many));
    } else if (this.messages.length === 0) {
      this.issues.push(issueAt('MSH', 'error', 'structure', 'There is no MSH segment.'));
    }
    return { messages: this.messages, issues: this.issues, enveloped: this.enveloped };
  }

  private take(line: Line): void {
    const name = line.text.slice(0, 3);
    // A name is followed by its separator: `MSHX` is no header.
    const named = !/[\w\s]/.test(line.text.charAt(3) || (name === 'MSH' ? 'x' : '|'));
    if (named && name === 'MSH') this.openMessage(line);
    else if (named && (name === 'FHS' || name === 'BHS')) this.openContainer(name, line);
    else if (named && (name === 'BTS' || name === 'FTS')) this.closeContainer(name, line);
    else if (this.start < 0) this.reportStray(line);
  }

  private openMessage(line: Line): void {
    this.closeMessage(line.start);
    this.start = line.start;
    if (this.inBatch !== undefined) this.inBatch++;
  }

  private closeMessage(end: number): void {
    if (this.start >= 0) this.messages.push({ start: this.start, end });
    this.start = -1;
  }

  private openContainer(name: 'FHS' | 'BHS', line: Line): void {
    this.closeMessage(line.start);
    this.enveloped = true;
    if (name === 'FHS' && this.inBatch !== undefined) {
      this.warn('BTS', 'A file begins inside of a batch: the batch has no trailer.');
      this.inBatch = undefined;
    }
    if (name === 'BHS') {
      if (this.inBatch !== undefined) this.warn('BTS', 'The batch has no trailer.');
      this.inBatch = 0;
      if (this.inFile !== undefined) this.inFile++;
    } else {
      if (this.inFile !== undefined) this.warn('FTS', 'The file has no trailer.');
      this.inFile = 0;
    }
  }

  private closeContainer(name: 'BTS' | 'FTS', line: Line): void {
    this.closeMessage(line.start);
    const counted = name === 'BTS' ? this.inBatch : this.inFile;
    if (name === 'FTS' && this.inBatch !== undefined) {
      this.warn('BTS', 'The file ends inside of a batch: the batch has no trailer.');
      this.inBatch = undefined;
    }
    const first = line.text.slice(4).split(line.text.charAt(3) || '|', 1)[0] ?? '';
    const declared = /^\s*(\d{1,9})\s*$/.exec(first)?.[1];
    if (declared === undefined && first.trim() !== '') {
      this.warn(`${name}-1`, 'The count is not a number.');
    }
    if (counted === undefined) {
      this.warn(name, 'A trailer without its header.');
    } else if (declared !== undefined && Number(declared) !== counted) {
      this.warn(`${name}-1`, `It declares ${declared} and ${counted} were found.`);
    }
    if (name === 'BTS') this.inBatch = undefined;
    else this.inFile = undefined;
  }

  private reportStray(line: Line): void {
    this.stray++;
    const name = /^[A-Z][A-Z0-9]{2}(?=\W|$)/.exec(line.text)?.[0] ?? 'line';
    if (this.stray <= STRAY_MAX) this.warn(name, 'A segment outside of any message was left out.');
  }

  private warn(at: string, text: string): void {
    if (this.issues.length >= BATCH_ISSUES_MAX) return;
    this.issues.push(issueAt(at, 'warning', 'structure', text));
  }
}
