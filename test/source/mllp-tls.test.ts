// MLLP over TLS: encryption, client certificates, renewal of certificates while running.
import { writeFileSync } from 'node:fs';
import type { ConnectionOptions } from 'node:tls';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectMllp } from '../../src/source/mllp-client.ts';
import { makeTestCertificates, type TestCertificates } from '../support/certificates.ts';
import { openTestSource, type TestSource, until } from '../support/mllp.ts';

let certificates: TestCertificates;

beforeAll(async () => {
  certificates = await makeTestCertificates();
});
afterAll(() => certificates.remove());

function tls(requireClientCert: boolean) {
  return { ...certificates.files, requireClientCert };
}

function connect(source: TestSource, options: ConnectionOptions = {}) {
  const ca = certificates.ca.certificate;
  return connectMllp({
    host: '127.0.0.1',
    port: source.port,
    timeoutMs: 5_000,
    tls: { ca, servername: 'localhost', ...options },
  });
}

async function exchange(source: TestSource, options?: ConnectionOptions): Promise<string> {
  const client = await connect(source, options);
  const [frame] = await client.send(Buffer.from('x'));
  await client.close();
  return Buffer.from(frame ?? []).toString();
}

/** Common name of the certificate that a new connection is shown. */
function shownName(source: TestSource): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket: TLSSocket = connectTls({
      host: '127.0.0.1',
      port: source.port,
      ca: certificates.ca.certificate,
      servername: 'localhost',
    });
    socket.once('error', reject);
    socket.once('secureConnect', () => {
      resolve(String(socket.getPeerCertificate().subject.CN));
      socket.destroy();
    });
  });
}

describe('MLLP over TLS', () => {
  it('answers over an encrypted connection', async () => {
    const source = await openTestSource({ tls: tls(false) });
    expect(await exchange(source)).toBe('ack x');
    await source.listener.close(1_000);
  });

  it('refuses a client that does not speak TLS, and goes on', async () => {
    const source = await openTestSource({ tls: tls(false) });
    const raw = await source.socket();
    raw.socket.write('\x0bMSH|^~\\&|A\x1c\r');
    await raw.ended;
    await until(() => source.events.length > 0);
    expect(source.events[0]).toMatch(/^connection.refused channel=test code=ERR_SSL/);
    expect(source.received).toEqual([]);
    expect(await exchange(source)).toBe('ack x');
    await source.listener.close(1_000);
  });

  it('takes only clients with a certificate of the CA where it is told so', async () => {
    const source = await openTestSource({ tls: tls(true) });
    const { client } = certificates;
    expect(await exchange(source, { cert: client.certificate, key: client.key })).toBe('ack x');
    await expect(exchange(source)).rejects.toMatchObject({ code: 'PEER_UNAVAILABLE' });
    expect(source.received).toEqual(['x']);
    await source.listener.close(1_000);
  });

  it('still answers a peer that half-closed', async () => {
    const source = await openTestSource({ tls: tls(false) });
    const text = await new Promise<string>((resolve, reject) => {
      let read = '';
      const socket = connectTls({
        host: '127.0.0.1',
        port: source.port,
        ca: certificates.ca.certificate,
        servername: 'localhost',
        allowHalfOpen: true,
      } as ConnectionOptions);
      socket.on('data', (chunk: Buffer) => {
        read += chunk.toString('latin1');
      });
      socket.once('error', reject);
      socket.once('end', () => resolve(read));
      socket.once('secureConnect', () => socket.end('\x0bx\x1c\r'));
    });
    expect(text).toBe('\x0back x\x1c\r');
    await source.listener.close(1_000);
  });

  it('uses renewed certificates, told or found, and keeps the open connections', async () => {
    const source = await openTestSource({ tls: tls(false) });
    const open = await connect(source);
    await open.send(Buffer.from('before'));
    expect(await shownName(source)).toBe('first');
    await certificates.renew('second');
    await source.listener.reload();
    expect(await shownName(source)).toBe('second');
    await certificates.renew('third');
    while ((await shownName(source)) !== 'third') await new Promise((r) => setTimeout(r, 20));
    await open.send(Buffer.from('after'));
    expect(source.received).toEqual(['before', 'after']);
    await open.close();
    await source.listener.close(1_000);
  });

  it('keeps the old certificates when the new ones cannot be used', async () => {
    const own = await makeTestCertificates();
    const source = await openTestSource({ tls: { ...own.files, requireClientCert: false } });
    writeFileSync(own.files.keyFile, certificates.client.key);
    await expect(source.listener.reload()).rejects.toMatchObject({ code: 'CONFIG_INVALID' });
    expect(await exchange(source, { ca: own.ca.certificate })).toBe('ack x');
    await source.listener.close(1_000);
    own.remove();
  });

  it('says which file is missing, and that mutual TLS needs a CA', async () => {
    const missing = { ...tls(false), keyFile: 'no-such.key' };
    await expect(openTestSource({ tls: missing })).rejects.toThrowError(/no-such.key/);
    const noCa = { ...tls(true), caFile: '' };
    await expect(openTestSource({ tls: noCa })).rejects.toThrowError(/caFile/);
  });
});
