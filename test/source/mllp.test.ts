// The MLLP source over real sockets: order, backpressure, limits, closing.
import { afterEach, describe, expect, it } from 'vitest';
import type { MllpSource } from '../../src/model/channel.ts';
import type { MllpContext } from '../../src/source/mllp.ts';
import type { Answer } from '../../src/source/port.ts';
import { answer, gate, openTestSource, type TestSource, until } from '../support/mllp.ts';

const opened: TestSource[] = [];

async function start(
  options: Partial<MllpSource> = {},
  receive?: (text: string) => Promise<Answer>,
  context: Partial<MllpContext> = {},
): Promise<TestSource> {
  const source = await openTestSource(options, receive, context);
  opened.push(source);
  return source;
}

afterEach(async () => {
  await Promise.all(opened.splice(0).map((source) => source.listener.close(200)));
});

function text(frames: Uint8Array[]): string[] {
  return frames.map((frame) => Buffer.from(frame).toString('latin1'));
}

describe('answers', () => {
  it('come back, one frame each', async () => {
    const source = await start();
    const client = await source.connect();
    expect(text(await client.send(Buffer.from('one')))).toEqual(['ack one']);
    expect(text(await client.send(Buffer.from('two')))).toEqual(['ack two']);
    await client.close();
    await until(() => source.events.length === 2);
    expect(source.events).toEqual([
      'connection.opened channel=test',
      'connection.closed channel=test messages=2 code=END',
    ]);
  });

  it('leave in the order of the messages, whichever is ready first', async () => {
    const first = gate();
    const source = await start({}, async (name) => {
      if (name === '0') await first.passed;
      return answer(`ack ${name}`);
    });
    const client = await source.connect();
    const sent = ['0', '1', '2'].map((name) => client.send(Buffer.from(name)));
    await until(() => source.received.length === 3);
    first.open();
    expect((await Promise.all(sent)).map(text)).toEqual([['ack 0'], ['ack 1'], ['ack 2']]);
    await client.close();
  });

  it('may be several, or none', async () => {
    const source = await start({}, async (name) => (name === 'quiet' ? {} : answer('CA', 'AA')));
    const client = await source.connect();
    await client.send(Buffer.from('quiet'), 0);
    expect(text(await client.send(Buffer.from('x'), 2))).toEqual(['CA', 'AA']);
    await client.close();
  });

  it('that come later are sent in their time, also to a peer that half-closed', async () => {
    const done = gate();
    const source = await start({}, async () => ({
      ...answer('CA'),
      later: done.passed.then(() => [Buffer.from('AA')]),
    }));
    const raw = await source.socket({ allowHalfOpen: true });
    raw.socket.end('\x0bx\x1c\r');
    await until(() => raw.read() === '\x0bCA\x1c\r');
    done.open();
    await raw.ended;
    expect(raw.read()).toBe('\x0bCA\x1c\r\x0bAA\x1c\r');
    raw.socket.destroy();
  });

  it('reach a peer that half-closed before they were ready', async () => {
    const wait = gate();
    const source = await start({}, async (name) => {
      await wait.passed;
      return answer(`ack ${name}`);
    });
    const raw = await source.socket({ allowHalfOpen: true });
    raw.socket.end('\x0ba\x1c\r\x0bb\x1c');
    await until(() => source.received.length === 2);
    wait.open();
    await raw.ended;
    expect(raw.read()).toBe('\x0back a\x1c\r\x0back b\x1c\r');
    raw.socket.destroy();
  });

  it('are missing when the receiver fails, and the connection ends', async () => {
    const source = await start({}, async () => {
      throw new Error('broken promise');
    });
    const client = await source.connect();
    await expect(client.send(Buffer.from('x'))).rejects.toMatchObject({ code: 'PEER_UNAVAILABLE' });
    await until(() => source.events.length === 2);
    expect(source.events[1]).toBe('connection.closed channel=test messages=1 code=INTERNAL');
  });
});

