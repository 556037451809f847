// What one stranger can send: each flood runs until it is told to stop, with a bound on what is
// under way. Only addresses of this machine are taken. It asserts nothing; run.ts measures.
import { connect, type Socket } from 'node:net';

export interface Target {
  mllp: number;
  http: number;
}

/** Answers how many attempts were made. */
type Flood = (target: Target, isOver: () => boolean) => Promise<number>;

const HOST = '127.0.0.1';
const WORKERS = 8;
const CONNECTIONS = 300;

export const FLOODS: Readonly<Record<string, Flood>> = {
  'frame of VT': (to, isOver) => sendAll(to.mllp, isOver, framed(Buffer.alloc(8 << 20, 0x0b))),
  'frame of FS': (to, isOver) => sendAll(to.mllp, isOver, framed(Buffer.alloc(8 << 20, 0x1c))),
  'frame over the limit': (to, isOver) => sendAll(to.mllp, isOver, framed(filled(17 << 20))),
  'empty frames': (to, isOver) => sendAll(to.mllp, isOver, repeat('\x0b\x1c\r', 20_000)),
  'noise outside frames': (to, isOver) => sendAll(to.mllp, isOver, filled(4 << 20)),
  'refused messages': (to, isOver) => sendAll(to.mllp, isOver, refused(200)),
  'many repetitions': (to, isOver) => sendAll(to.mllp, isOver, repetitions(400_000), 1),
  'unfinished frames': (to, isOver) =>
    holdAll(to.mllp, isOver, Buffer.concat([Buffer.from([0x0b]), filled(2 << 20)])),
  'idle connections': (to, isOver) => holdAll(to.mllp, isOver, Buffer.alloc(0)),
  'half requests': (to, isOver) =>
    holdAll(to.http, isOver, text('GET /fhir/R4/Patient HTTP/1.1\r\n')),
  'half bodies': (to, isOver) =>
    holdAll(to.http, isOver, text(`${post('/channels/fhir-inbound', 1 << 20)}{`)),
  'anonymous posts': (to, isOver) =>
    askAll(to.http, isOver, `${post('/channels/fhir-inbound', 2)}{}`),
  'bad tokens': (to, isOver) =>
    askAll(to.http, isOver, get('/fhir/R4/Patient?name=a', 'Authorization: Bearer nobody\r\n')),
  'bad tokens at the administration': (to, isOver) =>
    askAll(to.http, isOver, get('/admin/messages', 'Authorization: Bearer nobody\r\n')),
  'long paths': (to, isOver) => askAll(to.http, isOver, get(`/fhir/R4/${'x'.repeat(12_000)}`)),
  'bad escapes': (to, isOver) => askAll(to.http, isOver, get('/fhir/R4/Patient/%ff%zz')),
};

function text(value: string): Buffer {
  return Buffer.from(value, 'latin1');
}

function filled(bytes: number): Buffer {
  return Buffer.alloc(bytes, 'AbCd|^~', 'latin1');
}

function framed(content: Buffer): Buffer {
  return Buffer.concat([Buffer.from([0x0b]), content, Buffer.from([0x1c, 0x0d])]);
}

function repeat(value: string, times: number): Buffer {
  return text(value.repeat(times));
}

let messages = 0;

function header(type: string): string {
  messages += 1;
  const id = `ATTACK-${process.pid}-${messages}`;
  return `MSH|^~\\&|X|X|ARTERY|X|20260301083000+0100||${type}|${id}|P|2.5.1\r`;
}

function refused(count: number): Buffer {
  const one = () => framed(text(`${header('ADT^Z99^ADT_A01')}PID|1||1^^^X\r`));
  return Buffer.concat(Array.from({ length: count }, one));
}

function repetitions(count: number): Buffer {
  const names = Array.from({ length: count }, (_, n) => `N${n}^A`).join('~');
  return framed(text(`${header('ADT^A08^ADT_A01')}EVN|A08\rPID|1||BIG^^^X^MR||${names}\r`));
}

function get(path: string, headers = ''): string {
  return `GET ${path} HTTP/1.1\r\nHost: ${HOST}\r\n${headers}Connection: close\r\n\r\n`;
}

function post(path: string, length: number): string {
  const type = 'Content-Type: application/fhir+json';
  return `POST ${path} HTTP/1.1\r\nHost: ${HOST}\r\n${type}\r\nContent-Length: ${length}\r\n\r\n`;
}

/** Sends the bytes over and over, on a few connections at a time. */
async function sendAll(
  port: number,
  isOver: () => boolean,
  bytes: Buffer,
  workers = WORKERS,
): Promise<number> {
  let count = 0;
  const work = async () => {
    while (!isOver()) {
      count += 1;
      await exchange(port, bytes, isOver);
    }
  };
  await Promise.all(Array.from({ length: workers }, work));
  return count;
}

const askAll = (port: number, isOver: () => boolean, request: string) =>
  sendAll(port, isOver, text(request), WORKERS * 4);

/** Writes, reads until the peer ends or two seconds are over. */
function exchange(port: number, bytes: Buffer, isOver: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    const socket = open(port);
    const end = () => {
      clearInterval(timer);
      socket.destroy();
      // A refused connection must not become an endless fast loop.
      setTimeout(resolve, 2);
    };
    const begun = performance.now();
    const timer = setInterval(() => (isOver() || performance.now() - begun > 2_000) && end(), 100);
    socket.on('close', end);
    socket.on('data', () => undefined);
    socket.on('connect', () => socket.write(bytes));
  });
}

/** Opens as many connections as it gets, writes once, and keeps them. */
async function holdAll(port: number, isOver: () => boolean, bytes: Buffer): Promise<number> {
  const held = new Set<Socket>();
  let count = 0;
  while (!isOver()) {
    while (held.size < CONNECTIONS) {
      const socket = open(port);
      count += 1;
      held.add(socket);
      socket.on('close', () => held.delete(socket));
      socket.on('connect', () => bytes.length > 0 && socket.write(bytes));
      socket.resume();
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  for (const socket of held) socket.destroy();
  return count;
}

function open(port: number): Socket {
  const socket = connect({ port, host: HOST });
  socket.on('error', () => undefined);
  return socket;
}
