// The framer: frames come out the same whatever the chunks are, and memory is bounded.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FrameReader, joinFrames, writeFrame } from '../../src/source/mllp-frame.ts';

const LIMITS = { frameBytesMax: 1000 };

interface ReadAll {
  frames: string[];
  noise: number;
  oversize: boolean;
  awaitsTail: boolean;
  unfinished: boolean;
}

function read(chunks: string[], limits = LIMITS): ReadAll {
  const reader = new FrameReader(limits);
  const frames: string[] = [];
  let oversize = false;
  let noise = 0;
  for (const chunk of chunks) {
    reader.push(Buffer.from(chunk, 'latin1'));
    for (let frame = reader.next(); frame; frame = reader.next()) {
      frames.push(Buffer.from(frame.bytes).toString('latin1'));
      oversize ||= frame.oversize;
    }
    noise += reader.takeNoise();
  }
  const { awaitsTail, unfinished } = reader;
  return { frames, noise, oversize, awaitsTail, unfinished };
}

describe('FrameReader', () => {
  it.each([
    ['one frame', '\x0babc\x1c\r', ['abc'], 0],
    ['two frames', '\x0ba\x1c\r\x0bb\x1c\r', ['a', 'b'], 0],
    ['an empty frame', '\x0b\x1c\r', [''], 0],
    ['noise', 'GET /\r\n\x0ba\x1c\rxx\x0bb\x1c\r', ['a', 'b'], 7],
    ['line ends between frames, not counted', '\r\n\x0ba\x1c\r\r\n\x00\x0bb\x1c\r', ['a', 'b'], 0],
    ['LF after FS', '\x0ba\x1c\n\x0bb\x1c\r', ['a', 'b'], 0],
    ['no CR before the next VT', '\x0ba\x1c\x0bb\x1c\r', ['a', 'b'], 0],
    ['FS as data', '\x0ba\x1cb\x1c\x1cc\x1c\r', ['a\x1cb\x1c\x1cc'], 0],
    ['VT as data', '\x0ba\x0bb\x1c\r', ['a\x0bb'], 0],
    ['a sender that broke off and began anew', '\x0bMSH|old\x0bMSH|new\x1c\r', ['MSH|new'], 8],
  ])('reads %s', (_, stream, frames, noise) => {
    expect(read([stream])).toMatchObject({ frames, noise, oversize: false, unfinished: false });
    expect(read([...stream])).toMatchObject({ frames, noise });
  });

  it('tells a frame that is not finished from one that misses its last CR', () => {
    expect(read(['\x0bab'])).toMatchObject({ frames: [], awaitsTail: false, unfinished: true });
    expect(read(['\x0bab\x1c'])).toMatchObject({ frames: [], awaitsTail: true });
    const reader = new FrameReader(LIMITS);
    reader.push(Buffer.from('\x0bab\x1c'));
    expect(reader.next()).toBeUndefined();
    expect(reader.finishTail()?.bytes).toEqual(new Uint8Array([97, 98]));
    expect(reader.finishTail()).toBeUndefined();
  });

  it.each([1000, 1001])('keeps to its limit at %i bytes', (length) => {
    const whole = `\x0b${'x'.repeat(length)}\x1c\r`;
    const oversize = length > 1000;
    expect(read([whole]).oversize).toBe(oversize);
    expect(read([...whole]).oversize).toBe(oversize);
    expect(read([`\x0b${'x'.repeat(length)}`]).oversize).toBe(oversize);
  });

  it('keeps the head of a frame that is too large, and reads nothing after it', () => {
    const { frames } = read(['\x0bMSH|', 'x'.repeat(2000), '\x1c\r\x0bnext\x1c\r']);
    expect(frames.length).toBe(1);
    expect(frames[0]?.startsWith('MSH|x')).toBe(true);
  });

  it('gives each frame a buffer of its own', () => {
    const reader = new FrameReader(LIMITS);
    const chunk = Buffer.from('\x0babc\x1c\r');
    reader.push(chunk);
    const frame = reader.next();
    chunk.fill(0);
    expect(Buffer.from(frame?.bytes ?? []).toString()).toBe('abc');
    expect(frame?.bytes.buffer.byteLength).toBe(3);
  });

  it('reads the same frames under any chunking', () => {
    const content = fc.string({ unit: fc.constantFrom(...'MSH|a\r\n\x1c'), maxLength: 30 });
    const legal = content.filter((text) => !/\x1c(\r|\n|$)/.test(text));
    fc.assert(
      fc.property(
        fc.array(legal, { maxLength: 6 }),
        fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 60 }),
        (contents, cuts) => {
          const parts = contents.map((text) => Buffer.from(text, 'latin1'));
          const stream = Buffer.from(joinFrames(parts)).toString('latin1');
          const chunks: string[] = [];
          for (let at = 0, i = 0; at < stream.length; i++) {
            const size = cuts[i % cuts.length] ?? 1;
            chunks.push(stream.slice(at, at + size));
            at += size;
          }
          const { frames, noise, unfinished } = read(chunks);
          expect({ frames, noise, unfinished }).toEqual({
            frames: contents,
            noise: 0,
            unfinished: false,
          });
        },
      ),
      { numRuns: 1000 },
    );
  });

  it('never fails on random bytes, and loses none of them unseen', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 20 }), { maxLength: 20 }), (chunks) => {
        const reader = new FrameReader({ frameBytesMax: 100 });
        for (const chunk of chunks) {
          reader.push(Buffer.from(chunk));
          while (reader.next()) expect(reader.takeNoise()).toBeGreaterThanOrEqual(0);
        }
      }),
    );
  });
});

