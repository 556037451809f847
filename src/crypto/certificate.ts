// X.509 certificates for MLLP over TLS: a CA of the site, and server and client certificates made
// by it. Keys come from node:crypto, certificates from node-forge. Writing files is the caller's.
import { generateKeyPair, randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import forge from 'node-forge';
import { EngineError } from '../model/errors.ts';

const RSA_BITS = 3072;
const DAY_MS = 86_400_000;
/** Clocks differ: a certificate is valid a little before it was made. */
const BACKDATE_MS = DAY_MS;
const NAMES_MAX = 100;
/** What stands in a subject: printable ASCII, at most 64 characters (RFC 5280 ub-common-name). */
const COMMON_NAME = /^[\x20-\x7e]{1,64}$/;
const DNS_LABEL = /^[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?$/;

/** PEM texts. `key` is PKCS#8 and unencrypted: write it with mode 0600. */
export interface CertifiedKey {
  certificate: string;
  key: string;
}

export interface CertificateRequest {
  commonName: string;
  /** ms since the epoch. */
  now: number;
  days: number;
}

/** A self-signed CA that may sign end certificates only (pathLen 0). Throws BAD_REQUEST. */
export async function makeCa(request: CertificateRequest): Promise<CertifiedKey> {
  const keys = await makeKeyPair();
  const certificate = startCertificate(request, keys.publicKey);
  const subject = certificate.subject.attributes;
  certificate.setIssuer(subject);
  certificate.setExtensions([
    { name: 'basicConstraints', cA: true, pathLenConstraint: 0, critical: true },
    { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true },
    { name: 'subjectKeyIdentifier' },
  ]);
  return signCertificate(certificate, keys.privateKey, keys.privateKey);
}

/**
 * A certificate of the CA for a TLS server (`hosts`: at least one DNS name or IP address) or a
 * client. Throws BAD_REQUEST for names that cannot stand in a certificate.
 */
export async function makeCertificate(
  ca: CertifiedKey,
  request: CertificateRequest & { usage: 'server' | 'client'; hosts: string[] },
): Promise<CertifiedKey> {
  if (request.usage === 'server' && request.hosts.length === 0) {
    throw new EngineError('BAD_REQUEST', 'A server certificate needs a host name or address.');
  }
  const altNames = request.hosts.slice(0, NAMES_MAX).map(altName);
  const issuer = forge.pki.certificateFromPem(ca.certificate);
  const keys = await makeKeyPair();
  const certificate = startCertificate(request, keys.publicKey);
  certificate.setIssuer(issuer.subject.attributes);
  certificate.setExtensions([
    { name: 'basicConstraints', cA: false, critical: true },
    { name: 'keyUsage', digitalSignature: true, keyEncipherment: true, critical: true },
    {
      name: 'extKeyUsage',
      serverAuth: request.usage === 'server',
      clientAuth: request.usage === 'client',
    },
    { name: 'subjectKeyIdentifier' },
    {
      name: 'authorityKeyIdentifier',
      keyIdentifier: issuer.generateSubjectKeyIdentifier().getBytes(),
    },
    ...(altNames.length === 0 ? [] : [{ name: 'subjectAltName', altNames }]),
  ]);
  return signCertificate(certificate, keys.privateKey, ca.key);
}

async function makeKeyPair(): Promise<{ publicKey: string; privateKey: string }> {
  return promisify(generateKeyPair)('rsa', {
    modulusLength: RSA_BITS,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
}

function startCertificate(request: CertificateRequest, publicKey: string): forge.pki.Certificate {
  if (!COMMON_NAME.test(request.commonName)) {
    throw new EngineError('BAD_REQUEST', 'A common name is 1 to 64 printable ASCII characters.');
  }
  if (!(request.days >= 1 && request.days <= 36_500)) {
    throw new EngineError('BAD_REQUEST', 'A certificate lives 1 to 36500 days.');
  }
  const certificate = forge.pki.createCertificate();
  certificate.publicKey = forge.pki.publicKeyFromPem(publicKey);
  certificate.serialNumber = serialNumber();
  certificate.validity.notBefore = new Date(request.now - BACKDATE_MS);
  certificate.validity.notAfter = new Date(request.now + request.days * DAY_MS);
  certificate.setSubject([{ name: 'commonName', value: request.commonName }]);
  return certificate;
}

/** Random and positive: the first byte is 1 to 127 (RFC 5280 section 4.1.2.2). */
function serialNumber(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x01;
  return bytes.toString('hex');
}

function altName(host: string): { type: number; value?: string; ip?: string } {
  if (isAddress(host)) return { type: 7, ip: host };
  if (isDnsName(host)) return { type: 2, value: host };
  throw new EngineError('BAD_REQUEST', 'A host is neither a DNS name nor an IP address.');
}

function isAddress(host: string): boolean {
  if (host.includes(':')) return URL.canParse(`http://[${host}]/`);
  const parts = host.split('.');
  return parts.length === 4 && parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) < 256);
}

function isDnsName(host: string): boolean {
  const labels = host.split('.');
  if (host.length > 253 || /^[\d.]+$/.test(host)) return false;
  return labels.every((label, at) => DNS_LABEL.test(label) || (at === 0 && label === '*'));
}

function signCertificate(
  certificate: forge.pki.Certificate,
  key: string,
  signerKey: string,
): CertifiedKey {
  certificate.sign(forge.pki.privateKeyFromPem(signerKey), forge.md.sha256.create());
  return { certificate: forge.pki.certificateToPem(certificate), key };
}
