// Whether the database takes a write: one document of `meta`, written over at each probe, with the
// write concern of a commit.
import type { StoreCondition } from '../port.ts';
import type { Collections } from './collections.ts';
import { isDisconnect, isNoPrimary, serverCode } from './errors.ts';

const WAIT_MS = 3_000;
/** OutOfDiskSpace */
const DISK_FULL = 14_031;

export async function writeProbe({ meta }: Collections): Promise<void> {
  const writeConcern = { w: 'majority', journal: true, wtimeoutMS: WAIT_MS } as const;
  const written = { $inc: { step: 1 } };
  await meta.updateOne({ _id: 'probe' }, written, { upsert: true, writeConcern });
}

/** What the fault of a write says of the store. */
export function conditionOf(thrown: unknown): StoreCondition {
  const cause = thrown instanceof Error && thrown.cause !== undefined ? thrown.cause : thrown;
  if (serverCode(cause) === DISK_FULL) return 'disk full';
  return isNoPrimary(cause) && !isDisconnect(cause) ? 'no primary' : 'no answer';
}
