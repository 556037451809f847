// What the stand-in says it is: the answer to hello, stepping down and up again, and hello
// answers that are held back until something changes (Replica Set Monitoring, awaitable hello).
import { BSON, ObjectId } from 'mongodb';
import { type Doc, isDoc } from './values.ts';
import { MESSAGE_BYTES_MAX } from './wire.ts';

/** documentdb: a compatible server; what it does otherwise than MongoDB is in compatible.ts. */
export type TopologyKind = 'replica-set' | 'mongos' | 'standalone' | 'documentdb';

export const SET_NAME = 'artery-test';
const WIRE_VERSION = 25;

export class Topology {
  readonly kind: TopologyKind;
  port = 0;
  primary = true;
  readonly #process = new ObjectId();
  #election = new ObjectId();
  #counter = 0;
  #waiting = new Set<() => void>();

  constructor(kind: TopologyKind) {
    this.kind = kind;
  }

  get url(): string {
    const host = `mongodb://127.0.0.1:${this.port}/`;
    return this.kind === 'replica-set' ? `${host}?replicaSet=${SET_NAME}` : host;
  }

  /** A new election: clients that watch are told at once. */
  change(primary: boolean): void {
    if (primary) this.#election = new ObjectId();
    this.primary = primary;
    this.#counter++;
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }

  /** Lets go of held back answers, for the end. */
  release(): void {
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }

  async hello(command: Doc): Promise<Doc> {
    const known = isDoc(command.topologyVersion) ? Number(command.topologyVersion.counter) : -1;
    const waitMs = Number(command.maxAwaitTimeMS ?? 0);
    if (known === this.#counter && waitMs > 0) await this.#changed(waitMs);
    return this.#describe();
  }

  #changed(waitMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(done, waitMs);
      const waiting = this.#waiting;
      function done(): void {
        clearTimeout(timer);
        waiting.delete(done);
        resolve();
      }
      waiting.add(done);
    });
  }

  #describe(): Doc {
    const general = {
      helloOk: true,
      isWritablePrimary: this.primary,
      ismaster: this.primary,
      maxBsonObjectSize: 16_777_216,
      maxMessageSizeBytes: MESSAGE_BYTES_MAX,
      maxWriteBatchSize: 100_000,
      localTime: new Date(),
      logicalSessionTimeoutMinutes: 30,
      minWireVersion: 0,
      maxWireVersion: WIRE_VERSION,
      readOnly: false,
      ok: 1,
    };
    const counter = BSON.Long.fromNumber(this.#counter);
    if (this.kind === 'documentdb') return { ...general, msg: 'isdbgrid', internal: {} };
    const watched = { ...general, topologyVersion: { processId: this.#process, counter } };
    if (this.kind === 'standalone') return watched;
    if (this.kind === 'mongos') return { ...watched, msg: 'isdbgrid' };
    const me = `127.0.0.1:${this.port}`;
    return {
      ...watched,
      hosts: [me],
      setName: SET_NAME,
      setVersion: 1,
      me,
      secondary: !this.primary,
      ...(this.primary ? { primary: me, electionId: this.#election } : {}),
    };
  }
}
