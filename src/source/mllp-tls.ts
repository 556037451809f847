// Certificate files of an MLLP source: reading, checking, watching. It makes no certificates.
import { unwatchFile, watchFile } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { SecureContextOptions } from 'node:tls';
import { createSecureContext } from 'node:tls';
import type { MllpSource } from '../model/channel.ts';
import { EngineError } from '../model/errors.ts';

export type TlsFiles = NonNullable<MllpSource['tls']>;

/**
 * What a TLS server needs of the files: TLS 1.2 or later. Throws CONFIG_INVALID when a file cannot
 * be read or they do not fit together.
 */
export async function readCertificates(tls: TlsFiles): Promise<SecureContextOptions> {
  if (tls.requireClientCert && tls.caFile === '') {
    throw new EngineError('CONFIG_INVALID', 'requireClientCert needs a caFile.');
  }
  const [cert, key, ca] = await Promise.all([
    readPem(tls.certFile),
    readPem(tls.keyFile),
    tls.caFile === '' ? undefined : readPem(tls.caFile),
  ]);
  const secure = { cert, key, minVersion: 'TLSv1.2' as const, ...(ca === undefined ? {} : { ca }) };
  try {
    createSecureContext(secure);
  } catch (cause) {
    const text = 'The certificate, its key and the CA cannot be used together.';
    throw new EngineError('CONFIG_INVALID', text, { cause });
  }
  return secure;
}

/** Calls `changed` when a file is written; the answer stops it. It keeps no process alive. */
export function watchCertificates(
  tls: TlsFiles,
  intervalMs: number,
  changed: () => void,
): () => void {
  const files = [tls.certFile, tls.keyFile, tls.caFile].filter((file) => file !== '');
  const listener = () => changed();
  for (const file of files) watchFile(file, { interval: intervalMs, persistent: false }, listener);
  return () => {
    for (const file of files) unwatchFile(file, listener);
  };
}

async function readPem(file: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (cause) {
    throw new EngineError('CONFIG_INVALID', `The file ${file} cannot be read.`, { cause });
  }
}
