// A source brings bytes in and takes the answer out. It knows its protocol's framing and nothing
// of what the bytes mean; what to answer is decided by flow/receive.ts.

export interface Received {
  channel: string;
  bytes: Uint8Array;
  /** ms since the epoch, when the last byte arrived. */
  at: number;
  /** Peer address or principal id, for the audit entry. */
  peer: string;
  /** http only. */
  contentType?: string;
  idempotencyKey?: string;
  principal?: string;
}

export interface Answer {
  /** Messages to send back, in this order: a frame each (mllp), one body (http); none = silence. */
  frames?: Uint8Array[];
  /**
   * mllp only: further messages for the same connection once their time comes (the application's
   * answer of enhanced mode). They may leave after the answers of later messages, and are dropped
   * when the connection is gone. It never rejects.
   */
  later?: Promise<Uint8Array[]>;
  contentType?: string;
  /** http only. */
  status?: number;
  headers?: Record<string, string>;
}

/** Resolves when the message is durable (or refused) and its answer is known; never rejects. */
export type Receive = (received: Received) => Promise<Answer>;

export interface Source {
  readonly kind: string;
  /** Where it listens: `127.0.0.1:2575`. */
  readonly address: string;
  /** Without doing work: is it listening, how many connections. */
  health(): { listening: boolean; connections: number };
  /** Reads its certificate files again; keeps the old ones, and rejects, when it cannot. */
  reload?(): Promise<void>;
  /** Stops accepting, lets running messages be answered, closes within `timeoutMs`. */
  close(timeoutMs: number): Promise<void>;
}
