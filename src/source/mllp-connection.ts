// One MLLP connection: reads frames, asks for their answers, sends these in the order of the
// messages. It pushes back: at most inflightMax messages wait, then the socket is paused.
import type { Socket } from 'node:net';
import type { Frame } from './mllp-frame.ts';
import { FrameReader, joinFrames } from './mllp-frame.ts';
import type { Holder } from './mllp-shares.ts';
import type { Answer } from './port.ts';

export interface ConnectionOptions {
  frameBytesMax: number;
  idleTimeoutMs: number;
  inflightMax: number;
  /** A frame must be whole so long after its first byte. */
  frameTimeoutMs: number;
  /** Address of the peer, without the port. */
  peer: string;
  /** Told when the bytes of unfinished and unanswered frames have changed. */
  held(holder: Holder, bytes: number): void;
  /** Never rejects; `oversize` frames are to be refused. */
  answer(frame: Frame): Promise<Answer>;
  /** Dropped bytes outside of frames, told when a frame begins or the connection ends. */
  noise(bytes: number): void;
  closed(end: { messages: number; code: string }): void;
}

/** A message and, as soon as it is known, its answer. */
interface Slot {
  frames: readonly Uint8Array[] | undefined;
}

/** Later answers that one connection may wait for before it is paused. */
const LATER_MAX = 10_000;

/** Frames that are taken before the loop goes round. */
const TAKEN_MAX = 256;

/** A frame without its last CR is taken as whole when nothing follows for so long. */
const TAIL_WAIT_MS = 100;

export class MllpConnection implements Holder {
  readonly peer: string;
  /** Resolves when the socket is closed and `closed` of the options was told. */
  readonly done: Promise<void>;
  private resolveDone: () => void = () => undefined;
  private readonly socket: Socket;
  private readonly options: ConnectionOptions;
  private readonly reader: FrameReader;
  private readonly slots: Slot[] = [];
  private tailTimer: NodeJS.Timeout | undefined;
  /** Answers that come after the message's own one, not bound to any order. */
  private laterCount = 0;
  private readonly laterFrames: Uint8Array[] = [];
  private flushing = false;
  private lingerTimer: NodeJS.Timeout | undefined;
  /** No further message is taken: the peer or we are ending. */
  private ending = false;
  private peerEnded = false;
  private drained = false;
  private ended = false;
  private messages = 0;
  private code = 'END';
  /** Bytes of frames that are not answered yet. */
  private unanswered = 0;
  /** Frames taken since the loop last went round. */
  private taken = 0;
  private used = performance.now();
  private frameTimer: NodeJS.Timeout | undefined;

