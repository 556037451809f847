// One stored document through time: committed versions, and at most one uncommitted write.
// Stored documents are never changed in place; owns no index and no collection.
import type { Txn } from './transaction.ts';
import type { Doc } from './values.ts';

export interface Version {
  /** Commit time on the stand-in's logical clock. */
  at: number;
  /** null = deleted. */
  doc: Doc | null;
}

export interface DocRecord {
  /** The encoded _id. */
  id: string;
  /** Insertion order: the natural order of a collection scan, and a tie-break in indexes. */
  seq: number;
  versions: Version[];
  pending: { txn: Txn; doc: Doc | null } | undefined;
}

/** What this reader sees: its own writes, then its snapshot; outside a transaction the newest. */
export function visible(record: DocRecord, txn: Txn | undefined): Doc | null {
  if (txn !== undefined && record.pending?.txn === txn) return record.pending.doc;
  const snapshot = txn === undefined ? Number.POSITIVE_INFINITY : txn.snapshot;
  for (let at = record.versions.length - 1; at >= 0; at--) {
    const version = record.versions[at];
    if (version !== undefined && version.at <= snapshot) return version.doc;
  }
  return null;
}

/** Commit time of the newest version, 0 = never committed. */
export function newestAt(record: DocRecord): number {
  return record.versions.at(-1)?.at ?? 0;
}