describe('framing costs no more than its bytes', () => {
  const SIZE = 2 * 1024 * 1024;
  const fill = (unit: number[]) => Buffer.alloc(SIZE, Buffer.from(unit));
  const framed = (content: Buffer) =>
    Buffer.concat([Buffer.from([0x0b]), content, Buffer.from([0x1c, 0x0d])]);

  /** CPU ms to read the stream, the least of three. */
  function cost(stream: Buffer, chunkBytes: number): number {
    const times = [1, 2, 3].map(() => {
      const reader = new FrameReader({ frameBytesMax: 2 * SIZE });
      const begun = process.cpuUsage();
      for (let at = 0; at < stream.length; at += chunkBytes) {
        reader.push(stream.subarray(at, at + chunkBytes));
        while (reader.next() !== undefined) reader.takeNoise();
      }
      const { user, system } = process.cpuUsage(begun);
      return (user + system) / 1_000;
    });
    return Math.min(...times);
  }

  /** As many steps as bytes, each as plain as a step can be. */
  function calibrate(): number {
    const bytes = fill([0x41, 0x0d]);
    const begun = process.cpuUsage();
    let sum = 0;
    for (let round = 0; round < 4; round += 1) {
      for (let i = 0; i < bytes.length; i++) if (bytes[i] === 0x0d) sum += i % 7;
    }
    expect(sum).toBeGreaterThan(0);
    const { user, system } = process.cpuUsage(begun);
    return Math.max(1, (user + system) / 1_000);
  }

  it.each([
    ['VT', framed(fill([0x0b]))],
    ['FS', framed(fill([0x1c]))],
    ['FS and another', framed(fill([0x1c, 0x41]))],
    ['VT and a header', framed(fill([...Buffer.from('\x0bMSH|')]))],
    ['VT and half a header', framed(fill([...Buffer.from('\x0bMS')]))],
    ['noise before a frame', fill([0x41])],
    ['CR between frames', fill([0x0d])],
    ['text', framed(fill([0x41]))],
  ])('whatever they are: %s', (_, stream) => {
    const unit = calibrate();
    // Measured: below 1. A step for each VT or FS that is more than a look makes it 5 to 22.
    expect(cost(stream, 64 * 1024) / unit).toBeLessThan(3);
  });

  it.each([1, 7, 64])('however they are cut: chunks of %i', (chunkBytes) => {
    const stream = framed(fill([0x1c, 0x41, 0x0b])).subarray(0, SIZE / 8);
    const unit = calibrate();
    expect(cost(stream, chunkBytes) / unit).toBeLessThan(40);
  });

  it('and holds no more than the limit and what one read brings', () => {
    const reader = new FrameReader({ frameBytesMax: 100_000 });
    reader.push(Buffer.from([0x0b]));
    let most = 0;
    for (let n = 0; n < 99; n += 1) {
      reader.push(Buffer.alloc(1_000, 0x41));
      reader.next();
      most = Math.max(most, reader.held);
    }
    expect(most).toBeLessThanOrEqual(100_000 + 64 * 1024);
  });
});

describe('writing frames', () => {
  it('puts every part between VT and FS CR', () => {
    expect(Buffer.from(writeFrame(Buffer.from('ab'))).toString('latin1')).toBe('\x0bab\x1c\r');
    const both = joinFrames([Buffer.from('a'), Buffer.from('')]);
    expect(Buffer.from(both).toString('latin1')).toBe('\x0ba\x1c\r\x0b\x1c\r');
  });
});
