// Owns the rate at which callers without a valid token are answered: a bucket of tokens for each
// peer. A caller with a valid token is never slowed. The number of peers it knows is bounded.
import { EngineError } from '../model/errors.ts';
import { peerOf } from './http-connections.ts';

export interface RateLimits {
  /** Failed sign-ins of one peer in a minute; other anonymous calls cost a tenth. */
  strangerFailuresPerMinute: number;
}

interface Bucket {
  /** Failures that are left, fractions included. */
  left: number;
  /** ms; when `left` was true. */
  at: number;
}

const PEERS_MAX = 10_000;
const MINUTE_MS = 60_000;
/** A call that asks for nothing secret costs this part of a failed sign-in. */
const OPEN_CALL = 0.1;

export class CallerRate {
  readonly #perMinute: number;
  readonly #clock: () => number;
  readonly #peers = new Map<string, Bucket>();

  /** `clock` in ms; it need not be the time of day. */
  constructor({ strangerFailuresPerMinute }: RateLimits, clock: () => number) {
    this.#perMinute = strangerFailuresPerMinute;
    this.#clock = clock;
  }

  get peers(): number {
    return this.#peers.size;
  }

  /** A failed sign-in of this address. Throws TOO_MANY_REQUESTS where it has none left. */
  failed(address: string): void {
    this.#spend(address, 1);
  }

  /** A call that needs no token. Throws TOO_MANY_REQUESTS. */
  called(address: string): void {
    this.#spend(address, OPEN_CALL);
  }

  #spend(address: string, cost: number): void {
    const peer = peerOf(address);
    const now = this.#clock();
    const known = this.#peers.get(peer) ?? { left: this.#perMinute, at: now };
    const refill = ((now - known.at) * this.#perMinute) / MINUTE_MS;
    const left = Math.min(this.#perMinute, known.left + Math.max(0, refill));
    const isAllowed = left >= cost;
    this.#peers.delete(peer);
    this.#peers.set(peer, { left: isAllowed ? left - cost : left, at: now });
    if (this.#peers.size > PEERS_MAX) this.#forgetOldest();
    if (!isAllowed) throw new EngineError('TOO_MANY_REQUESTS');
  }

  /** The peer that has not called for longest has the fullest bucket. */
  #forgetOldest(): void {
    for (const peer of this.#peers.keys()) {
      this.#peers.delete(peer);
      return;
    }
  }
}
