// The mark that an unfinished move leaves in its target database: a document of `meta`, there only
// as long as the move is not finished.
import { Binary, type ClientSession, type MongoClient } from 'mongodb';
import { type Progress, unfinishedError } from '../transfer.ts';
import type { Collections } from './collections.ts';
import { isNoSuchCommand } from './errors.ts';

export async function readMark({ meta }: Collections): Promise<Progress | undefined> {
  const row = await meta.findOne({ _id: 'copy' });
  return row?.progress === undefined ? undefined : (JSON.parse(row.progress) as Progress);
}

/** Throws STORE_UNFINISHED. */
export async function refuseUnfinished(collections: Collections): Promise<void> {
  const mark = await readMark(collections);
  if (mark !== undefined) throw unfinishedError(mark);
}

/**
 * Signs the mark with this process's session. The server keeps the open transaction of a process
 * that was killed for transactionLifetimeLimitSeconds, so the session that signed before is ended.
 * https://www.mongodb.com/docs/manual/reference/command/killSessions/
 */
export async function takeOver(
  client: MongoClient,
  { meta }: Collections,
  session: ClientSession,
): Promise<void> {
  const own = session.id?.id.buffer;
  const mark = await meta.findOne({ _id: 'copy' });
  if (mark?.session !== undefined) {
    const sessions = [{ id: new Binary(mark.session, Binary.SUBTYPE_UUID) }];
    const admin = client.db('admin');
    try {
      await admin.command({ killSessions: sessions });
    } catch (cause) {
      if (!isNoSuchCommand(cause)) throw cause;
      // If this frees nothing, the transaction ends when its lifetime does.
      await admin.command({ endSessions: sessions });
    }
  }
  if (own) await meta.updateOne({ _id: 'copy' }, { $set: { session: own } });
}
