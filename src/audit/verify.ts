// Checks a chain of audit entries against its links, its signed checkpoints and what must have left
// an entry. Pure: rows come in from outside, in order; it keeps no row.
import { linkHash, ZERO_HASH } from './chain.ts';
import { type AuditEntry, parseEntry, WRITING_ACTIONS } from './entry.ts';

/** A row as the store gives it. */
export interface ChainRow {
  seq: number;
  at: number;
  entry: string;
  hash: string;
}

/** A checkpoint or anchor whose signature has been checked. */
export interface KnownPoint {
  seq: number;
  hash: string;
  signatureValid: boolean;
}

export interface ChainFault {
  /** The first entry that is wrong or missing. */
  seq: number;
  reason: string;
}

export interface ChainWalk {
  /** Takes the next row; answers the fault as soon as one is known (then stop). */
  take(row: ChainRow): ChainFault | undefined;
  /** After the last row: `head` is what the store holds as last link. */
  finish(head: { seq: number; hash: string }): ChainFault | undefined;
  /** The last good link. */
  position(): { seq: number; hash: string };
}

/**
 * Walks one tenant's chain from its first entry. `points` in any order. `mustAppear`: keys (see
 * entryKeys) that some entry must bear; what is left of it at the end shows a cut-off or deleted
 * entry. The set is emptied while walking.
 */
export function walkChain(points: KnownPoint[], mustAppear: Set<string>): ChainWalk {
  const sorted = points.toSorted((a, b) => a.seq - b.seq);
  let next = 0;
  let seq = 0;
  let hash = ZERO_HASH;
  let trusted = 0;
  const passPoints = (): ChainFault | undefined => {
    for (let point = sorted[next]; point !== undefined && point.seq <= seq; point = sorted[next]) {
      if (!point.signatureValid) return fault(point.seq, 'its signed checkpoint is not genuine');
      if (point.hash !== hash) return fault(trusted + 1, rewritten(trusted, point.seq));
      trusted = point.seq;
      next += 1;
    }
    return undefined;
  };
  return {
    position: () => ({ seq, hash }),
    take(row) {
      const wrong = checkLink(row, seq, hash) ?? checkEntry(row, mustAppear);
      if (wrong !== undefined) return wrong;
      seq = row.seq;
      hash = row.hash;
      return passPoints();
    },
    finish(head) {
      const beyond = sorted[next];
      if (beyond !== undefined) {
        return fault(seq + 1, `cut off: a checkpoint was signed at entry ${beyond.seq}`);
      }
      if (head.seq !== seq || head.hash !== hash) {
        return fault(seq + 1, `cut off: the chain's head stands at entry ${head.seq}`);
      }
      const [missing] = mustAppear;
      if (missing === undefined) return undefined;
      return fault(seq + 1, `cut off or never written: no entry for ${missing}`);
    },
  };
}

/** What an entry proves: `message <id>` for an intake, `<type>/<id>/_history/<v>` for a write. */
export function entryKeys(entry: AuditEntry): string[] {
  if (entry.action === 'receive') return [messageKey(entry.message ?? '')];
  return WRITING_ACTIONS.includes(entry.action) ? (entry.resources ?? []) : [];
}

/** Key under which the entry of a message's intake is looked for. */
export function messageKey(id: string): string {
  return `message ${id}`;
}

function checkLink(row: ChainRow, seq: number, hash: string): ChainFault | undefined {
  const expected = seq + 1;
  if (row.seq > expected) return fault(expected, 'missing: it was deleted');
  if (row.seq < expected) return fault(row.seq, 'stands twice or out of order');
  let link: string;
  try {
    link = linkHash(hash, row.seq, row.at, row.entry);
  } catch {
    return fault(row.seq, 'not of the form of an entry');
  }
  if (link === row.hash) return undefined;
  return fault(row.seq, 'does not follow from the entry before it: edited, inserted or reordered');
}

function checkEntry(row: ChainRow, mustAppear: Set<string>): ChainFault | undefined {
  try {
    for (const key of entryKeys(parseEntry(row.entry))) mustAppear.delete(key);
    return undefined;
  } catch {
    return fault(row.seq, 'not of the form of an entry');
  }
}

function rewritten(trusted: number, seq: number): string {
  return `the chain was rewritten between entries ${trusted + 1} and ${seq}`;
}

function fault(seq: number, reason: string): ChainFault {
  return { seq, reason };
}
