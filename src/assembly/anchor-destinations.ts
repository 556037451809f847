// Where signatures of the audit log go beside the data folder: a second folder, a syslog server
// (RFC 5424), a URL. A destination takes lines again that it has already: each line names its seq.
import { createHash } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { constants } from 'node:fs';
import { access, mkdir, open } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { hostname } from 'node:os';
import { isAbsolute, join } from 'node:path';
import { EngineError } from '../model/errors.ts';

export interface AnchorDestination extends Way {
  /** Digest of the whole address. */
  readonly id: string;
}

interface Way {
  /** The folder, or scheme, host and port: no path, no password. */
  readonly name: string;
  /** Resolves when it has the lines, as far as its protocol tells (UDP tells nothing). */
  send(lines: string[]): Promise<void>;
  /** Throws when it cannot be reached; sends nothing. */
  check(): Promise<void>;
}

const TIMEOUT_MS = 10_000;

/**
 * Reads ARTERY_ANCHORS_TO: `/mnt/other/audit`, `https://host/path`, `syslog+tcp://host:601`,
 * `syslog+udp://host:514`, divided by blanks; plain http for this machine alone. Throws
 * CONFIG_INVALID.
 */
export function anchorDestinations(text: string): AnchorDestination[] {
  return text
    .split(' ')
    .filter((part) => part !== '')
    .map((part, index) => ({ ...destinationOf(part, index), id: digestOf(part) }));
}

function digestOf(part: string): string {
  return createHash('sha256').update(part).digest('hex');
}

function destinationOf(part: string, index: number): Way {
  if (isAbsolute(part)) return folderDestination(part);
  const url = URL.canParse(part) ? new URL(part) : undefined;
  switch (url?.protocol) {
    case 'https:':
      return urlDestination(url);
    case 'http:':
      if (['127.0.0.1', '[::1]', 'localhost'].includes(url.hostname)) return urlDestination(url);
      break;
    case 'syslog+tcp:':
      return tcpDestination(url, portOf(url, 601));
    case 'syslog+udp:':
      return udpDestination(url, portOf(url, 514));
    default:
  }
  const text =
    `ARTERY_ANCHORS_TO: its part ${index + 1} is no absolute folder, https:// URL, ` +
    'syslog+tcp:// or syslog+udp:// address.';
  throw new EngineError('CONFIG_INVALID', text);
}

function portOf({ port }: URL, standard: number): number {
  return port === '' ? standard : Number(port);
}

function folderDestination(folder: string): Way {
  return {
    name: folder,
    async send(lines) {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      const file = await open(join(folder, 'anchors.jsonl'), 'a', 0o600);
      try {
        await file.appendFile(lines.map((line) => `${line}\n`).join(''));
        await file.sync();
      } finally {
        await file.close();
      }
    },
    check: () => access(folder, constants.W_OK | constants.X_OK),
  };
}

/** One POST of JSON lines; any 2xx says that they were kept. */
function urlDestination(url: URL): Way {
  const port = portOf(url, url.protocol === 'https:' ? 443 : 80);
  return {
    name: `${url.protocol}//${url.host}`,
    async send(lines) {
      const response = await fetch(url, {
        method: 'POST',
        headers: { 'content-type': 'application/x-ndjson' },
        body: `${lines.join('\n')}\n`,
        redirect: 'error',
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      await response.body?.cancel();
      if (response.ok) return;
      throw new EngineError('PEER_UNAVAILABLE', `The destination answered ${response.status}.`);
    },
    check: async () => void (await connected(url, port)).destroy(),
  };
}

/** RFC 6587 section 3.4.1: each message with its length before it. */
function tcpDestination(url: URL, port: number): Way {
  return {
    name: `syslog+tcp://${url.hostname}:${port}`,
    async send(lines) {
      const socket = await connected(url, port);
      try {
        const frames = lines.map((line) => {
          const message = syslogMessage(line);
          return `${Buffer.byteLength(message)} ${message}`;
        });
        socket.end(frames.join(''));
        // A server that goes away before it has read answers with an error, not with an end.
        socket.resume();
        await once(socket, 'close', { signal: AbortSignal.timeout(TIMEOUT_MS) });
      } finally {
        socket.destroy();
      }
    },
    check: async () => void (await connected(url, port)).destroy(),
  };
}

function udpDestination(url: URL, port: number): Way {
  const host = hostOf(url);
  return {
    name: `syslog+udp://${url.hostname}:${port}`,
    async send(lines) {
      const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
      try {
        for (const line of lines) {
          await new Promise<void>((resolve, reject) => {
            socket.send(syslogMessage(line), port, host, (error) =>
              error === null ? resolve() : reject(error),
            );
          });
        }
      } finally {
        socket.close();
      }
    },
    // Nothing answers a datagram.
    check: async () => undefined,
  };
}

function hostOf({ hostname: host }: URL): string {
  return host.replace(/^\[|\]$/g, '');
}

async function connected(url: URL, port: number): Promise<Socket> {
  const socket = connect({ host: hostOf(url), port, timeout: TIMEOUT_MS });
  socket.once('timeout', () => socket.destroy(new Error('no answer in time')));
  await once(socket, 'connect');
  return socket;
}

/** Facility 13 (log audit), severity 5 (notice): RFC 5424 section 6. */
function syslogMessage(line: string): string {
  const host = hostname().replace(/[^!-~]/g, '') || '-';
  return `<109>1 ${new Date().toISOString()} ${host} artery ${process.pid} anchor - ${line}`;
}
