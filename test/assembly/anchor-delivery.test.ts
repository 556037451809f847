// Signatures reach every destination, each whole and in order, also one that was away for a while.
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer as createHttp } from 'node:http';
import { createServer as createTcp } from 'node:net';
import { join } from 'node:path';
import { afterAll, expect, it, onTestFinished } from 'vitest';
import { createAnchorDelivery } from '../../src/assembly/anchor-delivery.ts';
import { anchorDestinations } from '../../src/assembly/anchor-destinations.ts';
import type { EventName } from '../../src/telemetry/events.ts';
import { newFolder, removeFolders } from '../support/engine.ts';

afterAll(removeFolders);

function spool(to: string) {
  const dataDir = newFolder();
  mkdirSync(join(dataDir, 'audit'));
  const file = join(dataDir, 'audit', 'anchors.jsonl');
  const events: EventName[] = [];
  const telemetry = { emit: (name: EventName) => void events.push(name) };
  const open = () =>
    createAnchorDelivery({ dataDir, destinations: anchorDestinations(to), telemetry });
  let seq = 0;
  const sign = (count: number): void => {
    for (let n = 0; n < count; n += 1) {
      seq += 1;
      appendFileSync(file, `${JSON.stringify({ seq, hash: 'h'.repeat(300) })}\n`);
    }
  };
  return { dataDir, file, events, open, sign };
}

const upTo = (count: number): number[] => Array.from({ length: count }, (_, n) => n + 1);
const seqsOf = (text: string): number[] =>
  [...text.matchAll(/"seq":(\d+)/g)].map((found) => Number(found[1]));

it('copies them into a second folder, over any number of chunks, and once', async () => {
  const folder = join(newFolder(), 'elsewhere');
  const { open, sign } = spool(folder);
  sign(1_000);
  const delivery = open();
  await Promise.all([delivery.deliver(), delivery.deliver()]);
  sign(2);
  // As after a restart.
  await open().deliver();
  const text = readFileSync(join(folder, 'anchors.jsonl'), 'utf8');
  expect(seqsOf(text)).toEqual(upTo(1_002));
  expect(text.endsWith('\n')).toBe(true);
});

it('leaves a line that is torn for later', async () => {
  const folder = newFolder();
  const { file, open, sign } = spool(folder);
  sign(1);
  appendFileSync(file, '{"seq":2');
  await open().deliver();
  expect(seqsOf(readFileSync(join(folder, 'anchors.jsonl'), 'utf8'))).toEqual([1]);
});

it('posts to a URL that refuses at first, and loses none', async () => {
  const got: number[] = [];
  let refuses = true;
  const server = createHttp(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    if (!refuses) got.push(...seqsOf(Buffer.concat(chunks).toString()));
    response.writeHead(refuses ? 503 : 204).end();
  }).listen(0, '127.0.0.1');
  onTestFinished(() => void server.close());
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const { events, open, sign } = spool(`http://127.0.0.1:${port}/anchors`);
  sign(5);
  await open().deliver();
  expect(events).toEqual(['anchor.failed']);
  refuses = false;
  sign(1);
  await open().deliver();
  expect(got).toEqual(upTo(6));
});

it('sends them to syslog over TCP, each with its length, and over UDP', async () => {
  let bytes = '';
  const server = createTcp((socket) => {
    socket.on('data', (data) => {
      bytes += data.toString();
    });
    socket.on('end', () => socket.end());
  }).listen(0, '127.0.0.1');
  onTestFinished(() => void server.close());
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const datagrams: string[] = [];
  const udp = createSocket('udp4', (data) => datagrams.push(data.toString()));
  onTestFinished(() => void udp.close());
  udp.bind(0, '127.0.0.1');
  await once(udp, 'listening');
  const to = `syslog+tcp://127.0.0.1:${port} syslog+udp://127.0.0.1:${udp.address().port}`;
  const { open, sign, events } = spool(to);
  sign(3);
  await open().deliver();
  expect(events).toEqual([]);
  const frames: string[] = [];
  for (let rest = bytes; rest !== ''; ) {
    const [length = ''] = rest.split(' ', 1);
    const from = length.length + 1;
    frames.push(rest.slice(from, from + Number(length)));
    rest = rest.slice(from + Number(length));
  }
  expect(frames).toHaveLength(3);
  expect(frames[0]).toMatch(/^<109>1 \d{4}-\S+Z \S+ artery \d+ anchor - \{"seq":1,/);
  while (datagrams.length < 3) await new Promise((resolve) => setTimeout(resolve, 10));
  expect(datagrams.flatMap(seqsOf)).toEqual([1, 2, 3]);
});

it('goes on with the others when one is away', async () => {
  const folder = newFolder();
  const { events, open, sign } = spool(`syslog+tcp://127.0.0.1:1 ${folder}`);
  sign(2);
  await open().deliver();
  expect(events).toEqual(['anchor.failed']);
  expect(seqsOf(readFileSync(join(folder, 'anchors.jsonl'), 'utf8'))).toEqual([1, 2]);
});

it('sends all again when what it knew of the destination is lost', async () => {
  const folder = newFolder();
  const { dataDir, open, sign } = spool(folder);
  sign(2);
  await open().deliver();
  writeFileSync(join(dataDir, 'audit', 'anchors.sent.json'), '{"torn');
  await open().deliver();
  expect(seqsOf(readFileSync(join(folder, 'anchors.jsonl'), 'utf8'))).toEqual([1, 2, 1, 2]);
});

it.each(['relative/folder', 'http://example.org/x', 'ftp://example.org', 'syslog://x'])(
  'refuses %s',
  (part) => {
    expect(() => anchorDestinations(part)).toThrow(/ARTERY_ANCHORS_TO: its part 1/);
  },
);