describe('framing', () => {
  it('takes a frame without its last CR after a short wait', async () => {
    const source = await start();
    const raw = await source.socket();
    raw.socket.write('\x0bone\x1c');
    await until(() => raw.read() === '\x0back one\x1c\r');
    raw.socket.write('\r\x0btwo\x1c\r');
    await until(() => raw.read().endsWith('ack two\x1c\r'));
    raw.socket.destroy();
  });

  it('counts noise and an unfinished frame, and goes on', async () => {
    const source = await start();
    const raw = await source.socket();
    raw.socket.write('noise\x0bone\x1c\rmore\x0btwo\x1c\r\x0bhalf');
    await until(() => source.received.length === 2);
    raw.socket.end();
    await until(() => source.events.length === 4);
    expect(source.received).toEqual(['one', 'two']);
    expect(source.events.slice(1)).toEqual([
      'frame.noise channel=test bytes=5',
      'frame.noise channel=test bytes=4',
      'connection.closed channel=test messages=2 code=FRAME_UNFINISHED',
    ]);
  });
});

describe('limits', () => {
  it('answers a frame that is too large, after the ones before it, and closes', async () => {
    const wait = gate();
    const source = await start({ frameBytesMax: 100 }, async (name) => {
      await wait.passed;
      return answer(`ack ${name}`);
    });
    const raw = await source.socket();
    raw.socket.write(`\x0bok\x1c\r\x0b${'x'.repeat(5000)}`);
    await until(() => source.received.length === 1);
    wait.open();
    await raw.ended;
    expect(raw.read()).toBe('\x0back ok\x1c\r\x0btoo large true\x1c\r');
    raw.socket.destroy();
    await until(() => source.events.length === 2);
    expect(source.events[1]).toContain('code=TOO_LARGE');
    expect(source.received).toEqual(['ok']);
  });

  it('pauses a connection with inflightMax messages, and loses none', async () => {
    const wait = gate();
    let running = 0;
    let most = 0;
    const source = await start({ inflightMax: 3 }, async (name) => {
      running++;
      most = Math.max(most, running);
      await wait.passed;
      await new Promise((resolve) => setImmediate(resolve));
      running--;
      return answer(`ack ${name}`);
    });
    const client = await source.connect();
    const names = Array.from({ length: 200 }, (_, index) => `${index}`);
    const sent = names.map((name) => client.send(Buffer.from(name)));
    await until(() => source.received.length === 3);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(source.received.length).toBe(3);
    wait.open();
    expect((await Promise.all(sent)).map((frames) => text(frames)[0])).toEqual(
      names.map((name) => `ack ${name}`),
    );
    expect(most).toBe(3);
    await client.close();
  });

  it('refuses connections beyond connectionsMax', async () => {
    const source = await start({ connectionsMax: 1 });
    const first = await source.connect();
    await first.send(Buffer.from('x'));
    const second = await source.socket().catch(() => undefined);
    await second?.ended;
    await until(() => source.events.some((event) => event.startsWith('connection.refused')));
    expect(source.events.at(-1)).toBe('connection.refused channel=test code=CONNECTIONS_MAX');
    expect(source.listener.health()).toEqual({ listening: true, connections: 1 });
    await first.close();
  });

  const limits = {
    ...{ peerConnectionsMax: 3, peerFrameBytesMax: 5_000, frameBytesTotalMax: 8_000 },
    frameTimeoutMs: 60,
  };
  const code = (source: TestSource, name: string) => (event: string) =>
    event.startsWith(`connection.${name}`) && source.events.includes(event);
  const from = (address: string) => ({ localAddress: address });

  it('refuses more connections of one peer than its share, and takes another one', async () => {
    const source = await start({ connectionsMax: 10 }, undefined, { limits });
    for (let n = 0; n < 3; n += 1) await source.socket();
    const fourth = await source.socket();
    await fourth.ended;
    expect(source.events).toContain('connection.refused channel=test code=PEER_CONNECTIONS_MAX');
    const other = await source.socket(from('127.0.0.2'));
    other.socket.write('\x0bx\x1c\r');
    await until(() => other.read() === '\x0back x\x1c\r');
  });

  it('closes an idle connection of the greediest peer where a channel is full', async () => {
    const source = await start({ connectionsMax: 3 }, undefined, { limits });
    const greedy = [await source.socket(), await source.socket(), await source.socket()];
    await until(() => source.listener.health().connections === 3);
    greedy[0]?.socket.write('\x0bx\x1c\r');
    await until(() => greedy[0]?.read() !== '');
    const other = await source.socket(from('127.0.0.2'));
    other.socket.write('\x0by\x1c\r');
    await until(() => other.read() === '\x0back y\x1c\r');
    expect(greedy[0]?.socket.destroyed).toBe(false);
    await until(() => source.events.some((event) => event.endsWith('code=CONNECTIONS_MAX')));
    expect(source.listener.health().connections).toBe(3);
  });

  it('closes a connection whose frame does not come to its end', async () => {
    const source = await start({}, undefined, { limits });
    const slow = await source.socket();
    slow.socket.write('\x0bMSH|');
    await slow.ended;
    await until(() => source.events.some(code(source, 'closed')));
    expect(source.events.at(-1)).toContain('code=FRAME_TIMEOUT');
  });

  it('leaves a connection open that waits for us, however long', async () => {
    const wait = gate();
    const source = await start(
      { inflightMax: 1 },
      async (text) => {
        await wait.passed;
        return answer(text);
      },
      { limits },
    );
    const raw = await source.socket();
    raw.socket.write('\x0ba\x1c\r\x0bb\x1c\r\x0bc');
    await new Promise((resolve) => setTimeout(resolve, 200));
    wait.open();
    raw.socket.write('\x1c\r');
    await until(() => raw.read() === '\x0ba\x1c\r\x0bb\x1c\r\x0bc\x1c\r');
  });

  it('closes who holds more unfinished bytes than a share, and who holds most', async () => {
    const source = await start({}, undefined, { limits: { ...limits, frameTimeoutMs: 60_000 } });
    const first = await source.socket();
    first.socket.write(`\x0b${'a'.repeat(3_000)}`);
    const other = await source.socket(from('127.0.0.2'));
    other.socket.write(`\x0b${'b'.repeat(1_000)}`);
    const second = await source.socket();
    second.socket.write(`\x0b${'a'.repeat(3_000)}`);
    await second.ended;
    await until(() => source.events.some((event) => event.includes('PEER_FRAME_BYTES_MAX')));
    expect(first.socket.destroyed).toBe(false);
    const third = await source.socket(from('127.0.0.3'));
    third.socket.write(`\x0b${'c'.repeat(4_900)}`);
    await until(() => source.events.some((event) => event.includes('FRAME_BYTES_TOTAL_MAX')));
    other.socket.write('\x1c\r');
    await until(() => other.read() === `\x0back ${'b'.repeat(1_000)}\x1c\r`);
  });

  it('closes an idle connection, but not one that waits for an answer', async () => {
    const wait = gate();
    const source = await start({ idleTimeoutMs: 30 }, async () => {
      await wait.passed;
      return answer('late');
    });
    const idle = await source.socket();
    const busy = await source.socket();
    busy.socket.write('\x0bx\x1c\r');
    await idle.ended;
    await new Promise((resolve) => setTimeout(resolve, 60));
    wait.open();
    await until(() => busy.read() === '\x0blate\x1c\r');
    await busy.ended;
    const idled = () => source.events.filter((event) => event.includes('IDLE_TIMEOUT')).length;
    await until(() => idled() === 2);
  });
});

