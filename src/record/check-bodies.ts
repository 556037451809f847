// Opens everything that is stored, a page at a time, and names what does not open: keys, versions
// of resources, messages with their outcomes, audit entries. What a page holds is let go of before
// the next one is read, and other work runs between them.
import { setImmediate as yieldToOthers } from 'node:timers/promises';
import { parseEntry } from '../audit/entry.ts';
import { resourceTypes } from '../fhir/elements.ts';
import { EngineError } from '../model/errors.ts';
import type { AuditRow, CredentialRow, IntakeRow, KeyWrite, ResourceRow } from '../store/port.ts';
import { openResource } from './body.ts';
import type { ClinicalRecord } from './context.ts';
import { isCredentialSound } from './credential-mac.ts';
import { auditDamage, checkCredential, type Damage, DamagedRecord, openGuarded } from './damage.ts';
import { openMessageBody, openOutcome } from './message-body.ts';

export interface BodiesPage {
  /** Records that were looked at on this page. */
  checked: number;
  /** Of them, sealed under a destroyed key: their patient was forgotten. */
  forgotten: number;
  /** Names of those that are stored but do not open, and of what the store could not read. */
  damaged: string[];
  /** Pass as `after` to go on; absent when all was looked at. */
  next?: string;
}

/** Rows that are opened before others get their turn. */
const ROWS = 200;
/** Pages of the store that one call reads; a type without rows is one too. */
const READS = 20;

/** Where the check stands: which part, and behind which row of it. */
interface Position {
  part: number;
  after?: After;
}
type After = NonNullable<Parameters<Part['read']>[2]>;

interface Part {
  /** For the fault of a part that cannot be read. */
  name: string;
  read(
    record: ClinicalRecord,
    tenant: string,
    after: { text?: string; number?: number; version?: number } | undefined,
  ): Promise<{ tests: (() => Promise<unknown>)[]; after?: After }>;
}

/**
 * One stretch of the check, begun behind `after`. A table or index that cannot be read is named,
 * and the check goes on behind it. Not audited: nothing is shown. Throws BAD_REQUEST for an `after`
 * that no page gave, STORE_UNAVAILABLE.
 */
export async function checkBodies(
  record: ClinicalRecord,
  tenant: string,
  after?: string,
): Promise<BodiesPage> {
  const page: BodiesPage = { checked: 0, forgotten: 0, damaged: [] };
  let at: Position | undefined = after === undefined ? { part: 0 } : readPosition(after);
  for (let reads = 0; at !== undefined && reads < READS; reads += 1) {
    at = await checkRows(record, tenant, at, page);
    await yieldToOthers();
  }
  return at === undefined ? page : { ...page, next: writePosition(at) };
}

/** Looks at the next rows of a part; answers where to go on. */
async function checkRows(
  record: ClinicalRecord,
  tenant: string,
  at: Position,
  page: BodiesPage,
): Promise<Position | undefined> {
  const part = PARTS[at.part];
  if (part === undefined) return undefined;
  const following = { part: at.part + 1 };
  let found: Awaited<ReturnType<Part['read']>>;
  try {
    found = await part.read(record, tenant, at.after);
  } catch (thrown) {
    if (!(thrown instanceof EngineError) || thrown.code !== 'STORE_CORRUPT') throw thrown;
    page.damaged.push(`${part.name}, from here on: ${thrown.message}`);
    return following;
  }
  for (const test of found.tests) await count(page, test);
  return found.after === undefined ? following : { part: at.part, after: found.after };
}

async function count(page: BodiesPage, test: () => Promise<unknown>): Promise<void> {
  page.checked += 1;
  try {
    await test();
  } catch (thrown) {
    if (thrown instanceof DamagedRecord) page.damaged.push(thrown.damage.name);
    else if (thrown instanceof EngineError && thrown.code === 'KEY_DESTROYED') page.forgotten += 1;
    else throw thrown;
  }
}

const KEY_KINDS: KeyWrite['kind'][] = ['tenant', 'index', 'signing', 'data'];

