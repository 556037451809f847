// The store as one thread sees it: units go to the writer thread, slow reads to the reader thread,
// point reads are made here on a read-only connection. Threads and files are opened by open.ts.
import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { EngineError } from '../../model/errors.ts';
import type {
  AuditStore,
  Committed,
  IntakeStore,
  KeyStore,
  ResourceStore,
  SearchStore,
  Store,
  StoreCondition,
  Unit,
} from '../port.ts';
import { backupFolder } from './backup.ts';
import { type Connection, openReader, translateError } from './connection.ts';
import { getMessage, readInbox } from './intake-reads.ts';
import { auditHead, credentialByHash, getKey } from './ledger-reads.ts';
import { packBatch, unitBytes } from './pack.ts';
import { type CallLimits, PortCalls } from './port-calls.ts';
import { conditionOf, PROBE, probeFolder } from './probe.ts';
import type { CommitBatch, CommitResults, ReadRequest, ReadResult, Welcome } from './protocol.ts';
import type { SLOW_READS } from './reader-thread.ts';
import { readHeads, readNewest, readVersion } from './resource-reads.ts';

export interface ClientOptions {
  folder: string;
  /** From `connect()` of the store that has the folder open; used up by the client. */
  port: MessagePort;
  /** Units and reads that may be under way at once; beyond it calls throw OVERLOADED. */
  callsMax?: number;
  /** Bytes of bodies in units that may be under way at once; beyond it commit throws OVERLOADED. */
  bytesMax?: number;
}

const CALLS_MAX = 20_000;
/** Units in one message to the writer. */
const BATCH_UNITS = 24;
const BYTES_MAX = 256 * 1024 * 1024;

/** Joins the store that `connect()` was called on. Closing the client leaves that store open. */
export function openSqliteClient(options: ClientOptions): Store {
  const welcome = receiveMessageOnPort(options.port)?.message as Welcome | undefined;
  if (!welcome) throw new EngineError('INTERNAL', 'The port is not one that connect() made.');
  const { folder, callsMax = CALLS_MAX, bytesMax = BYTES_MAX } = options;
  const limits = { callsMax, bytesMax };
  return new SqliteClient(folder, { writer: options.port, reader: welcome.reader }, limits);
}

class SqliteClient implements Store {
  readonly intake: IntakeStore;
  readonly resources: ResourceStore;
  readonly search: SearchStore;
  readonly audit: AuditStore;
  readonly keys: KeyStore;
  readonly #folder: string;
  readonly #db: Connection;
  readonly #writer: PortCalls<Committed>;
  readonly #reader: PortCalls<unknown>;
  #batch: CommitBatch = [];
  #closed: Promise<void> | undefined;

