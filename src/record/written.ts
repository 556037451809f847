// Looks from the log to the store: what its entries say was written must be stored as they say.
// Walks with the verification of the chain, page by page, and keeps only what is not settled yet.
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type AuditEntry, parseEntry, WRITING_ACTIONS } from '../audit/entry.ts';
import type { ChainFault } from '../audit/verify.ts';
import type { MessageState } from '../model/message.ts';
import { tableOf } from '../model/table.ts';
import type { AuditRow, CredentialRow, Head, ResourceRef, ResourceRow } from '../store/port.ts';
import type { ClinicalRecord } from './context.ts';
import { credentialDigest, versionDigest } from './stored-digest.ts';

/** Things that are read before other work of the thread gets its turn. */
const TURN = 50;
const TAIL_PAGE = 500;

interface Named extends ResourceRef {
  seq: number;
  version: number;
  /** undefined = an entry of an older release, which names no digest. */
  digest: string | undefined;
}

type StateAfter = (entry: AuditEntry) => MessageState | undefined;
/** State in which an entry leaves its message; a reused id is counted at one that is there. */
const STATE_AFTER: Partial<Record<string, StateAfter>> = tableOf({
  receive: ({ outcome, detail }: AuditEntry): MessageState | undefined => {
    if (detail === 'id-reused') return undefined;
    return outcome === 'success' ? 'received' : 'set-aside';
  },
  transform: (): MessageState => 'processed',
  'set-aside': (): MessageState => 'set-aside',
  replay: (): MessageState => 'received',
});

/** Actions that name a message and leave it as it is. */
const LOOKS = new Set<string>(['message', 'duplicate', 'refuse', 'deny', 'damaged']);

export class WrittenCheck {
  /** What the store contradicts, in the order of the log. */
  readonly faults: ChainFault[] = [];
  /** Entries that wrote something and name no digest of it. */
  undigested = 0;
  readonly #record: ClinicalRecord;
  readonly #tenant: string;
  readonly #credentials: Map<string, CredentialRow>;
  readonly #granted = new Set<string>();
  readonly #forgotten = new Set<string>();
  /** Messages whose stored state no entry has explained yet. */
  readonly #open = new Map<string, ChainFault & { compartment: string | null }>();

  private constructor(record: ClinicalRecord, tenant: string, credentials: CredentialRow[]) {
    this.#record = record;
    this.#tenant = tenant;
    this.#credentials = new Map(credentials.map((row) => [row.id, row]));
  }

  static async begin(record: ClinicalRecord, tenant: string): Promise<WrittenCheck> {
    return new WrittenCheck(record, tenant, await record.store.keys.credentials(tenant));
  }