  constructor(socket: Socket, options: ConnectionOptions) {
    this.socket = socket;
    this.options = options;
    this.peer = options.peer;
    this.reader = new FrameReader(options);
    this.done = new Promise((resolve) => {
      this.resolveDone = resolve;
    });
    socket.setTimeout(options.idleTimeoutMs);
    socket.on('data', (chunk: Buffer) => this.receive(chunk));
    socket.on('drain', () => this.pump());
    socket.on('end', () => this.finishReading());
    socket.on('timeout', () => this.expire());
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.code = error.code ?? 'SOCKET_ERROR';
    });
    socket.on('close', () => this.afterClose());
  }

  /** Takes no further message, answers those that were taken, then ends. */
  drain(): void {
    this.ending = true;
    this.drained = true;
    this.socket.pause();
    this.endWhenAnswered();
  }

  destroy(code: string): void {
    this.code = code;
    this.socket.destroy();
  }

  close(code: string): void {
    this.destroy(code);
  }

  isIdle(): boolean {
    return !this.reader.unfinished && this.slots.length === 0 && this.laterCount === 0;
  }

  lastUsed(): number {
    return this.used;
  }

  private receive(chunk: Buffer): void {
    clearTimeout(this.tailTimer);
    this.used = performance.now();
    this.reader.push(chunk);
    this.pump();
    this.watchFrame();
    this.account();
  }

  /** The time of a frame begins with its first byte, and ends with its last one. */
  private watchFrame(): void {
    if (!this.reader.unfinished) {
      clearTimeout(this.frameTimer);
      this.frameTimer = undefined;
    } else if (this.frameTimer === undefined) {
      const { frameTimeoutMs } = this.options;
      this.frameTimer = setTimeout(() => this.endFrame(), frameTimeoutMs);
    }
  }

  private endFrame(): void {
    this.frameTimer = undefined;
    // Where we have paused the peer, it is not to blame.
    if (this.hasRoom()) this.destroy('FRAME_TIMEOUT');
    else this.watchFrame();
  }

  private account(): void {
    if (!this.socket.destroyed) this.options.held(this, this.reader.held + this.unanswered);
  }

  /** Takes frames as long as there is room, then lets the socket flow or not. */
  private pump(): void {
    while (this.hasRoom()) {
      const frame = this.reader.next();
      if (frame === undefined) break;
      this.accept(frame);
      this.watchFrame();
    }
    if (this.ending) return;
    if (!this.hasRoom()) {
      this.socket.pause();
      return;
    }
    if (this.reader.awaitsTail) this.tailTimer = setTimeout(() => this.endTail(), TAIL_WAIT_MS);
    if (this.socket.isPaused()) this.socket.resume();
  }

  private hasRoom(): boolean {
    const { slots, socket } = this;
    const waiting =
      slots.length < this.options.inflightMax &&
      this.laterCount < LATER_MAX &&
      this.unanswered <= this.options.frameBytesMax &&
      this.taken < TAKEN_MAX;
    return waiting && !this.ending && !socket.writableNeedDrain;
  }

  private accept(frame: Frame): void {
    const slot: Slot = { frames: undefined };
    this.slots.push(slot);
    this.messages++;
    this.takeTurn();
    this.tellNoise();
    const { length } = frame.bytes;
    this.unanswered += length;
    if (frame.oversize) this.stopReading('TOO_LARGE');
    this.options.answer(frame).then(
      (answer) => {
        slot.frames = answer.frames ?? [];
        this.unanswered -= length;
        if (answer.later !== undefined) this.awaitLater(answer.later);
        this.scheduleFlush();
      },
      // No answer at all: the sender will send it again, on another connection.
      () => this.destroy('INTERNAL'),
    );
  }

  /** Many small frames in one chunk must not keep the loop from others. */
  private takeTurn(): void {
    if (this.taken === 0) {
      setImmediate(() => {
        this.taken = 0;
        if (!this.socket.destroyed) this.pump();
      });
    }
    this.taken++;
  }

  private awaitLater(later: Promise<Uint8Array[]>): void {
    this.laterCount++;
    later.then(
      (frames) => {
        this.laterCount--;
        this.laterFrames.push(...frames);
        this.scheduleFlush();
      },
      () => this.destroy('INTERNAL'),
    );
  }

  /** Answers that become known in one turn of the loop leave in one write. */
  private scheduleFlush(): void {
    if (this.flushing) return;
    this.flushing = true;
    process.nextTick(() => this.flush());
  }

  private flush(): void {
    this.flushing = false;
    let count = 0;
    const ready = this.laterFrames.splice(0);
    for (const slot of this.slots) {
      if (slot.frames === undefined) break;
      count++;
      ready.push(...slot.frames);
    }
    this.slots.splice(0, count);
    if (ready.length > 0 && this.socket.writable) this.socket.write(joinFrames(ready));
    this.used = performance.now();
    this.pump();
    this.account();
    this.endWhenAnswered();
  }

  private endTail(): void {
    const frame = this.hasRoom() ? this.reader.finishTail() : undefined;
    if (frame !== undefined) this.accept(frame);
  }

  /** The peer sends no more; it may still read its answers. */
  private finishReading(): void {
    clearTimeout(this.tailTimer);
    this.pump();
    this.endTail();
    this.ending = true;
    this.peerEnded = true;
    this.endWhenAnswered();
  }

  private stopReading(code: string): void {
    this.code = code;
    this.ending = true;
    this.socket.pause();
  }

  private endWhenAnswered(): void {
    if (!this.ending || this.ended || this.slots.length > 0 || this.socket.destroyed) return;
    // A peer that half-closed still reads: it gets its later answers too, if it stays.
    if (this.peerEnded && !this.drained && this.laterCount > 0) return;
    this.ended = true;
    // A paused socket would never see the peer's FIN: what still comes is thrown away.
    this.socket.removeAllListeners('data');
    this.socket.end(() => this.socket.resume());
    this.lingerTimer = setTimeout(() => this.socket.destroy(), LINGER_MS);
  }

  private expire(): void {
    if (this.slots.length > 0) return;
    this.destroy(this.ending ? this.code : 'IDLE_TIMEOUT');
  }

  private tellNoise(): void {
    const noise = this.reader.takeNoise();
    if (noise > 0) this.options.noise(noise);
  }

  private afterClose(): void {
    clearTimeout(this.tailTimer);
    clearTimeout(this.lingerTimer);
    clearTimeout(this.frameTimer);
    this.options.held(this, 0);
    this.tellNoise();
    const code = this.code === 'END' && this.reader.unfinished ? 'FRAME_UNFINISHED' : this.code;
    this.options.closed({ messages: this.messages, code });
    this.resolveDone();
  }
}

/** After our end the peer has so long to end too. */
const LINGER_MS = 2_000;
