// Writes rows of store/transfer.ts into a folder, inside a transaction of the caller, with the
// counts that commits keep. Numbers and hashes are those of the rows: nothing is made anew.

import { tableOf } from '../../model/table.ts';
import type { Kind, Rows } from '../transfer.ts';
import { insertIntakeRow } from './apply-intake.ts';
import { writeKeys } from './apply-keys.ts';
import { markForgotten, writeOldVersion, writeResources } from './apply-resources.ts';
import type { WriterState } from './writer-state.ts';

type Writer<K extends Kind> = (state: WriterState, tenant: number, row: Rows[K]) => void;

export function writeRows<K extends Kind>(state: WriterState, kind: K, rows: Rows[K][]): void {
  for (const row of rows) WRITERS[kind](state, state.internName(row.tenant), row);
  state.flushCounts();
}

const WRITERS: { [K in Kind]: Writer<K> } = tableOf({
  keys: writeKey,
  credentials: (state, tenant, row) => {
    writeKeys(state, tenant, { tenant: row.tenant, credentials: [row] }, NO_KEYS);
  },
  resources: writeResource,
  versions: writeOldVersion,
  intake: insertIntakeRow,
  audit: (state, tenant, { seq, at, hash, entry }) => {
    state.db.run('INSERT INTO audit VALUES (?, ?, ?, ?, ?)', tenant, seq, at, hash, entry);
  },
  checkpoints: (state, tenant, { seq, hash, at, signature, keyId }) => {
    const sql = 'INSERT INTO checkpoints VALUES (?, ?, ?, ?, ?, ?)';
    state.db.run(sql, tenant, seq, hash, at, signature, keyId);
  },
});

const NO_KEYS = { writes: [], destroyed: [] };

function writeKey(state: WriterState, tenant: number, row: Rows['keys']): void {
  const { destroyedAt, ...key } = row;
  const unit = { tenant: row.tenant, keys: [{ ...key, rewrap: false }] };
  writeKeys(state, tenant, unit, { writes: [0], destroyed: [] });
  if (destroyedAt === null) return;
  const sql = 'UPDATE keys SET destroyed_at = ? WHERE tenant = ? AND id = ?';
  state.db.run(sql, destroyedAt, tenant, row.id);
}

function writeResource(state: WriterState, tenant: number, row: Rows['resources']): void {
  const write = { ...row, expected: row.version - 1 };
  writeResources(state, tenant, [write], [undefined]);
  if (row.forgotten) markForgotten(state, tenant, row);
}
