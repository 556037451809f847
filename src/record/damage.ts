// Records that are stored but do not open: their name, the fault that is thrown for them, and the
// list of those that this thread has met. Each is told once a day (event, audit entry), however
// often it is read. What is done without the record is decided where it is read.
import { EngineError, type ErrorCode } from '../model/errors.ts';
import type { CredentialRow } from '../store/port.ts';
import type { Trail } from './trail.ts';

/** What does not open; the code of the event. */
export type DamageKind =
  | 'RESOURCE_BODY'
  | 'MESSAGE_BODY'
  | 'MESSAGE_OUTCOME'
  | 'AUDIT_ENTRY'
  | 'STORED_KEY'
  | 'CREDENTIAL';

export interface Damage {
  tenant: string;
  kind: DamageKind;
  /** `Patient/<id>/_history/<version>`, `message/<id>`, `audit entry <seq>` and the like. */
  name: string;
  /** The bare id, for the log. */
  id: string;
  /** Version of a resource, seq of an audit entry, else 0. */
  version: number;
}

/** Thrown in place of what was to be opened; STORE_CORRUPT or KEY_UNAVAILABLE. */
export class DamagedRecord extends EngineError {
  readonly damage: Damage;
  constructor(damage: Damage, code: ErrorCode, reason: string, cause: unknown) {
    const repair = 'Restore it from a backup; artery audit verify --bodies names all of them.';
    super(code, `${damage.name} is stored but does not open: ${reason} ${repair}`, { cause });
    this.damage = damage;
  }
}

const TOLD_AGAIN_MS = 24 * 3_600_000;
/** Beyond so many the list says only that there are more. */
const KNOWN_MAX = 10_000;

export class DamageLog {
  /** When each was told last, by tenant and name. */
  readonly #known = new Map<string, number>();
  readonly #trail: Trail;
  readonly #clock: () => number;
  readonly #tell: (damage: Damage, code: ErrorCode) => void;

  constructor(trail: Trail, clock: () => number, tell: (damage: Damage, code: ErrorCode) => void) {
    this.#trail = trail;
    this.#clock = clock;
    this.#tell = tell;
  }

  /** Damaged records that were met since the start and have not opened since. */
  count(): number {
    return this.#known.size;
  }

  note({ damage, code }: DamagedRecord): void {
    const key = keyOf(damage);
    const toldAt = this.#known.get(key);
    const now = this.#clock();
    if (toldAt !== undefined && now - toldAt < TOLD_AGAIN_MS) return;
    if (toldAt === undefined && this.#known.size >= KNOWN_MAX) return;
    this.#known.set(key, now);
    this.#tell(damage, code);
    const entry = { action: 'damaged', outcome: 'failure', who: 'artery' } as const;
    const told = this.#trail.note(damage.tenant, { ...entry, subject: damage.name, detail: code });
    // Nobody waits for it: where the store takes no entries, the read itself is refused for that.
    told.catch(() => this.#known.delete(key));
  }

  /** It opened: it was restored. Costs nothing while no record is known as damaged. */
  opened(damage: Damage): void {
    if (this.#known.size > 0) this.#known.delete(keyOf(damage));
  }
}

function keyOf({ tenant, name }: Damage): string {
  return `${tenant}|${name}`;
}

/**
 * Runs `open`. Whatever shows that the record is not what was written (it does not decrypt, its key
 * is missing but not destroyed, it is not JSON, it is another record) is noted and thrown as
 * DamagedRecord. That a patient was forgotten, or that the store does not answer, is no damage.
 */
export async function openGuarded<T>(
  log: DamageLog,
  damage: Damage,
  open: () => Promise<T>,
): Promise<T> {
  try {
    const value = await open();
    log.opened(damage);
    return value;
  } catch (thrown) {
    const fault = damageOf(damage, thrown);
    if (fault === undefined) throw thrown;
    log.note(fault);
    throw fault;
  }
}

function damageOf(damage: Damage, thrown: unknown): DamagedRecord | undefined {
  if (thrown instanceof DamagedRecord) return thrown;
  if (!(thrown instanceof EngineError)) {
    const reason = 'what it holds is not of its form.';
    return new DamagedRecord(damage, 'STORE_CORRUPT', reason, thrown);
  }
  if (thrown.code === 'KEY_UNAVAILABLE') {
    return new DamagedRecord(damage, thrown.code, 'its key is missing.', thrown);
  }
  if (thrown.code !== 'STORE_CORRUPT') return undefined;
  return new DamagedRecord(damage, thrown.code, 'it, its place or its key was changed.', thrown);
}

/** As `open`, but undefined for a damaged record, which is given to `found` instead. */
export async function unlessDamaged<T>(
  open: Promise<T>,
  found: (fault: DamagedRecord) => void,
): Promise<T | undefined> {
  try {
    return await open;
  } catch (thrown) {
    if (!(thrown instanceof DamagedRecord)) throw thrown;
    found(thrown);
    return undefined;
  }
}

/** The name of one version of a resource. */
export function versionDamage(
  tenant: string,
  { type, id, version }: { type: string; id: string; version: number },
): Damage {
  const name = `${type}/${id}/_history/${version}`;
  return { tenant, kind: 'RESOURCE_BODY', name, id, version };
}

export function messageDamage(tenant: string, id: string): Damage {
  return { tenant, kind: 'MESSAGE_BODY', name: `message/${id}`, id, version: 0 };
}

export function outcomeDamage(tenant: string, id: string): Damage {
  return { tenant, kind: 'MESSAGE_OUTCOME', name: `outcome of message/${id}`, id, version: 0 };
}

export function auditDamage(tenant: string, seq: number): Damage {
  return { tenant, kind: 'AUDIT_ENTRY', name: `audit entry ${seq}`, id: '', version: seq };
}

/** Throws DamagedRecord, told once a day, for a credential that does not read or is not ours. */
export function checkCredential(
  log: DamageLog,
  row: CredentialRow,
  isSound: (row: CredentialRow) => Promise<boolean>,
): Promise<void> {
  const { tenant, id } = row;
  const damage: Damage = { tenant, kind: 'CREDENTIAL', name: `credential ${id}`, id, version: 0 };
  return openGuarded(log, damage, async () => {
    if (row.damaged || !(await isSound(row))) throw new EngineError('STORE_CORRUPT');
  });
}
