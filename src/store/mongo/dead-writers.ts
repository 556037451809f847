// Frees a tenant that a killed process still holds. The server keeps the open transaction of a
// client that is gone for transactionLifetimeLimitSeconds (60 by default); so every committer
// writes down its session, and one that finds the tenant held and nothing committed for `stuckMs`
// ends the sessions of the others. A living one that was only slow runs its group again.
//
// Manual, "killSessions": ends sessions of the same user at once, with their transactions. Manual,
// "endSessions": marks them as expired, which frees nothing soon on MongoDB; but servers without
// killSessions (DocumentDB) abort their transactions then.
import { Binary, type ClientSession } from 'mongodb';
import { isDuplicateKey, isNoSuchCommand, isTransient } from './errors.ts';
import { idsUnder, rowId } from './row-ids.ts';
import type { CommitterOptions } from './tenant-committer.ts';

/** Registrations of killed processes are dropped when they are this old. */
const KEPT_MS = 30 * 24 * 3600 * 1000;
/** A slow server is no dead process: a transaction is given the time of this many replies. */
const REPLIES = 30;

export class DeadWriters {
  readonly #options: CommitterOptions;
  readonly #tenant: string;
  readonly #session: ClientSession;
  readonly #id: string;
  #heldSince: number | undefined;
  /** Commits of the tenant when it was last looked at, since it is held. */
  #commits: number | undefined;
  #patienceMs: number;

  constructor(options: CommitterOptions, tenant: string, session: ClientSession) {
    this.#options = options;
    this.#tenant = tenant;
    this.#session = session;
    this.#id = rowId(tenant, options.writer);
    this.#patienceMs = options.stuckMs;
  }

  /** Writes this committer's session down. */
  async join(): Promise<void> {
    const { writers } = this.#options.collections;
    const session = this.#session.id?.id.buffer;
    if (!session) return;
    const now = Date.now();
    try {
      await writers.insertOne({ _id: this.#id, tenant: this.#tenant, session, at: now });
    } catch (cause) {
      // The reply to an earlier try was lost.
      if (!isDuplicateKey(cause)) throw cause;
    }
    await writers.deleteMany({ ...this.#registered(), at: { $lt: now - KEPT_MS } });
  }

  async leave(): Promise<void> {
    await this.#options.collections.writers.deleteOne({ _id: this.#id });
  }

  /** The tenant was taken. */
  reset(): void {
    this.#heldSince = undefined;
    this.#commits = undefined;
    this.#patienceMs = this.#options.stuckMs;
  }

  /** An attempt failed; `held`: because another transaction has the tenant. */
  async notice(held: boolean): Promise<void> {
    if (!held) return this.reset();
    try {
      await this.#watch();
    } catch (cause) {
      // The next attempt will meet the same server.
      if (!isTransient(cause)) throw cause;
    }
  }

  async #watch(): Promise<void> {
    const now = Date.now();
    this.#heldSince ??= now;
    if (now - this.#heldSince < this.#patienceMs) return;
    const before = this.#commits;
    this.#commits = await this.#readCommits();
    const replyMs = Date.now() - now;
    this.#heldSince = now;
    this.#patienceMs = Math.max(this.#patienceMs, REPLIES * replyMs);
    if (this.#commits !== before) return;
    await this.#killOthers();
    this.#patienceMs *= 2;
  }

  #registered(): { _id: { $gte: string; $lt: string } } {
    const { from, to } = idsUnder(this.#tenant);
    return { _id: { $gte: from, $lt: to } };
  }

  async #readCommits(): Promise<number> {
    const { tenants } = this.#options.collections;
    const row = await tenants.findOne({ _id: this.#tenant }, { projection: { commits: 1 } });
    return row?.commits ?? -1;
  }

  async #killOthers(): Promise<void> {
    const { client, collections } = this.#options;
    const others = await collections.writers
      .find(this.#registered())
      .toArray()
      .then((rows) => rows.filter(({ _id }) => _id !== this.#id));
    if (others.length === 0) return;
    const admin = client.db('admin');
    const sessions = others.map(({ session }) => ({
      id: new Binary(session, Binary.SUBTYPE_UUID),
    }));
    try {
      await admin.command({ killSessions: sessions });
    } catch (cause) {
      if (!isNoSuchCommand(cause)) throw cause;
      // If this frees nothing, the transaction ends when its lifetime does.
      await admin.command({ endSessions: sessions });
    }
  }
}
