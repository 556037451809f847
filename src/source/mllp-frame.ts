// MLLP frames, release 1: VT, content, FS CR. Cuts a byte stream into frames whatever its chunks
// are, with bounded memory, each byte looked at once. It knows nothing of sockets or HL7.

const VT = 0x0b;
const FS = 0x1c;
const CR = 0x0d;
const LF = 0x0a;

export interface Frame {
  /** Content in a buffer of its own; of a frame beyond the limit its head only. */
  bytes: Uint8Array;
  /** Beyond the limit: the stream cannot be read on. */
  oversize: boolean;
}

export interface FrameLimits {
  frameBytesMax: number;
}

/** What one read of a socket brings at most: a frame may be over its limit by so much. */
const CHUNK_BYTES = 64 * 1024;

/** How much of a frame beyond the limit is kept, to answer it. */
const HEAD_BYTES = 64 * 1024;

/** `bytes` in a frame. */
export function writeFrame(bytes: Uint8Array): Uint8Array {
  return joinFrames([bytes]);
}

/** Every part in its own frame, in one buffer. */
export function joinFrames(parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length + 3;
  const out = Buffer.allocUnsafe(length);
  let at = 0;
  for (const part of parts) {
    out[at] = VT;
    out.set(part, at + 1);
    at += part.length + 1;
    out[at] = FS;
    out[at + 1] = CR;
    at += 2;
  }
  return out;
}

/**
 * Give it chunks with `push`, take frames with `next` until there is none. FS ends a frame when CR
 * follows (or LF, or the VT of the next frame); any other FS is content.
 */
export class FrameReader {
  private readonly limits: FrameLimits;
  private readonly chunks: Buffer[] = [];
  private at = 0;
  private open = false;
  /** The last byte was an FS that is not yet known to be the end. */
  private tail = false;
  /** Content of the open frame: one view while it is one piece, else a growing buffer. */
  private piece: Buffer | undefined;
  private grown: Buffer | undefined;
  private length = 0;
  private noise = 0;
  private broken = false;

  constructor(limits: FrameLimits) {
    this.limits = limits;
  }

  push(chunk: Buffer): void {
    if (chunk.length > 0) this.chunks.push(chunk);
  }

  /** A frame has everything but the CR after its FS: it may be finished when no more comes. */
  get awaitsTail(): boolean {
    return this.tail && this.chunks.length === 0;
  }

  /** Bytes that are kept of the open frame, and of chunks that are not looked at yet. */
  get held(): number {
    const kept = this.grown?.length ?? this.length;
    return this.chunks.reduce((sum, { length }) => sum + length, kept);
  }

  /** A frame has begun and not ended. */
  get unfinished(): boolean {
    return this.open;
  }

  /** The next frame; undefined = push more. After an oversize frame there is never another one. */
  next(): Frame | undefined {
    for (;;) {
      const chunk = this.chunks[0];
      if (chunk === undefined || this.broken) return undefined;
      if (this.at >= chunk.length) {
        this.chunks.shift();
        this.at = 0;
        continue;
      }
      if (this.tail && this.endsAt(chunk)) return this.finish();
      if (!this.open && !this.begin(chunk)) continue;
      this.take(chunk);
      if (this.length > this.limits.frameBytesMax) return this.refuse();
    }
  }

  /** Ends a frame that only misses its last CR. */
  finishTail(): Frame | undefined {
    return this.awaitsTail ? this.finish() : undefined;
  }

  /** Bytes dropped since the last call; CR, LF and NUL between frames are not counted. */
  takeNoise(): number {
    const { noise } = this;
    this.noise = 0;
    return noise;
  }

  /** Looks at the byte after an FS. */
  private endsAt(chunk: Buffer): boolean {
    const byte = chunk[this.at];
    if (byte === CR || byte === LF) {
      this.at++;
      return true;
    }
    if (byte === VT) return true;
    this.tail = false;
    this.append(FS_BYTE);
    return false;
  }

  private begin(chunk: Buffer): boolean {
    const start = chunk.indexOf(VT, this.at);
    const end = start < 0 ? chunk.length : start;
    for (let i = this.at; i < end; i++) {
      const byte = chunk[i];
      if (byte !== CR && byte !== LF && byte !== 0) this.noise++;
    }
    this.at = start < 0 ? end : start + 1;
    this.open = start >= 0;
    return this.open;
  }

  private take(chunk: Buffer): void {
    const end = endOfContent(chunk, this.at);
    this.append(chunk.subarray(this.at, end));
    this.at = Math.min(end + 1, chunk.length);
    this.tail = end < chunk.length;
  }

  private append(bytes: Buffer): void {
    const length = this.length + bytes.length;
    if (this.length === 0) {
      this.piece = bytes;
    } else if (bytes.length > 0) {
      this.grow(length);
      this.grown?.set(bytes, this.length);
    }
    this.length = length;
  }

  /** Doubles, so that assembling a frame of many chunks stays linear. */
  private grow(length: number): void {
    if (this.grown === undefined || this.grown.length < length) {
      const most = Math.max(length, this.limits.frameBytesMax + CHUNK_BYTES);
      const bigger = Buffer.allocUnsafeSlow(Math.min(Math.max(length * 2, 4096), most));
      const old = this.grown ?? this.piece;
      if (old !== undefined) bigger.set(old.subarray(0, this.length));
      this.grown = bigger;
      this.piece = undefined;
    }
  }

  private finish(): Frame {
    const content = this.content();
    const start = restart(content);
    this.noise += start;
    const bytes = new Uint8Array(content.length - start);
    bytes.set(start === 0 ? content : content.subarray(start));
    this.reset();
    return { bytes, oversize: false };
  }

  private refuse(): Frame {
    const bytes = new Uint8Array(this.content().subarray(0, HEAD_BYTES));
    this.reset();
    this.chunks.length = 0;
    this.broken = true;
    return { bytes, oversize: true };
  }

  private content(): Buffer {
    return (this.piece ?? this.grown ?? Buffer.alloc(0)).subarray(0, this.length);
  }

  private reset(): void {
    this.open = false;
    this.tail = false;
    this.piece = undefined;
    this.grown = undefined;
    this.length = 0;
  }
}

const FS_BYTE = Buffer.from([FS]);

/** Place of the FS that ends the frame, or may as the last byte; else of the chunk's end. */
function endOfContent(chunk: Buffer, from: number): number {
  const first = chunk.indexOf(FS, from);
  if (first < 0) return chunk.length;
  // Byte by byte: a call for each of many FS would cost more than all the bytes between.
  for (let i = first; i < chunk.length; i++) {
    if (chunk[i] !== FS) continue;
    const next = chunk[i + 1];
    if (next === undefined || next === CR || next === LF || next === VT) return i;
  }
  return chunk.length;
}

/**
 * Where a sender broke off and began anew, VT and a header segment stand inside the frame: what was
 * broken off is dropped, for it must not be taken for a whole message.
 */
function restart(content: Buffer): number {
  const starts = HEADERS.map((header) => content.lastIndexOf(header) + 1);
  return Math.max(...starts);
}

const HEADERS = ['MSH', 'FHS', 'BHS'].map((name) => Buffer.from([VT, ...Buffer.from(name)]));