  constructor(
    folder: string,
    threads: { writer: MessagePort; reader: MessagePort },
    limits: CallLimits,
  ) {
    this.#folder = folder;
    this.#db = openReader(folder);
    this.#writer = new PortCalls(threads.writer, limits, (message) => {
      return message as CommitResults;
    });
    this.#reader = new PortCalls(threads.reader, limits, (message) => {
      return [message as ReadResult];
    });
    this.intake = this.#makeIntake();
    this.resources = this.#makeResources();
    this.search = {
      find: (plan) => this.#slow('findResources', plan),
      count: (plan, max) => this.#slow('countMatches', plan, max),
    };
    this.audit = this.#makeAudit();
    this.keys = this.#makeKeys();
  }

  async commit(unit: Unit): Promise<Committed> {
    this.#checkOpen();
    return this.#writer.call((n) => {
      // The units of one turn of the event loop go together, but not all of them: a long turn would
      // leave the writer idle, and then this thread while the writer works.
      if (this.#batch.length === 0) setImmediate(() => this.#sendBatch());
      this.#batch.push({ n, unit });
      if (this.#batch.length >= BATCH_UNITS) this.#sendBatch();
    }, unitBytes(unit));
  }

  async probe(): Promise<StoreCondition> {
    try {
      await probeFolder(this.#folder);
      await this.commit(PROBE);
      return 'ok';
    } catch (thrown) {
      return conditionOf(thrown);
    }
  }

  async backup(folder: string): Promise<void> {
    this.#checkOpen();
    await backupFolder(this.#folder, folder);
  }

  close(): Promise<void> {
    this.#closed ??= this.#finish();
    return this.#closed;
  }

  async #finish(): Promise<void> {
    await Promise.all([this.#writer.settled(), this.#reader.settled()]);
    this.#writer.close();
    this.#reader.close();
    this.#db.close();
  }

  #sendBatch(): void {
    const batch = this.#batch;
    if (batch.length === 0) return;
    this.#batch = [];
    try {
      const packed = packBatch(batch);
      this.#writer.post(packed, [packed.buffer]);
    } catch (cause) {
      // A unit that cannot be sent is a fault of the caller; its neighbours may be sent again.
      for (const { n } of batch) this.#writer.fail(n, translateError(cause));
    }
  }

  #checkOpen(): void {
    if (this.#closed) throw new EngineError('CLOSING');
  }

  /** A read by the reader thread. */
  async #slow<M extends keyof typeof SLOW_READS>(
    method: M,
    ...args: Rest<(typeof SLOW_READS)[M]>
  ): Promise<ReturnType<(typeof SLOW_READS)[M]>> {
    this.#checkOpen();
    const value = await this.#reader.call((n) => {
      this.#reader.post({ n, method, args } satisfies ReadRequest, []);
    });
    return value as ReturnType<(typeof SLOW_READS)[M]>;
  }

  /** A read in the calling thread. */
  async #fast<A extends unknown[], T>(
    read: (db: Connection, ...args: A) => T,
    ...args: A
  ): Promise<T> {
    this.#checkOpen();
    try {
      return read(this.#db, ...args);
    } catch (cause) {
      throw translateError(cause);
    }
  }

  #makeIntake(): IntakeStore {
    return {
      get: (tenant, id) => this.#fast(getMessage, tenant, id),
      inbox: (tenant, key, limit) => this.#fast(readInbox, tenant, key, limit),
      waiting: (afterSeq, limit) => this.#slow('listWaiting', afterSeq, limit),
      list: (tenant, filter, limit, beforeSeq) =>
        this.#slow('listMessages', tenant, filter, limit, beforeSeq),
      counts: () => this.#slow('countIntake'),
      oldestWaiting: () => this.#slow('oldestWaiting'),
    };
  }

  #makeResources(): ResourceStore {
    return {
      heads: (tenant, refs) => this.#fast(readHeads, tenant, refs),
      read: (tenant, ref, version) => this.#fast(readVersion, tenant, ref, version),
      readMany: (tenant, refs) => this.#fast(readNewest, tenant, refs),
      history: (tenant, of, limit, before) => this.#slow('listHistory', tenant, of, limit, before),
      counts: (tenant) => this.#slow('countResources', tenant),
    };
  }

  #makeAudit(): AuditStore {
    return {
      head: (tenant) => this.#fast(auditHead, tenant),
      entries: (tenant, from, limit) => this.#slow('auditEntries', tenant, from, limit),
      checkpoints: (tenant) => this.#slow('auditCheckpoints', tenant),
      tenants: () => this.#slow('auditTenants'),
    };
  }

  #makeKeys(): KeyStore {
    return {
      get: (tenant, id) => this.#fast(getKey, tenant, id),
      list: (tenant, kind, limit, afterId) => this.#slow('listKeys', tenant, kind, limit, afterId),
      credentialByHash: (tokenHash) => this.#fast(credentialByHash, tokenHash),
      credentials: (tenant) => this.#slow('listCredentials', tenant),
    };
  }
}

type Rest<F> = F extends (first: Connection, ...rest: infer R) => unknown ? R : never;
