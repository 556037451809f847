// Throw-away certificates for TLS tests: a CA, a server and a client, as PEM files in a folder.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type CertifiedKey, makeCa, makeCertificate } from '../../src/crypto/certificate.ts';

export interface TestCertificates {
  ca: CertifiedKey;
  client: CertifiedKey;
  folder: string;
  files: { certFile: string; keyFile: string; caFile: string };
  /** A new server certificate of the same CA in the same files. */
  renew(commonName: string): Promise<void>;
  remove(): void;
}

export async function makeTestCertificates(): Promise<TestCertificates> {
  const now = Date.now();
  const folder = mkdtempSync(join(tmpdir(), 'artery-cert-'));
  const ca = await makeCa({ commonName: 'test ca', now, days: 2 });
  const client = await makeCertificate(ca, {
    commonName: 'client',
    now,
    days: 2,
    usage: 'client',
    hosts: [],
  });
  const files = {
    certFile: join(folder, 'server.pem'),
    keyFile: join(folder, 'server.key'),
    caFile: join(folder, 'ca.pem'),
  };
  const renew = async (commonName: string) => {
    const hosts = ['localhost', '127.0.0.1'];
    const server = await makeCertificate(ca, { commonName, now, days: 2, usage: 'server', hosts });
    writeFileSync(files.certFile, server.certificate);
    writeFileSync(files.keyFile, server.key, { mode: 0o600 });
  };
  writeFileSync(files.caFile, ca.certificate);
  await renew('first');
  const remove = () => rmSync(folder, { recursive: true, force: true });
  return { ca, client, folder, files, renew, remove };
}
