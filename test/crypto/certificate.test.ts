// Certificates, checked by node's own X.509 and by a TLS handshake.
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { connect, createServer } from 'node:tls';
import { beforeAll, describe, expect, it } from 'vitest';
import { type CertifiedKey, makeCa, makeCertificate } from '../../src/crypto/certificate.ts';

const now = Date.now();
let ca: CertifiedKey;
let server: CertifiedKey;
let client: CertifiedKey;

beforeAll(async () => {
  ca = await makeCa({ commonName: 'Artery test CA', now, days: 30 });
  const hosts = ['localhost', '127.0.0.1', '::1'];
  server = await makeCertificate(ca, { commonName: 'mllp', now, days: 10, usage: 'server', hosts });
  client = await makeCertificate(ca, {
    commonName: 'his',
    now,
    days: 10,
    usage: 'client',
    hosts: [],
  });
});

describe('the CA', () => {
  it('signs what it makes, and is a CA', () => {
    const authority = new X509Certificate(ca.certificate);
    expect(authority.ca).toBe(true);
    expect(authority.verify(authority.publicKey)).toBe(true);
    for (const { certificate } of [server, client]) {
      const made = new X509Certificate(certificate);
      expect(made.ca).toBe(false);
      expect(made.checkIssued(authority)).toBe(true);
      expect(made.verify(authority.publicKey)).toBe(true);
    }
  });
});

describe('a server certificate', () => {
  it('is for its hosts and no other, and for its time', () => {
    const made = new X509Certificate(server.certificate);
    expect(made.checkHost('localhost')).toBe('localhost');
    expect(made.checkHost('example.org')).toBeUndefined();
    expect(made.checkIP('127.0.0.1')).toBe('127.0.0.1');
    expect(made.validFromDate.getTime()).toBeLessThan(now);
    expect(Math.abs(made.validToDate.getTime() - now - 10 * 86_400_000)).toBeLessThan(1_000);
    expect(made.publicKey.asymmetricKeyDetails?.modulusLength).toBeGreaterThanOrEqual(2_048);
  });

  it.each([['bad host'], ['-x'], ['999.1.1.1'], ['a..b'], ['x'.repeat(300)], ['']])(
    'is not made for %j',
    async (host) => {
      const request = { commonName: 'x', now, days: 1, usage: 'server', hosts: [host] } as const;
      await expect(makeCertificate(ca, { ...request, hosts: [host] })).rejects.toThrow(
        expect.objectContaining({ code: 'BAD_REQUEST' }),
      );
    },
  );

  it('is not made without a host', async () => {
    const request = { commonName: 'x', now, days: 1, usage: 'server', hosts: [] } as const;
    await expect(makeCertificate(ca, { ...request, hosts: [] })).rejects.toThrow(/host/);
  });
});

describe('mutual TLS', () => {
  it('shakes hands with both certificates', async () => {
    const { certificate: cert, key } = server;
    const options = { cert, key, ca: ca.certificate, requestCert: true, rejectUnauthorized: true };
    const listener = createServer(options, (socket) => {
      socket.end(String(socket.getPeerCertificate().subject.CN));
    });
    listener.listen(0, '127.0.0.1');
    await once(listener, 'listening');
    const { port } = listener.address() as AddressInfo;
    const socket = connect({
      port,
      host: '127.0.0.1',
      ca: ca.certificate,
      cert: client.certificate,
      key: client.key,
    });
    const [seen] = await once(socket, 'data');
    expect(String(seen)).toBe('his');
    socket.destroy();
    listener.close();
  });
});
