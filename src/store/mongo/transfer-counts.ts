// What a tenant's document says of rows that a move has brought: the ends of its chains and its
// counts. All of it is read from the rows, so it may be made again at any time.
import { ZERO_HASH } from '../../audit/chain.ts';
import type { Collections } from './collections.ts';
import { LIVE, TENANTS_MAX, type TenantDoc } from './records.ts';
import { idsUnder } from './row-ids.ts';

/** The highest number of a tenant's messages, 0 = it has none. */
export async function lastSeq({ intake }: Collections, tenant: string): Promise<number> {
  const newest = intake.find({ tenant }, { projection: { _id: 0, seq: 1 } });
  const [row] = await newest.sort({ seq: -1 }).limit(1).toArray();
  return row?.seq ?? 0;
}

/**
 * The counter whose next number lies, in every tenant, behind `seq`: messages keep the numbers that
 * they had elsewhere, and no later one may have one of them, in a tenant to come neither.
 */
export async function numbersBehind({ meta }: Collections, seq: number): Promise<number> {
  const intake = Math.floor(seq / TENANTS_MAX);
  await meta.updateOne({ _id: 'tenants' }, { $set: { intake } });
  return intake;
}

/** What a new tenant's counter begins with. */
export async function firstCounter({ meta }: Collections): Promise<number> {
  const row = await meta.findOne({ _id: 'tenants' });
  return row?.intake ?? 0;
}

export async function fillTenant(
  collections: Collections,
  tenant: string,
  counter: number,
): Promise<void> {
  const { from, to } = idsUnder(tenant);
  const newest = collections.audit.find({ _id: { $gte: from, $lt: to } }).sort({ _id: -1 });
  const [last] = await newest.limit(1).toArray();
  const set: Partial<TenantDoc> = {
    intake: counter,
    auditSeq: last?.seq ?? 0,
    auditHash: last?.hash ?? ZERO_HASH,
    live: await countLive(collections, tenant),
    tallies: await countMessages(collections, tenant),
  };
  await collections.tenants.updateOne({ _id: tenant }, { $set: set });
}

async function countLive({ resources }: Collections, tenant: string): Promise<TenantDoc['live']> {
  const found = resources.aggregate<{ _id: string; count: number }>([
    { $match: { tenant, state: LIVE } },
    { $group: { _id: '$type', count: { $sum: 1 } } },
  ]);
  const rows = await found.toArray();
  return rows.map(({ _id: type, count }) => ({ type, count }));
}

async function countMessages(
  { intake }: Collections,
  tenant: string,
): Promise<TenantDoc['tallies']> {
  type Group = { _id: Omit<TenantDoc['tallies'][number], 'count'>; count: number };
  const found = intake.aggregate<Group>([
    { $match: { tenant } },
    { $group: { _id: { channel: '$channel', state: '$state' }, count: { $sum: 1 } } },
  ]);
  const rows = await found.toArray();
  return rows.map(({ _id: { channel, state }, count }) => ({ channel, state, count }));
}
