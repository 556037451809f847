// artery cert make: a CA of one's own with server and client certificates, for MLLP over TLS.
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { type CertifiedKey, makeCa, makeCertificate } from '../crypto/certificate.ts';
import { act, type Call, example, wholeNumber } from './call.ts';
import type { CommandContext } from './context.ts';
import { CommandError, EXIT } from './outcome.ts';

interface Options {
  dir: string;
  host: string[];
  client: string;
  days: number;
  force?: boolean;
}

export function addCert(program: Command, context: CommandContext): void {
  const cert = program.command('cert').description('certificates for MLLP over TLS');
  const make = cert
    .command('make')
    .description('make a CA (or use the one that is there), a server and a client certificate')
    .requiredOption('--dir <folder>', 'where the PEM files go; keys get mode 0600')
    .option('--host <name...>', 'names and addresses of the server', ['localhost', '127.0.0.1'])
    .option('--client <name>', 'name of the client', 'artery-client')
    .option('--days <n>', 'how long they are valid', wholeNumber(1, 3_650), 397)
    .option('--force', 'replace server and client files that are there')
    .action(act(context, makeFiles));
  example(make, 'cert make --dir data/certs --host mllp.hospital.example 10.1.2.3');
}

async function makeFiles(call: Call<Options>): Promise<undefined> {
  const { host, client, days, force } = call.options;
  const dir = resolve(call.options.dir);
  const now = call.context.now();
  const files = ['server.pem', 'server.key', 'client.pem', 'client.key'].map((name) =>
    join(dir, name),
  );
  const taken = files.filter((file) => existsSync(file));
  if (taken.length > 0 && !force) {
    throw new CommandError(EXIT.refused, `${taken[0]} exists; --force replaces it.`);
  }
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const ca = await openCa(dir, { commonName: 'Artery CA', now, days: days * 5 });
  const server = {
    commonName: host[0] ?? 'localhost',
    now,
    days,
    usage: 'server',
    hosts: host,
  } as const;
  writePair(dir, 'server', await makeCertificate(ca, server));
  const own = { commonName: client, now, days, usage: 'client', hosts: [] } as const;
  writePair(dir, 'client', await makeCertificate(ca, { ...own, hosts: [] }));
  const made = ['ca.pem', 'ca.key'].map((name) => join(dir, name)).concat(files);
  call.print({ files: made }, made.join('\n'));
}

async function openCa(dir: string, request: Parameters<typeof makeCa>[0]): Promise<CertifiedKey> {
  const [certificate, key] = [join(dir, 'ca.pem'), join(dir, 'ca.key')];
  if (existsSync(certificate) && existsSync(key)) {
    return { certificate: readFileSync(certificate, 'utf8'), key: readFileSync(key, 'utf8') };
  }
  const ca = await makeCa(request);
  writePair(dir, 'ca', ca);
  return ca;
}

/** Removed first: the mode of a file that is there would stay as it is. */
function writePair(dir: string, name: string, pair: CertifiedKey): void {
  for (const [ending, text] of [
    ['pem', pair.certificate],
    ['key', pair.key],
  ] as const) {
    const file = join(dir, `${name}.${ending}`);
    rmSync(file, { force: true });
    writeFileSync(file, text, { mode: 0o600 });
  }
}
