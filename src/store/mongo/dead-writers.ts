// Frees a tenant that a killed process still holds. The server keeps the open transaction of a
// client that is gone for transactionLifetimeLimitSeconds (60 by default); so every committer
// writes down its session, and one that finds the tenant held and nothing committed for `stuckMs`
// ends the sessions of the others, one by one, until the tenant is free.
//
// A living one whose session is ended runs its group again. But DocumentDB may let a write stand
// that is on its way when its transaction is ended: so a committer that waits for the tenant, or
// holds it for long, tells from time to time that it lives, and is left alone.
//
// Manual, "killSessions": ends sessions of the same user at once, with their transactions. Manual,
// "endSessions": marks them as expired, which frees nothing soon on MongoDB; but servers without
// killSessions (DocumentDB) abort their transactions then.
import { Binary, type ClientSession } from 'mongodb';
import { isDuplicateKey, isNoSuchCommand, isTransient } from './errors.ts';
import type { WriterDoc } from './records.ts';
import { idsUnder, rowId } from './row-ids.ts';
import type { CommitterOptions } from './tenant-committer.ts';

/** Registrations of killed processes are dropped when they are this old. */
const KEPT_MS = 30 * 24 * 3600 * 1000;
/** A slow server is no dead process: a transaction is given the time of this many replies. */
const REPLIES = 30;
/** So often within `stuckMs` a committer tells that it lives. */
const BEATS = 4;

/** What a look at a held tenant saw. */
interface Look {
  commits: number;
  /** Each other writer, by the id of its registration. */
  others: Map<string, WriterDoc>;
}

export class DeadWriters {
  readonly #options: CommitterOptions;
  readonly #tenant: string;
  readonly #session: ClientSession;
  readonly #id: string;
  #heldSince: number | undefined;
  /** The last one, since the tenant is held. */
  #look: Look | undefined;
  /** Whose sessions were ended since. */
  readonly #ended = new Set<string>();
  #patienceMs: number;
  readonly #beatMs: number;
  #beatAt = Number.NEGATIVE_INFINITY;
  #beating: NodeJS.Timeout | undefined;

  constructor(options: CommitterOptions, tenant: string, session: ClientSession) {
    this.#options = options;
    this.#tenant = tenant;
    this.#session = session;
    this.#id = rowId(tenant, options.writer);
    this.#patienceMs = options.stuckMs;
    this.#beatMs = options.stuckMs / BEATS;
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

  /** The tenant was taken; `released` follows, whatever becomes of the transaction. */
  taken(): void {
    this.#forget();
    this.#beating = setInterval(() => void this.#beat(), this.#beatMs);
  }

  released(): void {
    clearInterval(this.#beating);
  }

  /** An attempt failed; `held`: because another transaction has the tenant. */
  async notice(held: boolean): Promise<void> {
    if (!held) return this.#forget();
    if (performance.now() - this.#beatAt >= this.#beatMs) await this.#beat();
    try {
      await this.#watch();
    } catch (cause) {
      // The next attempt will meet the same server.
      if (!isTransient(cause)) throw cause;
    }
  }

  #forget(): void {
    this.#heldSince = undefined;
    this.#look = undefined;
    this.#ended.clear();
    this.#patienceMs = this.#options.stuckMs;
  }

  async #beat(): Promise<void> {
    const { writers } = this.#options.collections;
    this.#beatAt = performance.now();
    try {
      await writers.updateOne({ _id: this.#id }, { $inc: { beats: 1 } });
    } catch {
      // The transaction meets the same server, and tells what is wrong with it.
    }
  }

  async #watch(): Promise<void> {
    const now = Date.now();
    this.#heldSince ??= now;
    if (now - this.#heldSince < this.#patienceMs) return;
    const before = this.#look;
    const look = await this.#readLook();
    const replyMs = Date.now() - now;
    this.#look = look;
    this.#heldSince = now;
    this.#patienceMs = Math.max(this.#patienceMs, REPLIES * replyMs);
    if (before === undefined || before.commits !== look.commits) return;
    const dead = [...look.others.values()].find(
      ({ _id, beats = 0 }) => beatsIn(before, _id) === beats && !this.#ended.has(_id),
    );
    if (dead === undefined) {
      this.#patienceMs *= 2;
      this.#ended.clear();
      return;
    }
    await this.#endSession(dead);
    this.#ended.add(dead._id);
    // The tenant is asked for, and if it is still held the next one is ended.
    this.#heldSince = 0;
  }

  #registered(): { _id: { $gte: string; $lt: string } } {
    const { from, to } = idsUnder(this.#tenant);
    return { _id: { $gte: from, $lt: to } };
  }

  async #readLook(): Promise<Look> {
    const { tenants, writers } = this.#options.collections;
    const row = await tenants.findOne({ _id: this.#tenant }, { projection: { commits: 1 } });
    const all = await writers.find(this.#registered()).toArray();
    const others = new Map(all.map((writer) => [writer._id, writer]));
    others.delete(this.#id);
    return { commits: row?.commits ?? -1, others };
  }

  async #endSession({ session }: WriterDoc): Promise<void> {
    const admin = this.#options.client.db('admin');
    const sessions = [{ id: new Binary(session, Binary.SUBTYPE_UUID) }];
    try {
      await admin.command({ killSessions: sessions });
    } catch (cause) {
      if (!isNoSuchCommand(cause)) throw cause;
      // If this frees nothing, the transaction ends when its lifetime does.
      await admin.command({ endSessions: sessions });
    }
  }
}

/** Undefined for one that was not there. */
function beatsIn({ others }: Look, id: string): number | undefined {
  const writer = others.get(id);
  return writer && (writer.beats ?? 0);
}
