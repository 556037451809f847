// Writes what a transaction has staged, in as few commands as there are collections and kinds of
// write. Every write is in the session; a write that meets other documents than it was made for
// throws, and the transaction is given up.
import assert from 'node:assert';
import type { AnyBulkWriteOperation, Document } from 'mongodb';
import type { BatchState } from './batch-state.ts';
import type { Transaction } from './load-state.ts';
import {
  FORGOTTEN,
  type IntakeDoc,
  type KeyDoc,
  LIVE,
  type ResourceDoc,
  type TenantDoc,
} from './records.ts';

/** `now`: ms since the epoch, for keys that are destroyed. */
export async function flush(
  transaction: Transaction,
  state: BatchState,
  now: number,
): Promise<void> {
  await flushKeys(transaction, state, now);
  await flushIntake(transaction, state);
  await flushResources(transaction, state);
  if (state.staged.forget !== undefined) await forgetIndex(transaction, state);
  await flushLedger(transaction, state);
}

async function flushKeys(
  { collections, session }: Transaction,
  { staged }: BatchState,
  now: number,
): Promise<void> {
  if (staged.keys.length > 0) await collections.keys.insertMany(staged.keys, { session });
  const updates: AnyBulkWriteOperation<KeyDoc>[] = [];
  for (const [_id, set] of staged.rewraps) {
    updates.push({ updateOne: { filter: { _id }, update: { $set: set } } });
  }
  const nothing = { destroyedAt: now, wrapped: new Uint8Array(0) };
  for (const _id of staged.destroyed) {
    updates.push({ updateOne: { filter: { _id }, update: { $set: nothing } } });
  }
  if (updates.length > 0) {
    const { matchedCount } = await collections.keys.bulkWrite(updates, { session });
    assert.equal(matchedCount, updates.length, 'a key was not where it was read');
  }
  const credentials = [...staged.credentials.values()].map((replacement) => ({
    replaceOne: { filter: { _id: replacement._id }, replacement, upsert: true },
  }));
  if (credentials.length > 0) await collections.credentials.bulkWrite(credentials, { session });
}

async function flushIntake(
  { collections, session }: Transaction,
  { tenant, staged }: BatchState,
): Promise<void> {
  if (staged.intake.length > 0) await collections.intake.insertMany(staged.intake, { session });
  // tenant and once: the shard key, so that a sharded cluster sends it to one shard.
  const updates: AnyBulkWriteOperation<IntakeDoc>[] = [...staged.moves].map(
    ([_id, { once, set }]) => ({
      updateOne: { filter: { _id, tenant, once }, update: { $set: set } },
    }),
  );
  if (updates.length === 0) return;
  const { matchedCount } = await collections.intake.bulkWrite(updates, { session });
  assert.equal(matchedCount, updates.length, 'a message was not where it was read');
}

async function flushResources(
  { collections, session }: Transaction,
  { tenant, staged }: BatchState,
): Promise<void> {
  const { resources, versions } = collections;
  const inserts: ResourceDoc[] = [];
  const replaces: AnyBulkWriteOperation<ResourceDoc>[] = [];
  const moved: AnyBulkWriteOperation<ResourceDoc>[] = [];
  for (const [_id, { stored, next }] of staged.heads) {
    if (!next) continue;
    // tenant and compartment: the shard key. It cannot change in a batch of updates.
    const filter = { _id, tenant, compartment: stored?.compartment ?? null };
    if (stored?.compartment === next.compartment) {
      replaces.push({ replaceOne: { filter, replacement: next } });
      continue;
    }
    if (stored) moved.push({ deleteOne: { filter } });
    inserts.push(next);
  }
  if (staged.versions.length > 0) await versions.insertMany(staged.versions, { session });
  if (moved.length > 0) {
    const { deletedCount } = await resources.bulkWrite(moved, { session });
    assert.equal(deletedCount, moved.length, 'a resource was not where it was read');
  }
  if (replaces.length > 0) {
    const { matchedCount } = await resources.bulkWrite(replaces, { session });
    assert.equal(matchedCount, replaces.length, 'a resource was not where it was read');
  }
  if (inserts.length > 0) await resources.insertMany(inserts, { session });
}

/** Takes a compartment's resources out of every index; no search finds them again. */
async function forgetIndex(
  { collections, session }: Transaction,
  state: BatchState,
): Promise<void> {
  const filter = { tenant: state.tenant, compartment: state.staged.forget ?? null, state: LIVE };
  const found = await collections.resources
    .find(filter, { session })
    .project<{ type: string }>({ type: 1 })
    .toArray();
  if (found.length === 0) return;
  for (const { type } of found) state.countLive(type, LIVE, FORGOTTEN);
  const set = { state: FORGOTTEN, tokens: [], ranges: [], lows: {} };
  const { matchedCount } = await collections.resources.updateMany(
    filter,
    { $set: set },
    { session },
  );
  assert.equal(matchedCount, found.length, 'a resource was not where it was read');
}

async function flushLedger(
  { collections, session }: Transaction,
  { head, staged }: BatchState,
): Promise<void> {
  if (staged.audit.length > 0) await collections.audit.insertMany(staged.audit, { session });
  if (staged.checkpoints.length > 0) {
    await collections.checkpoints.insertMany(staged.checkpoints, { session });
  }
  const { intake, auditSeq, auditHash, writers } = head;
  const live = head.live.filter(({ count }) => count !== 0);
  const tallies = head.tallies.filter(({ count }) => count !== 0);
  const set: Partial<TenantDoc> & Document = {
    intake,
    auditSeq,
    auditHash,
    live,
    tallies,
    writers,
  };
  const { matchedCount } = await collections.tenants.updateOne(
    { _id: head._id },
    { $set: set },
    { session },
  );
  assert.equal(matchedCount, 1, 'the tenant was not where it was read');
}
