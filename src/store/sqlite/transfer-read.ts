// All rows of a folder in the neutral form of store/transfer.ts, each kind in the order of its
// table. The tokens of the full-text table, which keeps no texts, are read back from its index.
import { EngineError } from '../../model/errors.ts';
import type { MessageFormat } from '../../model/message.ts';
import { tableOf } from '../../model/table.ts';
import type { Checkpoint, CredentialRow, KeyRow, RangeEntry } from '../port.ts';
import { KINDS, type Kind, type Place, type Rows, tidyEntries } from '../transfer.ts';
import { FORGOTTEN } from './apply-resources.ts';
import type { Connection } from './connection.ts';
import { MESSAGE_COLUMNS, type MessageColumns, toIntakeRow } from './intake-reads.ts';
import { toCredential, toKeyRow } from './ledger-reads.ts';
import { toResourceRow, VERSION_COLUMNS, type VersionColumns } from './resource-reads.ts';

export type Placed<K extends Kind> = { row: Rows[K]; place: Place };
type Reader<K extends Kind> = (db: Connection, after: Place | null) => Generator<Placed<K>>;

export function readRows<K extends Kind>(
  db: Connection,
  kind: K,
  after: Place | null,
): Generator<Placed<K>> {
  return READERS[kind](db, after);
}

export function countRows(db: Connection, kind: Kind): number {
  return db.one<{ n: number }>(`SELECT ${COUNTS[kind]} AS n`)?.n ?? 0;
}

/** Whatever is committed moves the end of an audit chain, or a count. */
export function readState(db: Connection): string {
  const ends = db.all<{ name: string }>(
    `SELECT t.name, a.seq, a.hash FROM names t CROSS JOIN audit a ON a.tenant = t.nid
      WHERE a.seq = (SELECT max(seq) FROM audit WHERE tenant = t.nid) ORDER BY t.name`,
  );
  return JSON.stringify([ends, KINDS.map((kind) => countRows(db, kind))]);
}

const COUNTS: Record<Kind, string> = tableOf({
  keys: '(SELECT count(*) FROM keys)',
  credentials: '(SELECT count(*) FROM credentials)',
  resources: '(SELECT count(*) FROM resources)',
  versions: '(SELECT count(*) FROM versions) - (SELECT count(*) FROM resources)',
  intake: '(SELECT count(*) FROM intake)',
  audit: '(SELECT count(*) FROM audit)',
  checkpoints: '(SELECT count(*) FROM checkpoints)',
});

const READERS: { [K in Kind]: Reader<K> } = tableOf({
  keys: readKeys,
  credentials: readCredentials,
  resources: readResources,
  versions: readVersions,
  intake: readIntake,
  audit: readAudit,
  checkpoints: readCheckpoints,
});

/** The one number of a place, 0 before the first row. */
function numberOf(after: Place | null): number {
  return Number(after?.[0] ?? 0);
}

function* readKeys(db: Connection, after: Place | null): Generator<Placed<'keys'>> {
  const sql = `SELECT k.kid, t.name AS tenant, k.id, k.kind, k.compartment,
    k.wrapped_by AS wrappedBy, w.wrapped, k.created_at AS createdAt, k.destroyed_at AS destroyedAt
    FROM keys k CROSS JOIN names t ON t.nid = k.tenant CROSS JOIN wrappings w ON w.kid = k.kid
    WHERE k.kid > ? ORDER BY k.kid`;
  for (const { kid, ...row } of db.iterate<KeyRow & { kid: number }>(sql, numberOf(after))) {
    yield { row: toKeyRow(row), place: [kid] };
  }
}

function* readCredentials(db: Connection, after: Place | null): Generator<Placed<'credentials'>> {
  const [nid, id] = after ?? [0, ''];
  type Row = Omit<CredentialRow, 'scopes'> & { scopes: string; nid: number };
  const sql = `SELECT c.tenant AS nid, t.name AS tenant, c.id, c.token_hash AS tokenHash, c.label,
    c.scopes, c.created_at AS createdAt, c.expires_at AS expiresAt, c.revoked_at AS revokedAt,
    c.mac
    FROM credentials c CROSS JOIN names t ON t.nid = c.tenant
    WHERE (c.tenant, c.id) > (?, ?) ORDER BY c.tenant, c.id`;
  for (const { nid: tenant, ...row } of db.iterate<Row>(sql, nid ?? 0, id ?? '')) {
    const read = toCredential(row);
    if (read.damaged) {
      throw new EngineError(
        'STORE_CORRUPT',
        `The credential ${row.id} is damaged: revoke it first.`,
      );
    }
    yield { row: read, place: [tenant, row.id] };
  }
}

type ResourceColumns = VersionColumns & { place: number; tenant: string; type: string; id: string };

