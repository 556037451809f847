// Frames of the MongoDB wire protocol: OP_MSG (sections of kind 0 and 1) and, for the first
// handshake, OP_QUERY with OP_REPLY. A checksum is cut off unread; OP_COMPRESSED is refused.
import { BSON } from 'mongodb';
import { type Doc, isDoc } from './values.ts';

export interface Message {
  requestId: number;
  command: Doc;
  /** The client wants no answer (write concern 0). */
  silent: boolean;
  legacy: boolean;
}

const OP_REPLY = 1;
const OP_QUERY = 2004;
const OP_MSG = 2013;
const CHECKSUM_PRESENT = 1;
const MORE_TO_COME = 2;
const HEADER = 16;
export const MESSAGE_BYTES_MAX = 48_000_000;

/** Collects bytes and gives whole messages; throws on what is not this protocol. */
export class MessageReader {
  #chunks: Buffer[] = [];
  #size = 0;

  push(chunk: Buffer): Message[] {
    this.#chunks.push(chunk);
    this.#size += chunk.length;
    const messages: Message[] = [];
    for (;;) {
      const frame = this.#frame();
      if (frame === undefined) return messages;
      messages.push(parse(frame));
    }
  }

  #frame(): Buffer | undefined {
    if (this.#size < HEADER) return undefined;
    let [first] = this.#chunks;
    if (first === undefined || first.length < 4) first = this.#joined();
    const length = first.readInt32LE(0);
    if (length < HEADER || length > MESSAGE_BYTES_MAX)
      throw new Error(`message of ${length} bytes`);
    if (this.#size < length) return undefined;
    const whole = this.#joined();
    const rest = whole.subarray(length);
    this.#chunks = rest.length > 0 ? [rest] : [];
    this.#size = rest.length;
    return whole.subarray(0, length);
  }

  #joined(): Buffer {
    const whole = this.#chunks.length === 1 ? this.#chunks[0] : Buffer.concat(this.#chunks);
    this.#chunks = whole === undefined ? [] : [whole];
    return whole ?? Buffer.alloc(0);
  }
}

function parse(frame: Buffer): Message {
  const requestId = frame.readInt32LE(4);
  const opCode = frame.readInt32LE(12);
  if (opCode === OP_QUERY) return parseQuery(frame, requestId);
  if (opCode !== OP_MSG) throw new Error(`stand-in refuses op code ${opCode}`);
  const flags = frame.readUInt32LE(HEADER);
  const end = (flags & CHECKSUM_PRESENT) === 0 ? frame.length : frame.length - 4;
  const command = readSections(frame, HEADER + 4, end);
  return { requestId, command, silent: (flags & MORE_TO_COME) !== 0, legacy: false };
}

function readSections(frame: Buffer, start: number, end: number): Doc {
  let body: Doc = {};
  const lists: Doc = {};
  for (let at = start; at < end; ) {
    const kind = frame.readUInt8(at++);
    const size = frame.readInt32LE(at);
    if (kind === 0) body = readDoc(frame, at, size);
    else if (kind === 1) readList(frame, at, size, lists);
    else throw new Error(`stand-in refuses sections of kind ${kind}`);
    at += size;
  }
  return { ...body, ...lists };
}

function readList(frame: Buffer, start: number, size: number, lists: Doc): void {
  const nameEnd = frame.indexOf(0, start + 4);
  const docs: Doc[] = [];
  for (let at = nameEnd + 1; at < start + size; ) {
    const length = frame.readInt32LE(at);
    docs.push(readDoc(frame, at, length));
    at += length;
  }
  lists[frame.toString('utf8', start + 4, nameEnd)] = docs;
}

function readDoc(frame: Buffer, at: number, size: number): Doc {
  return BSON.deserialize(frame.subarray(at, at + size));
}

function parseQuery(frame: Buffer, requestId: number): Message {
  const nameEnd = frame.indexOf(0, HEADER + 4);
  const at = nameEnd + 1 + 8;
  const command = readDoc(frame, at, frame.readInt32LE(at));
  const inner = isDoc(command.$query) ? command.$query : command;
  return { requestId, command: { ...inner, $db: 'admin' }, silent: false, legacy: true };
}

/** The answer in the form of the question. */
export function encodeReply(to: Message, reply: Doc): Buffer {
  const body = BSON.serialize(reply, { ignoreUndefined: true });
  const extra = to.legacy ? 20 : 5;
  const frame = Buffer.alloc(HEADER + extra + body.length);
  frame.writeInt32LE(frame.length, 0);
  frame.writeInt32LE(to.requestId, 8);
  frame.writeInt32LE(to.legacy ? OP_REPLY : OP_MSG, 12);
  if (to.legacy) frame.writeInt32LE(1, HEADER + 16);
  frame.set(body, HEADER + extra);
  return frame;
}
