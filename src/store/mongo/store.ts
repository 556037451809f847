// The port over an open database: units go through one lane per tenant, reads go to the server at
// once. Counts what is under way, refuses what is too much, and finishes it before it closes.
import { randomUUID } from 'node:crypto';
import type { Db, MongoClient } from 'mongodb';
import { EngineError } from '../../model/errors.ts';
import type {
  AuditStore,
  Committed,
  IntakeStore,
  KeyStore,
  ResourceRef,
  ResourceStore,
  SearchStore,
  Store,
  StoreCondition,
  Unit,
} from '../port.ts';
import { backupDatabase } from './backup.ts';
import { type Collections, collectionsOf } from './collections.ts';
import { translateError } from './errors.ts';
import { countMatches, findResources } from './find.ts';
import { gather } from './gather.ts';
import * as intake from './intake-reads.ts';
import { type GroupLimits, isEmpty, Lane, unitBytes } from './lane.ts';
import * as ledger from './ledger-reads.ts';
import { conditionOf, writeProbe } from './probe.ts';
import * as resources from './resource-reads.ts';
import { resourceId, rowId } from './row-ids.ts';
import { type CommitterOptions, type TakeTurn, TenantCommitter } from './tenant-committer.ts';

/** Ids in one query. */
const IDS_MAX = 1_000;

export interface StoreLimits extends GroupLimits {
  /** Units and reads that may be under way at once; beyond it calls throw OVERLOADED. */
  callsMax: number;
  /** Bytes of units that may be under way at once; beyond it commit throws OVERLOADED. */
  callBytesMax: number;
  commitWaitMs: number;
  stuckMs: number;
  takeTurn?: TakeTurn;
}

export class MongoStore implements Store {
  readonly intake: IntakeStore;
  readonly resources: ResourceStore;
  readonly search: SearchStore;
  readonly audit: AuditStore;
  readonly keys: KeyStore;
  readonly #client: MongoClient;
  readonly #db: Db;
  readonly #collections: Collections;
  readonly #limits: StoreLimits;
  readonly #committing: CommitterOptions;
  readonly #lanes = new Map<string, Lane>();
  #calls = 0;
  #bytes = 0;
  #onSettled: (() => void)[] = [];
  #closed: Promise<void> | undefined;

  constructor(client: MongoClient, db: Db, limits: StoreLimits) {
    this.#client = client;
    this.#db = db;
    this.#collections = collectionsOf(db);
    this.#limits = limits;
    const { commitWaitMs, stuckMs, takeTurn } = limits;
    const collections = this.#collections;
    const writer = randomUUID();
    this.#committing = { client, collections, writer, commitWaitMs, stuckMs, takeTurn };
    this.intake = this.#makeIntake();
    this.resources = this.#makeResources();
    this.search = {
      find: (plan) => this.#read(findResources, plan),
      count: (plan, max) => this.#read(countMatches, plan, max),
    };
    this.audit = this.#makeAudit();
    this.keys = this.#makeKeys();
  }

