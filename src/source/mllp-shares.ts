// What one peer, and all peers together, may hold of this process: connections, and bytes of frames
// that are not answered yet. A peer is an address: behind one there may be many systems.

export interface ShareLimits {
  /** Open connections of one peer to one channel. */
  peerConnectionsMax: number;
  /** Bytes of unfinished and unanswered frames, of one peer over all channels. */
  peerFrameBytesMax: number;
  /** The same, of all peers. */
  frameBytesTotalMax: number;
}

/** A connection, as the shares know it. */
export interface Holder {
  /** Address without the port. */
  readonly peer: string;
  /** No frame of it is unfinished or unanswered. */
  isIdle(): boolean;
  /** performance.now() of the last byte that came or went. */
  lastUsed(): number;
  /** Ends it at once, for this reason. */
  close(code: string): void;
}

/** Bytes held, by connection; one object for all channels of a process. */
export class FrameBytes {
  readonly #limits: ShareLimits;
  readonly #held = new Map<Holder, number>();
  readonly #peers = new Map<string, number>();
  #total = 0;

  constructor(limits: ShareLimits) {
    this.#limits = limits;
  }

  get total(): number {
    return this.#total;
  }

  /** `bytes` is what the holder has now, 0 = nothing. Closes who holds more than a share. */
  update(holder: Holder, bytes: number): void {
    const change = bytes - (this.#held.get(holder) ?? 0);
    if (change === 0) return;
    if (bytes === 0) this.#held.delete(holder);
    else this.#held.set(holder, bytes);
    const ofPeer = (this.#peers.get(holder.peer) ?? 0) + change;
    if (ofPeer === 0) this.#peers.delete(holder.peer);
    else this.#peers.set(holder.peer, ofPeer);
    this.#total += change;
    if (change < 0) return;
    if (ofPeer > this.#limits.peerFrameBytesMax) this.#drop(holder, 'PEER_FRAME_BYTES_MAX');
    while (this.#total > this.#limits.frameBytesTotalMax) {
      this.#drop(this.#greediest(holder), 'FRAME_BYTES_TOTAL_MAX');
    }
  }

  #drop(holder: Holder, code: string): void {
    this.update(holder, 0);
    holder.close(code);
  }

  /** The connection that holds most, of the peer that holds most. */
  #greediest(last: Holder): Holder {
    const [peer] = [...this.#peers].reduce((most, one) => (one[1] > most[1] ? one : most));
    const own = [...this.#held].filter(([holder]) => holder.peer === peer);
    return own.reduce((most, one) => (one[1] > most[1] ? one : most), [last, 0])[0];
  }
}

/** Connections of one channel, by peer. */
export class ChannelConnections {
  readonly #connectionsMax: number;
  readonly #peerConnectionsMax: number;
  readonly #peers = new Map<string, Set<Holder>>();
  #count = 0;

  constructor(connectionsMax: number, { peerConnectionsMax }: ShareLimits) {
    this.#connectionsMax = connectionsMax;
    this.#peerConnectionsMax = peerConnectionsMax;
  }

  get count(): number {
    return this.#count;
  }

  /**
   * Undefined = it was taken. Where the channel is full, an idle connection of the peer that has
   * most of them makes room for a peer that has at least two fewer.
   */
  take(holder: Holder): 'PEER_CONNECTIONS_MAX' | 'CONNECTIONS_MAX' | undefined {
    const own = this.#peers.get(holder.peer);
    const ownCount = own?.size ?? 0;
    if (ownCount >= this.#peerConnectionsMax) return 'PEER_CONNECTIONS_MAX';
    if (this.#count >= this.#connectionsMax && !this.#makeRoom(ownCount)) return 'CONNECTIONS_MAX';
    if (own === undefined) this.#peers.set(holder.peer, new Set([holder]));
    else own.add(holder);
    this.#count += 1;
    return undefined;
  }

  leave(holder: Holder): void {
    const own = this.#peers.get(holder.peer);
    if (!own?.delete(holder)) return;
    this.#count -= 1;
    if (own.size === 0) this.#peers.delete(holder.peer);
  }

  #makeRoom(ownCount: number): boolean {
    let most = new Set<Holder>();
    for (const own of this.#peers.values()) if (own.size > most.size) most = own;
    if (most.size < ownCount + 2) return false;
    const idle = [...most].filter((holder) => holder.isIdle());
    const [first, ...others] = idle;
    if (first === undefined) return false;
    const oldest = others.reduce((a, b) => (b.lastUsed() < a.lastUsed() ? b : a), first);
    this.leave(oldest);
    oldest.close('CONNECTIONS_MAX');
    return true;
  }
}
