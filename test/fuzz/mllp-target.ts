// Mutated frames over MLLP. A frame that asks for an answer gets one, and the connection goes on:
// behind each mutated frame stands a good message whose answer tells that it was all read.
import { connect, type Socket } from 'node:net';
import { FrameReader, writeFrame } from '../../src/source/mllp-frame.ts';
import { adt } from '../support/messages.ts';
import { mutateHl7 } from './mutate-hl7.ts';
import { mutateBytes } from './mutate-text.ts';
import type { Random } from './random.ts';
import type { Watched } from './server.ts';

const ANSWER_MS = 15_000;
const CHANNELS = ['adt-inbound', 'lab-inbound'];

let probes = 0;

export async function fuzzFrame(random: Random, seeds: string[], server: Watched): Promise<void> {
  const text = mutateHl7(random, random.pick(seeds));
  const broken = random.chance(0.15);
  const content = Buffer.from(text, 'latin1');
  const bytes = broken ? mutateBytes(random, writeFrame(content)) : writeFrame(content);
  const port = server.ready.ports[random.pick(CHANNELS)] ?? 0;
  probes += 1;
  const id = `PROBE-${process.pid}-${probes}`;
  const probe = writeFrame(
    Buffer.from(adt({ id, pid: `F${random.below(50)}` }).replaceAll('\n', '\r')),
  );
  const heard = await exchange(port, [bytes, probe], id);
  const isWhole = !broken && !/[\u000b\u001c]/.test(text);
  if (!heard.probed && isWhole) server.report('a frame took the connection with it', bytes);
  if (!heard.probed && !heard.closed) server.report('a connection fell silent', bytes);
  const wanted = isWhole && asksForAnswer(text);
  if (heard.probed && wanted && heard.before === 0) server.report('a frame got no answer', bytes);
}

/** Original mode: MSH with neither MSH-15 nor MSH-16 (HL7 v2.5.1 section 2.9.2). */
function asksForAnswer(text: string): boolean {
  const header = text.split(/[\r\n]/)[0] ?? '';
  if (!/^MSH[^A-Za-z0-9\s\u0000-\u001f]/.test(header)) return false;
  const fields = header.split(header[3] ?? '|');
  return (fields[14] ?? '') === '' && (fields[15] ?? '') === '';
}

interface Heard {
  /** Answers before that of the probe. */
  before: number;
  probed: boolean;
  closed: boolean;
}

function exchange(port: number, parts: Uint8Array[], probe: string): Promise<Heard> {
  return new Promise((resolve) => {
    const socket: Socket = connect({ port, host: '127.0.0.1' });
    const reader = new FrameReader({ frameBytesMax: 64 * 1024 * 1024 });
    const heard: Heard = { before: 0, probed: false, closed: false };
    const end = () => {
      clearTimeout(timer);
      socket.destroy();
      resolve(heard);
    };
    const timer = setTimeout(end, ANSWER_MS);
    socket.on('data', (chunk: Buffer) => {
      reader.push(chunk);
      for (let frame = reader.next(); frame; frame = reader.next()) {
        heard.probed ||= Buffer.from(frame.bytes).includes(`|${probe}`);
        if (heard.probed) return end();
        heard.before += 1;
      }
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      heard.closed = true;
      end();
    });
    socket.on('connect', () => {
      for (const part of parts) socket.write(part);
    });
  });
}