function* readResources(db: Connection, after: Place | null): Generator<Placed<'resources'>> {
  listTokens(db, numberOf(after));
  const sql = `SELECT r.rid AS place, t.name AS tenant, c.type, r.id, r.state, ${VERSION_COLUMNS},
    (SELECT list FROM temp.token_lists l WHERE l.rid = r.rid) AS tokens
    FROM resources r CROSS JOIN versions v ON v.vid = r.vid
    CROSS JOIN collections c ON c.cid = r.cid
    CROSS JOIN names t ON t.nid = c.tenant WHERE r.rid > ? ORDER BY r.rid`;
  type Row = ResourceColumns & { state: number; tokens: string | null };
  for (const row of db.iterate<Row>(sql, numberOf(after))) {
    const { place, tenant, type, id, state, tokens } = row;
    const entries = tidyEntries(tokens?.split(' ') ?? [], readRanges(db, place));
    const resource = { tenant, ...toResourceRow(type, id, row), forgotten: state === FORGOTTEN };
    yield { row: { ...resource, ...entries }, place: [place] };
  }
}

function readRanges(db: Connection, rid: number): RangeEntry[] {
  const sql = `SELECT f.param, e.low, e.high FROM ranges e CROSS JOIN fields f ON f.fid = e.fid
    WHERE e.rid = ?`;
  return db.all<RangeEntry>(sql, rid);
}

/**
 * The index gives, for each token, the rows that have it. Here they are sorted by row, on disk:
 * about 50 bytes per token. https://www.sqlite.org/fts5.html#the_fts5vocab_virtual_table_module
 */
function listTokens(db: Connection, afterRid: number): void {
  db.exec(`PRAGMA temp_store = FILE;
    DROP TABLE IF EXISTS temp.token_lists;
    DROP TABLE IF EXISTS temp.token_rows;
    CREATE VIRTUAL TABLE temp.token_rows USING fts5vocab(main, tokens, instance);
    CREATE TABLE temp.token_lists (rid INTEGER PRIMARY KEY, list TEXT NOT NULL)`);
  db.run(
    `INSERT INTO temp.token_lists SELECT doc, group_concat(term, ' ') FROM temp.token_rows
      WHERE doc > ? GROUP BY doc`,
    afterRid,
  );
}

function* readVersions(db: Connection, after: Place | null): Generator<Placed<'versions'>> {
  const sql = `SELECT v.vid AS place, t.name AS tenant, c.type, r.id, ${VERSION_COLUMNS}
    FROM versions v CROSS JOIN resources r ON r.rid = v.rid
    CROSS JOIN collections c ON c.cid = v.cid
    CROSS JOIN names t ON t.nid = c.tenant WHERE v.vid > ? AND v.vid <> r.vid ORDER BY v.vid`;
  for (const row of db.iterate<ResourceColumns>(sql, numberOf(after))) {
    const { place, tenant, type, id } = row;
    yield { row: { tenant, ...toResourceRow(type, id, row) }, place: [place] };
  }
}

type IntakeColumns = MessageColumns & { tenant: string; format: MessageFormat };

function* readIntake(db: Connection, after: Place | null): Generator<Placed<'intake'>> {
  const sql = `SELECT t.name AS tenant, ${MESSAGE_COLUMNS} FROM intake m
    CROSS JOIN names t ON t.nid = m.tenant CROSS JOIN names c ON c.nid = m.channel
    CROSS JOIN intake_bodies b ON b.seq = m.seq LEFT JOIN intake_details d ON d.seq = m.seq
    WHERE m.seq > ? ORDER BY m.seq`;
  for (const row of db.iterate<IntakeColumns>(sql, numberOf(after))) {
    yield { row: { tenant: row.tenant, ...toIntakeRow(row) }, place: [row.seq] };
  }
}

function* readAudit(db: Connection, after: Place | null): Generator<Placed<'audit'>> {
  const [nid, seq] = after ?? [0, 0];
  const sql = `SELECT a.tenant AS nid, t.name AS tenant, a.seq, a.at, a.hash, a.entry
    FROM audit a CROSS JOIN names t ON t.nid = a.tenant
    WHERE (a.tenant, a.seq) > (?, ?) ORDER BY a.tenant, a.seq`;
  type Row = Rows['audit'] & { nid: number };
  for (const { nid: tenant, ...row } of db.iterate<Row>(sql, nid ?? 0, seq ?? 0)) {
    yield { row, place: [tenant, row.seq] };
  }
}

function* readCheckpoints(db: Connection, after: Place | null): Generator<Placed<'checkpoints'>> {
  const sql = `SELECT k.rowid AS place, t.name AS tenant, k.seq, k.hash, k.at, k.signature,
    k.key_id AS keyId FROM checkpoints k CROSS JOIN names t ON t.nid = k.tenant
    WHERE k.rowid > ? ORDER BY k.rowid`;
  type Row = Checkpoint & { tenant: string; place: number };
  for (const { place, ...row } of db.iterate<Row>(sql, numberOf(after))) {
    yield { row, place: [place] };
  }
}
