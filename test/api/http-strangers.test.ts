// What one stranger can do to HTTP: half-open requests give way to whole ones, failed sign-ins
// are slowed, and neither slows a caller with a token.
import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CallerRate } from '../../src/api/caller-rate.ts';
import { peerOf } from '../../src/api/http-connections.ts';
import { openTestEngine, removeFolders, type TestEngine } from '../support/engine.ts';

let engine: TestEngine;
const FAILURES = 20;

beforeAll(async () => {
  engine = await openTestEngine({
    environment: {
      ARTERY_HTTP_CONNECTIONS_MAX: '12',
      ARTERY_HTTP_PEER_CONNECTIONS_MAX: '8',
      ARTERY_HEADERS_TIMEOUT_MS: '1000',
      ARTERY_STRANGER_FAILURES_PER_MINUTE: String(FAILURES),
    },
  });
});

afterAll(async () => {
  await engine.stop();
  removeFolders();
});

interface HalfOpen {
  socket: Socket;
  answer: string;
  closed: Promise<void>;
}

/** A connection from that loopback address which has sent `text`. */
async function halfOpen(localAddress: string, text: string): Promise<HalfOpen> {
  const { hostname: host, port } = new URL(engine.app.address);
  const socket = connect({ host, port: Number(port), localAddress });
  const closed = new Promise<void>((resolve) => socket.on('close', () => resolve()));
  const half: HalfOpen = { socket, answer: '', closed };
  socket.on('error', () => undefined);
  socket.on('data', (part) => {
    half.answer += part.toString();
  });
  await new Promise<void>((resolve) => socket.on('connect', () => resolve()));
  socket.write(text);
  return half;
}

const HEAD = 'POST /fhir/R4/Patient HTTP/1.1\r\nHost: x\r\n';

describe('half-open requests', () => {
  it.each(['', 'GET /livez HT', HEAD])('of one address (%j) shut nobody out', async (text) => {
    const open: HalfOpen[] = [];
    for (let i = 0; i < 40; i++) open.push(await halfOpen('127.0.0.1', text));
    const answer = await engine.request('GET', '/fhir/R4/Patient?_count=1');
    expect(answer.status).toBe(200);
    const whole = 'GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n';
    const other = await halfOpen('127.0.0.2', whole);
    await other.closed;
    expect(other.answer).toMatch(/^HTTP\/1.1 200 /);
    for (const { socket } of open) socket.destroy();
  });

  it('are answered 408 when their headers do not come', async () => {
    const half = await halfOpen('127.0.0.1', HEAD);
    await half.closed;
    expect(half.answer).toMatch(/^HTTP\/1.1 408 /);
    expect(half.answer).toContain('REQUEST_TIMEOUT');
  });
});

describe('calls without a valid token', () => {
  it('are answered 429 with Retry-After; a valid token passes from the same address', async () => {
    const statuses: number[] = [];
    const surfaces = ['/fhir/R4/Patient', '/admin/keys', '/metrics', '/channels/fhir-inbound'];
    let last = await engine.request('GET', '/livez', { token: 'wrong' });
    for (let i = 0; i < FAILURES + 8; i++) {
      const url = surfaces[i % surfaces.length] ?? '';
      const method = url.startsWith('/channels') ? 'POST' : 'GET';
      last = await engine.request(method, url, { token: 'wrong' });
      statuses.push(last.status);
      if (last.status !== 429) continue;
      expect(last.headers['retry-after']).toBe('10');
      const isFhir = url.startsWith('/fhir');
      expect(last.json).toMatchObject(
        isFhir ? { resourceType: 'OperationOutcome' } : { code: 'TOO_MANY_REQUESTS' },
      );
    }
    expect(new Set(statuses.slice(0, FAILURES - 1))).toEqual(new Set([401]));
    expect(new Set(statuses.slice(-4))).toEqual(new Set([429]));
    expect((await engine.request('GET', '/fhir/R4/Patient?_count=1')).status).toBe(200);
    expect((await engine.request('GET', '/livez', { token: 'wrong' })).status).toBe(200);
  });
});

describe('CallerRate', () => {
  it('fills up again with time, and knows a bounded number of addresses', () => {
    let now = 0;
    const rate = new CallerRate({ strangerFailuresPerMinute: 6 }, () => now);
    for (let i = 0; i < 6; i++) rate.failed('10.0.0.1');
    expect(() => rate.failed('10.0.0.1')).toThrow('Too many calls');
    rate.failed('10.0.0.2');
    now += 10_000;
    rate.failed('10.0.0.1');
    expect(() => rate.failed('10.0.0.1')).toThrow('Too many calls');
    for (let i = 0; i < 20_000; i++) rate.called(`10.1.${i >> 8}.${i & 255}`);
    expect(rate.peers).toBeLessThanOrEqual(10_000);
  });

  it('takes an IPv6 network for one caller', () => {
    expect(peerOf('2001:db8:1:2::1')).toBe(peerOf('2001:db8:1:2:ffff::9'));
    expect(peerOf('2001:db8:1:3::1')).not.toBe(peerOf('2001:db8:1:2::1'));
    expect(peerOf('::ffff:10.0.0.1')).toBe('10.0.0.1');
  });
});