  async commit(unit: Unit): Promise<Committed> {
    const bytes = unitBytes(unit);
    return this.#call(async () => {
      if (isEmpty(unit)) return { intakeSeqs: [], auditSeq: 0 };
      return this.#laneOf(unit.tenant).take(unit, bytes);
    }, bytes);
  }

  async probe(): Promise<StoreCondition> {
    try {
      await this.#call(() => writeProbe(this.#collections));
      return 'ok';
    } catch (thrown) {
      return conditionOf(thrown);
    }
  }

  async backup(folder: string): Promise<void> {
    return this.#call(() => backupDatabase(this.#client, this.#db, this.#collections, folder));
  }

  close(): Promise<void> {
    this.#closed ??= this.#finish();
    return this.#closed;
  }

  async #finish(): Promise<void> {
    if (this.#calls > 0) await new Promise<void>((resolve) => this.#onSettled.push(resolve));
    try {
      for (const lane of this.#lanes.values()) await lane.close();
    } catch {
      // Only the registration of a session stays behind; dead-writers.ts drops it in time.
    }
    await this.#client.close();
  }

  #laneOf(tenant: string): Lane {
    const known = this.#lanes.get(tenant);
    if (known) return known;
    const lane = new Lane(new TenantCommitter(this.#committing, tenant), this.#limits);
    this.#lanes.set(tenant, lane);
    return lane;
  }

  #read<A extends unknown[], T>(
    read: (collections: Collections, ...args: A) => Promise<T>,
    ...args: A
  ): Promise<T> {
    return this.#call(() => read(this.#collections, ...args));
  }

  /** `work` begins before this returns: units keep the order of their calls. */
  async #call<T>(work: () => Promise<T>, bytes = 0): Promise<T> {
    if (this.#closed) throw new EngineError('CLOSING');
    // A single call is taken whatever its size: its own limits are the caller's.
    const full = this.#bytes > 0 && this.#bytes + bytes > this.#limits.callBytesMax;
    if (full || this.#calls >= this.#limits.callsMax) {
      throw new EngineError('OVERLOADED', 'Too many calls of the store wait.');
    }
    this.#calls += 1;
    this.#bytes += bytes;
    try {
      return await work();
    } catch (cause) {
      throw translateError(cause);
    } finally {
      this.#calls -= 1;
      this.#bytes -= bytes;
      if (this.#calls === 0) for (const resolve of this.#onSettled.splice(0)) resolve();
    }
  }

  #makeIntake(): IntakeStore {
    return {
      get: (tenant, id) => this.#read(intake.getMessage, tenant, id),
      inbox: (tenant, key, limit) => this.#read(intake.readInbox, tenant, key, limit),
      waiting: (afterSeq, limit) => this.#read(intake.listWaiting, afterSeq, limit),
      list: (tenant, filter, limit, beforeSeq) =>
        this.#read(intake.listMessages, tenant, filter, limit, beforeSeq),
      counts: () => this.#read(intake.countIntake),
      oldestWaiting: () => this.#read(intake.oldestWaiting),
    };
  }

  #makeResources(): ResourceStore {
    const read = gather((ids) => resources.readNewest(this.#collections, ids), IDS_MAX);
    const readMany = (tenant: string, refs: ResourceRef[]) =>
      Promise.all(refs.map(({ type, id }) => read(resourceId(tenant, type, id))));
    return {
      heads: (tenant, refs) => this.#read(resources.readHeads, tenant, refs),
      read: (tenant, ref, version) => this.#read(resources.readVersion, tenant, ref, version),
      readMany: (tenant, refs) => this.#call(() => readMany(tenant, refs)),
      history: (tenant, of, limit, before) =>
        this.#read(resources.listHistory, tenant, of, limit, before),
      counts: (tenant) => this.#read(resources.countResources, tenant),
    };
  }

  #makeAudit(): AuditStore {
    return {
      head: (tenant) => this.#read(ledger.auditHead, tenant),
      entries: (tenant, from, limit) => this.#read(ledger.auditEntries, tenant, from, limit),
      checkpoints: (tenant) => this.#read(ledger.auditCheckpoints, tenant),
      tenants: () => this.#read(ledger.auditTenants),
    };
  }

  #makeKeys(): KeyStore {
    const read = gather((ids) => ledger.readKeys(this.#collections, ids), IDS_MAX);
    return {
      get: (tenant, id) => this.#call(() => read(rowId(tenant, id))),
      list: (tenant, kind, limit, afterId) =>
        this.#read(ledger.listKeys, tenant, kind, limit, afterId),
      credentialByHash: (tokenHash) => this.#read(ledger.credentialByHash, tokenHash),
      credentials: (tenant) => this.#read(ledger.listCredentials, tenant),
    };
  }
}
