// Reads of the intake: single messages, a key's inbox, lists and counts.
import type { Filter } from 'mongodb';
import type { IntakeFilter, IntakeRow, IntakeStore } from '../port.ts';
import type { Collections } from './collections.ts';
import type { IntakeDoc } from './records.ts';
import { rowId } from './row-ids.ts';

export async function getMessage(
  { intake }: Collections,
  tenant: string,
  id: string,
): Promise<IntakeRow | undefined> {
  const row = await intake.findOne({ _id: rowId(tenant, id) });
  return row ? toIntakeRow(row) : undefined;
}

export async function readInbox(
  { intake }: Collections,
  tenant: string,
  orderingKey: string,
  limit: number,
): Promise<IntakeRow[]> {
  const rows = await intake
    .find({ tenant, state: 'received', orderingKey })
    .sort({ seq: 1 })
    .limit(limit)
    .toArray();
  return rows.map(toIntakeRow);
}

/** A page ends where one key more than `limit` would begin; a shorter page is the last. */
export async function listWaiting(
  { intake }: Collections,
  afterSeq: number,
  limit: number,
): Promise<Awaited<ReturnType<IntakeStore['waiting']>>> {
  type Waiting = { tenant: string; orderingKey: string; seq: number };
  const cursor = intake
    .find({ state: 'received', seq: { $gt: afterSeq } }, { batchSize: limit + 1 })
    .project<Waiting>({ _id: 0, tenant: 1, orderingKey: 1, seq: 1 })
    .sort({ seq: 1 });
  const page = new Map<string, Waiting>();
  for await (const { tenant, orderingKey, seq } of cursor) {
    const key = JSON.stringify([tenant, orderingKey]);
    const known = page.get(key);
    if (known) known.seq = seq;
    else if (page.size >= limit) break;
    else page.set(key, { tenant, orderingKey, seq });
  }
  return [...page.values()];
}

export async function listMessages(
  { intake }: Collections,
  tenant: string,
  filter: IntakeFilter,
  limit: number,
  beforeSeq?: number,
): Promise<IntakeRow[]> {
  const rows = await intake
    .find(messagesFilter(tenant, filter, beforeSeq))
    .sort({ seq: -1 })
    .limit(limit)
    .toArray();
  return rows.map(toIntakeRow);
}

export function messagesFilter(
  tenant: string,
  filter: IntakeFilter,
  beforeSeq?: number,
): Filter<IntakeDoc> {
  const { channel, state, compartment, dedupe, receivedFrom, receivedTo } = filter;
  const received = {
    ...(receivedFrom !== undefined && { $gte: receivedFrom }),
    ...(receivedTo !== undefined && { $lte: receivedTo }),
  };
  return {
    tenant,
    ...(channel !== undefined && { channel }),
    ...(state !== undefined && { state }),
    ...(compartment !== undefined && { compartment }),
    ...(dedupe !== undefined && { once: `d${dedupe}` }),
    ...(Object.keys(received).length > 0 && { receivedAt: received }),
    ...(beforeSeq !== undefined && { seq: { $lt: beforeSeq } }),
  };
}

export async function countIntake(
  collections: Collections,
): Promise<Awaited<ReturnType<IntakeStore['counts']>>> {
  const tenants = await collections.tenants.find({}).project({ tallies: 1 }).toArray();
  return tenants.flatMap(({ _id, tallies }) =>
    (tallies as { channel: string; state: IntakeRow['state']; count: number }[])
      .filter(({ count }) => count > 0)
      .map((tally) => ({ tenant: String(_id), ...tally })),
  );
}

/** Arrival is counted per tenant: one look for each where something waits. */
export async function oldestWaiting(collections: Collections): Promise<number> {
  const counts = await countIntake(collections);
  const tenants = new Set(
    counts.filter(({ state }) => state === 'received').map(({ tenant }) => tenant),
  );
  const times = await Promise.all(
    [...tenants].map(async (tenant) => {
      const first = await collections.intake
        .find({ tenant, state: 'received' })
        .project<{ receivedAt: number }>({ _id: 0, receivedAt: 1 })
        .sort({ seq: 1 })
        .limit(1)
        .next();
      return first?.receivedAt ?? Number.POSITIVE_INFINITY;
    }),
  );
  const oldest = Math.min(...times);
  return Number.isFinite(oldest) ? oldest : 0;
}

export function toIntakeRow(row: IntakeDoc): IntakeRow {
  const { once, bodyKey, body, detailKey, detail, _id: _, tenant: __, ...fields } = row;
  return {
    ...fields,
    dedupe: once.startsWith('d') ? once.slice(1) : null,
    body: { keyId: bodyKey, bytes: body },
    detail: detailKey !== null && detail ? { keyId: detailKey, bytes: detail } : null,
  };
}
