// The MLLP source: listens on TCP or TLS, hands every frame to `receive` and sends back its answer.
// Framing is in mllp-frame.ts, one connection in mllp-connection.ts; HL7 is not known here.
import type { Server, Socket } from 'node:net';
import { createServer } from 'node:net';
import type { Server as TlsServer } from 'node:tls';
import { createServer as createTlsServer } from 'node:tls';
import type { MllpSource } from '../model/channel.ts';
import { EngineError, toEngineError } from '../model/errors.ts';
import type { Telemetry } from '../telemetry/events.ts';
import { MllpConnection } from './mllp-connection.ts';
import { ChannelConnections, FrameBytes, type ShareLimits } from './mllp-shares.ts';
import { readCertificates, watchCertificates } from './mllp-tls.ts';
import type { Answer, Receive, Received, Source } from './port.ts';

export const kind = 'mllp';

export interface MllpContext {
  channel: string;
  receive: Receive;
  /** The answer to a frame beyond frameBytesMax, of which `bytes` holds the head; never rejects. */
  refuseOversize(received: Received): Promise<Answer>;
  telemetry: Pick<Telemetry, 'emit'>;
  /** Bytes outside a frame were dropped: to be counted by peer. */
  noise?(channel: string, peer: string): void;
  /** ms since the epoch. */
  now(): number;
  /** Bytes that peers hold, over all channels; default: of this source alone. */
  frameBytes?: FrameBytes;
  limits?: MllpLimits;
  /** How often the certificate files are looked at; default 5,000. */
  certificatePollMs?: number;
}

export interface MllpLimits extends ShareLimits {
  /** A frame must be whole so long after its first byte. */
  frameTimeoutMs: number;
}

export interface MllpListener extends Source {
  /**
   * Reads the certificate files again, as it does by itself when they change; new connections use
   * them, open ones stay. Throws CONFIG_INVALID when they cannot be used, and keeps the old ones.
   * Without TLS: does nothing.
   */
  reload(): Promise<void>;
}

/** Listens. Throws CONFIG_INVALID when a certificate or the address cannot be used. */
export async function open(options: MllpSource, context: MllpContext): Promise<MllpListener> {
  const connections = new Set<MllpConnection>();
  const server = await makeServer(options);
  const limits = context.limits ?? SHARES;
  const shares: Shares = {
    ...{ limits, bytes: context.frameBytes ?? new FrameBytes(limits) },
    channel: new ChannelConnections(options.connectionsMax, limits),
  };
  // All of them, also those whose TLS handshake is not finished.
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    if (sockets.size >= options.connectionsMax + HANDSHAKES_MAX) return refuse(socket, context);
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    if (options.tls === null) take(socket, connections, options, context, shares);
  });
  server.on('secureConnection', (socket: Socket) =>
    take(socket, connections, options, context, shares),
  );
  reportRefusals(server, context);
  await listen(server, options, context.channel);
  const address = addressOf(server, options.host);
  const reload = async () => {
    if (options.tls === null) return;
    (server as TlsServer).setSecureContext(await readCertificates(options.tls));
  };
  if (options.tls !== null) {
    const stop = watchCertificates(options.tls, context.certificatePollMs ?? 5_000, () =>
      reload().catch((thrown) => reportStale(thrown, address, context)),
    );
    server.once('close', stop);
  }
  return {
    kind,
    address,
    health: () => ({ listening: server.listening, connections: connections.size }),
    reload,
    close: (timeoutMs) => close(server, connections, sockets, timeoutMs),
  };
}

interface Shares {
  limits: MllpLimits;
  /** Of all channels. */
  bytes: FrameBytes;
  channel: ChannelConnections;
}

/** TLS connections that may be in their handshake, beside those that are open. */
const HANDSHAKES_MAX = 64;

/** For a source alone; the server passes those of the configuration. */
const SHARES: MllpLimits = {
  peerConnectionsMax: 128,
  peerFrameBytesMax: 128 * 1024 * 1024,
  frameBytesTotalMax: 512 * 1024 * 1024,
  frameTimeoutMs: 120_000,
};

