// Reads, inside the transaction, what the checks of its units will ask for: at most one query for
// each of keys and resources and two for intake, whatever the number of units.
import type { ClientSession, Filter } from 'mongodb';
import type { Sealed, Unit } from '../port.ts';
import { BatchState, onceOf } from './batch-state.ts';
import type { Collections } from './collections.ts';
import type { IntakeDoc, TenantDoc } from './records.ts';
import { resourceId, rowId } from './row-ids.ts';

const KNOWN_INTAKE = {
  id: 1,
  once: 1,
  digest: 1,
  channel: 1,
  state: 1,
  changedAt: 1,
} as const;

/** The collections and the session of a running transaction. */
export interface Transaction {
  collections: Collections;
  session: ClientSession;
}

export async function loadState(
  transaction: Transaction,
  head: TenantDoc,
  units: Unit[],
): Promise<BatchState> {
  const state = new BatchState(head._id, head);
  await loadKeys(transaction, state, units);
  await loadIntake(transaction, state, units);
  await loadHeads(transaction, state, units);
  return state;
}

async function loadKeys(
  { collections, session }: Transaction,
  state: BatchState,
  units: Unit[],
): Promise<void> {
  const ids = new Set<string>();
  for (const unit of units) {
    for (const { keyId } of sealedBodies(unit)) ids.add(keyId);
    for (const { id } of unit.keys ?? []) ids.add(id);
    for (const id of unit.forget?.keyIds ?? []) ids.add(id);
  }
  if (ids.size === 0) return;
  const found = await collections.keys
    .find({ _id: { $in: [...ids].map((id) => rowId(state.tenant, id)) } }, { session })
    .project<{ id: string; destroyedAt: number | null }>({ id: 1, destroyedAt: 1 })
    .toArray();
  for (const { id, destroyedAt } of found) state.keys.set(id, { destroyedAt });
}

/** Every ciphertext that a unit stores. */
export function* sealedBodies(unit: Unit): Generator<Sealed> {
  for (const row of unit.intake ?? []) {
    yield row.body;
    if (row.detail) yield row.detail;
  }
  for (const row of unit.transitions ?? []) {
    if (row.body) yield row.body;
    if (row.detail) yield row.detail;
  }
  for (const row of unit.resources ?? []) yield row.body;
}

/**
 * Two queries, not one with `$or`: the manual promises one index for each clause ("$or", "$or
 * Clauses and Indexes"), but DocumentDB reads the whole collection where one of them is on `_id`.
 */
async function loadIntake(
  { collections, session }: Transaction,
  state: BatchState,
  units: Unit[],
): Promise<void> {
  const rows = units.flatMap((unit) => unit.intake ?? []);
  const moves = units.flatMap((unit) => unit.transitions ?? []);
  const ids = [...new Set([...rows, ...moves].map(({ id }) => rowId(state.tenant, id)))];
  // Without a dedupe token `once` follows from the id, which is looked for already.
  const once = [...new Set(rows.filter(({ dedupe }) => dedupe !== null).map(onceOf))];
  const filters: Filter<IntakeDoc>[] = [];
  if (ids.length > 0) filters.push({ _id: { $in: ids } });
  if (once.length > 0) filters.push({ tenant: state.tenant, once: { $in: once } });
  for (const filter of filters) {
    const found = await collections.intake
      .find(filter, { session })
      .project<Parameters<BatchState['addIntake']>[0]>(KNOWN_INTAKE)
      .toArray();
    for (const row of found) state.addIntake(row);
  }
}

async function loadHeads(
  { collections, session }: Transaction,
  state: BatchState,
  units: Unit[],
): Promise<void> {
  const ids = new Set<string>();
  for (const { type, id } of units.flatMap((unit) => unit.resources ?? [])) {
    ids.add(resourceId(state.tenant, type, id));
  }
  if (ids.size > 0) {
    const found = await collections.resources
      .find({ _id: { $in: [...ids] } }, { session })
      .project<NonNullable<ReturnType<BatchState['newest']>>>({ tokens: 0, ranges: 0, lows: 0 })
      .toArray();
    for (const stored of found) state.heads.set(stored._id, { stored, next: undefined });
  }
  // Of those that are only compared, the version is enough.
  const seen = units
    .flatMap((unit) => unit.unchanged ?? [])
    .map(({ type, id }) => resourceId(state.tenant, type, id))
    .filter((id) => !ids.has(id));
  if (seen.length === 0) return;
  const found = await collections.resources
    .find({ _id: { $in: [...new Set(seen)] } }, { session })
    .project<{ _id: string; version: number }>({ version: 1 })
    .toArray();
  for (const { _id, version } of found) state.versions.set(_id, version);
}
