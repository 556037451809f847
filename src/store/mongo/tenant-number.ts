// The document of a tenant: made once, before the first transaction, with a number of its own.
import { ZERO_HASH } from '../../audit/chain.ts';
import { EngineError } from '../../model/errors.ts';
import type { Collections } from './collections.ts';
import { isDuplicateKey } from './errors.ts';
import { TENANTS_MAX } from './records.ts';
import { firstCounter } from './transfer-counts.ts';

/** Any number of processes may do so at once; one of them wins, a number may stay unused. */
export async function ensureTenant(collections: Collections, tenant: string): Promise<void> {
  const known = await collections.tenants.findOne({ _id: tenant }, { projection: { _id: 1 } });
  if (known) return;
  const number = await nextNumber(collections);
  const empty = { live: [], tallies: [], writers: [] };
  const intake = await firstCounter(collections);
  const ends = { commits: 0, intake, auditSeq: 0, auditHash: ZERO_HASH };
  try {
    await collections.tenants.insertOne({ _id: tenant, number, ...ends, ...empty });
  } catch (cause) {
    if (!isDuplicateKey(cause)) throw cause;
  }
}

async function nextNumber({ meta }: Collections): Promise<number> {
  const row = await meta.findOneAndUpdate(
    { _id: 'tenants' },
    { $inc: { next: 1 } },
    { upsert: true, returnDocument: 'after' },
  );
  const next = row?.next ?? 0;
  if (next >= 1 && next < TENANTS_MAX) return next;
  throw new EngineError('INTERNAL', `A store holds at most ${TENANTS_MAX - 1} tenants.`);
}
