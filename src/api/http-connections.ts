// Owns the shares of HTTP connections: how many one peer, and all together, may have open. Where a
// share is full, the oldest connection on which no whole request waits for its answer gives way to
// the new one: half-open requests shut nobody out.
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

export interface ConnectionLimits {
  httpConnectionsMax: number;
  httpPeerConnectionsMax: number;
}

interface Connection {
  socket: Socket;
  peer: string;
  /** Requests that are not answered yet, with the answer that each waits for. */
  open: Map<IncomingMessage, ServerResponse>;
}

export class HttpConnections {
  readonly #limits: ConnectionLimits;
  /** A connection by address and port, oldest use first. */
  readonly #all = new Map<string, Connection>();
  /** Of each peer, oldest use first. */
  readonly #peers = new Map<string, Map<string, Connection>>();
  #closed = 0;

  constructor(limits: ConnectionLimits) {
    this.#limits = limits;
  }

  /** Connections that were closed to make room, or refused, since the start. */
  get closed(): number {
    return this.#closed;
  }

  get count(): number {
    return this.#all.size;
  }

  /** Watches all connections of a server, with TLS or without. */
  attach(server: Server): void {
    server.on('connection', (socket: Socket) => this.#take(socket));
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      // Over TLS the request has another socket than the connection; the ends are the same.
      const key = keyOf(request.socket);
      const connection = this.#all.get(key);
      if (connection === undefined) return;
      connection.open.set(request, response);
      this.#use(key, connection);
      response.once('close', () => {
        connection.open.delete(request);
        if (this.#all.get(key) === connection) this.#use(key, connection);
      });
    });
  }

  #take(socket: Socket): void {
    const peer = peerOf(socket.remoteAddress);
    const limits = this.#limits;
    const own = this.#peers.get(peer) ?? new Map<string, Connection>();
    const isPeerFull = own.size >= limits.httpPeerConnectionsMax;
    if (isPeerFull || this.#all.size >= limits.httpConnectionsMax) {
      this.#closed += 1;
      const from = isPeerFull ? own : this.#greediest(own);
      if (!this.#closeOldestIdle(from)) {
        socket.destroy();
        return;
      }
    }
    const key = keyOf(socket);
    const connection = { socket, peer, open: new Map() };
    this.#all.set(key, connection);
    this.#peers.set(peer, own.set(key, connection));
    socket.once('close', () => this.#drop(key, connection));
  }

  /** The connections of the peer that has most; of the caller's own where it has as many. */
  #greediest(own: Map<string, Connection>): Map<string, Connection> {
    let most = own;
    for (const one of this.#peers.values()) if (one.size > most.size) most = one;
    return most;
  }

  #closeOldestIdle(connections: Map<string, Connection>): boolean {
    for (const [key, connection] of connections) {
      if (isWorking(connection)) continue;
      this.#drop(key, connection);
      connection.socket.destroy();
      return true;
    }
    return false;
  }

  /** It becomes the one that was used last. */
  #use(key: string, connection: Connection): void {
    for (const map of [this.#all, this.#peers.get(connection.peer)]) {
      if (map?.delete(key)) map.set(key, connection);
    }
  }

  #drop(key: string, connection: Connection): void {
    if (this.#all.get(key) !== connection) return;
    this.#all.delete(key);
    const own = this.#peers.get(connection.peer);
    own?.delete(key);
    if (own?.size === 0) this.#peers.delete(connection.peer);
  }
}

/** The address; of IPv6 the network (/64), which one customer has whole. */
export function peerOf(address = ''): string {
  const plain = address.replace(/^::ffff:(?=\d+\.)/, '');
  if (!plain.includes(':')) return plain;
  const [left = '', right] = plain.split('::');
  const head = left === '' ? [] : left.split(':');
  const tail = right === undefined || right === '' ? [] : right.split(':');
  const zeros = Array.from({ length: Math.max(0, 8 - head.length - tail.length) }, () => '0');
  return [...head, ...zeros, ...tail].slice(0, 4).join(':');
}

/** A whole request waits for its answer. */
function isWorking({ open }: Connection): boolean {
  return [...open.keys()].some((request) => request.complete);
}

function keyOf({ remoteAddress = '', remotePort = 0 }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}