async function makeServer(options: MllpSource): Promise<Server> {
  const shared = { allowHalfOpen: true, noDelay: true, keepAlive: true };
  if (options.tls === null) return createServer(shared);
  const { requireClientCert } = options.tls;
  const secure = await readCertificates(options.tls);
  return createTlsServer({
    ...shared,
    ...secure,
    handshakeTimeout: HANDSHAKE_MS,
    requestCert: requireClientCert,
    rejectUnauthorized: requireClientCert,
  });
}

const HANDSHAKE_MS = 10_000;

function listen(server: Server, options: MllpSource, channel: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (cause: NodeJS.ErrnoException) => {
      const where = `${options.host}:${options.port}`;
      const text = `Channel ${channel} cannot listen on ${where} (${cause.code ?? 'unknown'}).`;
      reject(new EngineError('CONFIG_INVALID', text, { cause }));
    };
    server.once('error', fail);
    server.listen(options.port, options.host, () => {
      server.off('error', fail);
      server.on('error', () => server.close());
      resolve();
    });
  });
}

function take(
  socket: Socket,
  connections: Set<MllpConnection>,
  options: MllpSource,
  context: MllpContext,
  shares: Shares,
): void {
  const { channel, telemetry } = context;
  const peer = peerOf(socket);
  const connection: MllpConnection = new MllpConnection(socket, {
    peer: socket.remoteAddress ?? '',
    frameTimeoutMs: shares.limits.frameTimeoutMs,
    held: (holder, bytes) => shares.bytes.update(holder, bytes),
    frameBytesMax: options.frameBytesMax,
    idleTimeoutMs: options.idleTimeoutMs,
    inflightMax: options.inflightMax,
    answer: ({ bytes, oversize }) => {
      const received = { channel, bytes, at: context.now(), peer };
      return oversize ? context.refuseOversize(received) : context.receive(received);
    },
    noise: (bytes) => {
      telemetry.emit('frame.noise', { channel, bytes });
      context.noise?.(channel, peer);
    },
    closed: ({ messages, code }) => {
      connections.delete(connection);
      shares.channel.leave(connection);
      if (refused !== undefined) return;
      telemetry.emit('connection.closed', { channel, address: peer, messages, code });
    },
  });
  const refused = shares.channel.take(connection);
  if (refused !== undefined) {
    telemetry.emit('connection.refused', { channel, address: peer, code: refused });
    connection.destroy(refused);
    return;
  }
  connections.add(connection);
  telemetry.emit('connection.opened', { channel, address: peer });
}

function refuse(socket: Socket, { channel, telemetry }: MllpContext): void {
  telemetry.emit('connection.refused', {
    ...{ channel, address: peerOf(socket), code: 'CONNECTIONS_MAX' },
  });
  socket.destroy();
}

function peerOf(socket: Socket): string {
  return formatAddress(socket.remoteAddress ?? '0.0.0.0', socket.remotePort ?? 0);
}

/** A renewal is written file by file: what does not fit yet is tried again at the next change. */
function reportStale(thrown: unknown, address: string, context: MllpContext): void {
  const { code } = toEngineError(thrown);
  context.telemetry.emit('channel.failed', { channel: context.channel, address, code });
}

function reportRefusals(server: Server, { channel, telemetry }: MllpContext): void {
  server.on('tlsClientError', (error: NodeJS.ErrnoException, socket: Socket) => {
    const address = peerOf(socket);
    telemetry.emit('connection.refused', { channel, address, code: error.code ?? 'TLS_ERROR' });
    socket.destroy();
  });
}

/** Running messages are answered; after `timeoutMs` what is still open is cut. */
async function close(
  server: Server,
  connections: ReadonlySet<MllpConnection>,
  sockets: ReadonlySet<Socket>,
  timeoutMs: number,
): Promise<void> {
  if (!server.listening) return;
  const closed = new Promise<void>((resolve) => {
    server.close(() => resolve());
  });
  const running = [...connections];
  for (const connection of running) connection.drain();
  const timer = setTimeout(() => {
    for (const connection of running) connection.destroy('CLOSING');
  }, timeoutMs);
  await Promise.all(running.map((connection) => connection.done));
  clearTimeout(timer);
  for (const socket of [...sockets]) socket.destroy();
  await closed;
}

function addressOf(server: Server, host: string): string {
  const bound = server.address();
  return typeof bound === 'object' && bound !== null
    ? formatAddress(bound.address, bound.port)
    : host;
}

function formatAddress(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}