describe('closing', () => {
  it('answers what was taken, then ends; later connections are refused', async () => {
    const wait = gate();
    const source = await start({}, async (name) => {
      await wait.passed;
      return answer(`ack ${name}`);
    });
    const client = await source.connect();
    const sent = client.send(Buffer.from('x'));
    await until(() => source.received.length === 1);
    const closed = source.listener.close(5_000);
    await expect(source.connect()).rejects.toMatchObject({ code: 'PEER_UNAVAILABLE' });
    wait.open();
    expect(text(await sent)).toEqual(['ack x']);
    await closed;
    expect(source.listener.health()).toEqual({ listening: false, connections: 0 });
  });

  it('cuts what is not answered in time', async () => {
    const source = await start({}, () => new Promise<Answer>(() => undefined));
    const client = await source.connect();
    const sent = client.send(Buffer.from('x'));
    await until(() => source.received.length === 1);
    const failed = expect(sent).rejects.toMatchObject({ code: 'PEER_UNAVAILABLE' });
    await source.listener.close(20);
    await failed;
  });

  it('says where it cannot listen', async () => {
    const source = await start();
    await expect(start({ port: source.port })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: `Channel test cannot listen on 127.0.0.1:${source.port} (EADDRINUSE).`,
    });
  });
});

describe('the client', () => {
  it('gives up when an answer is late', async () => {
    const source = await start({}, () => new Promise<Answer>(() => undefined));
    const { connectMllp } = await import('../../src/source/mllp-client.ts');
    const client = await connectMllp({ host: '127.0.0.1', port: source.port, timeoutMs: 30 });
    await expect(client.send(Buffer.from('x'))).rejects.toThrowError('did not come in time');
    await expect(client.send(Buffer.from('y'))).rejects.toThrowError('did not come in time');
  });
});