const PARTS: Part[] = [
  ...KEY_KINDS.map(keysOf),
  ...resourceTypes().map(versionsOf),
  { name: 'credentials', read: readCredentials },
  { name: 'messages', read: readMessages },
  { name: 'audit entries', read: readEntries },
];

function keysOf(kind: KeyWrite['kind']): Part {
  return {
    name: `${kind} keys`,
    async read(record, tenant, after) {
      const rows = await record.store.keys.list(tenant, kind, ROWS, after?.text);
      const tests = rows
        .filter(({ destroyedAt }) => destroyedAt === null)
        .map((row) => () => {
          const { id } = row;
          const damage: Damage = { tenant, kind: 'STORED_KEY', name: `key ${id}`, id, version: 0 };
          return openGuarded(record.damage, damage, () => record.keyring.testRow(tenant, row));
        });
      const last = rows.length < ROWS ? undefined : rows.at(-1);
      return last === undefined ? { tests } : { tests, after: { text: last.id } };
    },
  };
}

function versionsOf(type: string): Part {
  return {
    name: `resources of type ${type}`,
    async read(record, tenant, after) {
      const { text: id = '', number: lastUpdated = 0, version = 0 } = after ?? {};
      const before = after === undefined ? undefined : { id, lastUpdated, version };
      const rows = await record.store.resources.history(tenant, { type }, ROWS, before);
      const tests = rows
        .filter(({ deleted }) => !deleted)
        .map((row: ResourceRow) => () => openResource(record, tenant, row));
      const last = rows.length < ROWS ? undefined : rows.at(-1);
      if (last === undefined) return { tests };
      const place = { text: last.id, number: last.lastUpdated, version: last.version };
      return { tests, after: place };
    },
  };
}

/** Their number is the operators' own: one page. */
async function readCredentials(
  ...[record, tenant]: Parameters<Part['read']>
): ReturnType<Part['read']> {
  const rows = await record.store.keys.credentials(tenant);
  const isSound = (row: CredentialRow) => isCredentialSound(record.keyring, row);
  return { tests: rows.map((row) => () => checkCredential(record.damage, row, isSound)) };
}

async function readMessages(
  ...[record, tenant, after]: Parameters<Part['read']>
): ReturnType<Part['read']> {
  const rows = await record.store.intake.list(tenant, {}, ROWS, after?.number);
  const tests = rows.flatMap((row: IntakeRow) => [
    () => openMessageBody(record, tenant, row),
    ...(row.detail === null ? [] : [() => openOutcome(record, tenant, row)]),
  ]);
  const last = rows.length < ROWS ? undefined : rows.at(-1);
  return last === undefined ? { tests } : { tests, after: { number: last.seq } };
}

async function readEntries(
  ...[record, tenant, after]: Parameters<Part['read']>
): ReturnType<Part['read']> {
  const rows = await record.store.audit.entries(tenant, (after?.number ?? 0) + 1, ROWS);
  const tests = rows.map(({ seq, entry }: AuditRow) => () => {
    const read = async () => parseEntry(entry);
    return openGuarded(record.damage, auditDamage(tenant, seq), read);
  });
  const last = rows.length < ROWS ? undefined : rows.at(-1);
  return last === undefined ? { tests } : { tests, after: { number: last.seq } };
}

function writePosition({ part, after }: Position): string {
  const { text = '', number = -1, version = -1 } = after ?? {};
  return Buffer.from(JSON.stringify([part, text, number, version])).toString('base64url');
}

function readPosition(text: string): Position {
  try {
    const parts: unknown = JSON.parse(Buffer.from(text, 'base64url').toString('utf8'));
    if (!Array.isArray(parts)) throw new TypeError('no list');
    const [part, name, number, version] = parts as unknown[];
    if (typeof name !== 'string') throw new TypeError('no text');
    for (const whole of [part, number, version]) {
      if (!Number.isSafeInteger(whole)) throw new TypeError('no whole number');
    }
    if (number === -1 && name === '') return { part: Number(part) };
    return {
      part: Number(part),
      after: { text: name, number: Number(number), version: Number(version) },
    };
  } catch (cause) {
    throw new EngineError('BAD_REQUEST', 'That is no place of a check of bodies.', { cause });
  }
}