  /** Rows of the chain, in order, whose links are good. */
  async take(rows: AuditRow[]): Promise<void> {
    const named: Named[] = [];
    const states = new Map<string, { seq: number; state: MessageState | undefined }>();
    for (const { seq, entry: text } of rows) {
      const entry = parseEntry(text);
      if (WRITING_ACTIONS.includes(entry.action)) named.push(...this.#namedBy(entry, seq));
      if (entry.message !== undefined && !LOOKS.has(entry.action)) {
        states.set(entry.message, { seq, state: STATE_AFTER[entry.action]?.(entry) });
      }
      if (entry.action === 'forget') this.#forgotten.add(entry.subject ?? '');
      if (entry.action === 'token' || entry.action === 'revoke') {
        await this.#checkCredential(entry, seq);
      }
    }
    await inTurns(named, (some) => this.#checkVersions(some));
    await inTurns([...states], (some) => this.#checkMessages(some));
  }

  /** After the last row, `seq`: what is still open is a contradiction. */
  async finish(seq: number): Promise<void> {
    const later = this.#open.size > 0 ? await this.#namedAfter(seq) : new Set();
    for (const [id, { compartment, ...fault }] of this.#open) {
      const forgotten = compartment !== null && this.#forgotten.has(compartment);
      if (!forgotten && !later.has(id)) this.faults.push(fault);
    }
    for (const id of this.#credentials.keys()) {
      if (this.#granted.has(id)) continue;
      this.#tell(seq, `the credential ${id} is stored, but no entry granted it`);
    }
  }

  #namedBy(entry: AuditEntry, seq: number): Named[] {
    const { resources = [], wrote } = entry;
    if (resources.length > 0 && wrote?.length !== resources.length) this.undigested += 1;
    return resources.flatMap((ref, index) => {
      const [type = '', id = '', , version] = ref.split('/');
      return [{ seq, type, id, version: Number(version), digest: wrote?.[index] }];
    });
  }

  async #checkVersions(named: Named[]): Promise<void> {
    const { resources } = this.#record.store;
    const heads = await resources.heads(this.#tenant, named);
    const newest = await resources.readMany(this.#tenant, named);
    for (const [index, each] of named.entries()) {
      const head = heads[index];
      const last = newest[index];
      const isLast = last?.version === each.version;
      const row = isLast ? last : await resources.read(this.#tenant, each, each.version);
      const reason = contradiction(each, head, last, row);
      const { type, id, version } = each;
      if (reason !== undefined) this.#tell(each.seq, `${type}/${id} version ${version} ${reason}`);
    }
  }

  async #checkMessages(
    told: [string, { seq: number; state: MessageState | undefined }][],
  ): Promise<void> {
    const { intake } = this.#record.store;
    const rows = await Promise.all(told.map(([id]) => intake.get(this.#tenant, id)));
    for (const [index, [id, { seq, state }]] of told.entries()) {
      const row = rows[index];
      this.#open.delete(id);
      if (row === undefined) this.#tell(seq, `message ${id} was taken and is not stored`);
      else if (state !== undefined && row.state !== state) {
        const reason = `message ${id} was left ${state} and is stored as ${row.state}`;
        this.#open.set(id, { seq, reason, compartment: row.compartment });
      }
    }
  }

  async #checkCredential({ action, subject = '', wrote }: AuditEntry, seq: number): Promise<void> {
    const row = this.#credentials.get(subject) ?? (await this.#findCredential(subject));
    if (action === 'token') this.#granted.add(subject);
    if (row === undefined) this.#tell(seq, `the credential ${subject} is not stored any more`);
    else if (action === 'revoke' && row.revokedAt === null) {
      this.#tell(seq, `the credential ${subject} was revoked, and is stored as if it were not`);
    } else if (action === 'token' && wrote !== undefined && wrote[0] !== credentialDigest(row)) {
      this.#tell(seq, `the credential ${subject} was changed`);
    }
    if (action === 'token' && wrote === undefined) this.undigested += 1;
  }

  /** One that was granted after the check began. */
  async #findCredential(id: string): Promise<CredentialRow | undefined> {
    const rows = await this.#record.store.keys.credentials(this.#tenant);
    return rows.find((row) => row.id === id);
  }

  /** Messages that entries behind `seq` name: they moved while the log was walked. */
  async #namedAfter(seq: number): Promise<ReadonlySet<string>> {
    const ids = new Set<string>();
    for (let from = seq + 1; ; ) {
      const rows = await this.#record.store.audit.entries(this.#tenant, from, TAIL_PAGE);
      for (const { entry } of rows) ids.add(parseEntry(entry).message ?? '');
      const last = rows.at(-1);
      if (last === undefined || rows.length < TAIL_PAGE) return ids;
      from = last.seq + 1;
    }
  }

  #tell(seq: number, reason: string): void {
    this.faults.push({ seq, reason });
  }
}

/** Why the store contradicts an entry that wrote `named`; undefined = it does not. */
function contradiction(
  named: Named,
  head: Head | undefined,
  last: ResourceRow | undefined,
  row: ResourceRow | undefined,
): string | undefined {
  if (head === undefined || last === undefined) return 'was written and the resource is deleted';
  if (head.version < named.version || last.version < named.version) {
    const shown = Math.min(head.version, last.version);
    return `was written and the resource is rolled back to version ${shown}`;
  }
  if (head.version === last.version && !agree(head, last)) return 'has a head that was changed';
  if (row === undefined) return 'was written and is not stored';
  if (named.digest !== undefined && named.digest !== versionDigest(row)) return 'was changed';
  return undefined;
}

/** `deleted` is not compared: a forgotten resource is neither there nor deleted. */
function agree(head: Head, row: ResourceRow): boolean {
  return (
    head.lastUpdated === row.lastUpdated &&
    head.compartment === row.compartment &&
    head.fingerprint === row.fingerprint
  );
}

/** Point reads of the embedded store are made in this thread: between them others get a turn. */
async function inTurns<T>(all: T[], work: (some: T[]) => Promise<void>): Promise<void> {
  for (let from = 0; from < all.length; from += TURN) {
    await work(all.slice(from, from + TURN));
    await nextTurn();
  }
}
