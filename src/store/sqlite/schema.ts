// The tables and how an older folder is brought up to them. One function per version, each in its
// own transaction. A version that was released is never edited; a change is a new version.
import { EngineError } from '../../model/errors.ts';
import type { Connection } from './connection.ts';

/** Applies version `index + 1`. */
const MIGRATIONS: ((db: Connection) => void)[] = [createTables, indexIntakeLists, addCredentialMac];

export const SCHEMA_VERSION = MIGRATIONS.length;

/**
 * Brings the database up to `target`. Throws STORE_NEWER when it was written by a later version of
 * the program: nothing is changed then.
 */
export function migrate(db: Connection, target: number = SCHEMA_VERSION): void {
  const found = schemaVersion(db);
  if (found > SCHEMA_VERSION) {
    throw new EngineError(
      'STORE_NEWER',
      `The data folder has schema ${found}; this version of Artery knows up to ${SCHEMA_VERSION}.`,
    );
  }
  for (let version = found + 1; version <= target; version++) applyMigration(db, version);
}

/** 0 = an empty database. */
export function schemaVersion(db: Connection): number {
  const table = "SELECT 1 AS found FROM sqlite_master WHERE name = 'schema_versions'";
  if (!db.one(table)) return 0;
  const row = db.one<{ version: number | null }>(
    'SELECT max(version) AS version FROM schema_versions',
  );
  return row?.version ?? 0;
}

function applyMigration(db: Connection, version: number): void {
  const apply = MIGRATIONS[version - 1];
  if (!apply) throw new RangeError(`no migration to version ${version}`);
  db.exec('BEGIN IMMEDIATE');
  try {
    apply(db);
    db.run('INSERT INTO schema_versions VALUES (?, ?)', version, Date.now());
    db.exec('COMMIT');
  } catch (cause) {
    if (db.db.isTransaction) db.exec('ROLLBACK');
    throw cause;
  }
}

/**
 * Strings that repeat are interned: `names` (tenants, channels), `collections` (tenant and type),
 * `fields` (collection and range parameter). Commits keep the counts `live` and `intake_tallies`.
 */
function createTables(db: Connection): void {
  db.exec(`
    CREATE TABLE schema_versions (version INTEGER PRIMARY KEY, applied_at INTEGER NOT NULL);
    CREATE TABLE names (nid INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
    CREATE TABLE collections (cid INTEGER PRIMARY KEY, tenant INTEGER NOT NULL, type TEXT NOT NULL,
      live INTEGER NOT NULL DEFAULT 0, UNIQUE (tenant, type));
    CREATE TABLE fields (fid INTEGER PRIMARY KEY, cid INTEGER NOT NULL, param TEXT NOT NULL,
      UNIQUE (cid, param))`);
  createResourceTables(db);
  createIntakeTables(db);
  createKeyTables(db);
  db.exec(`
    CREATE TABLE audit (tenant INTEGER NOT NULL, seq INTEGER NOT NULL, at INTEGER NOT NULL,
      hash TEXT NOT NULL, entry TEXT NOT NULL, PRIMARY KEY (tenant, seq)) WITHOUT ROWID;
    CREATE TABLE checkpoints (tenant INTEGER NOT NULL, seq INTEGER NOT NULL, hash TEXT NOT NULL,
      at INTEGER NOT NULL, signature TEXT NOT NULL, key_id TEXT NOT NULL);
    CREATE INDEX checkpoints_by_seq ON checkpoints (tenant, seq)`);
}

/**
 * state: 0 live, 1 deleted, 2 forgotten. Bodies are in `versions` alone; a head names its newest.
 * `span` classes a range by its width (spans.ts), so that an overlap is a narrow index range.
 */
function createResourceTables(db: Connection): void {
  db.exec(`
    CREATE TABLE resources (rid INTEGER PRIMARY KEY, cid INTEGER NOT NULL, id TEXT NOT NULL,
      vid INTEGER NOT NULL, version INTEGER NOT NULL, last_updated INTEGER NOT NULL,
      state INTEGER NOT NULL, compartment TEXT, fingerprint TEXT NOT NULL);
    CREATE UNIQUE INDEX resources_by_id ON resources (cid, id);
    CREATE INDEX resources_by_time ON resources (cid, last_updated DESC, id) WHERE state = 0;
    CREATE INDEX resources_by_compartment ON resources (compartment, cid)
      WHERE compartment IS NOT NULL;
    CREATE TABLE versions (vid INTEGER PRIMARY KEY, rid INTEGER NOT NULL, cid INTEGER NOT NULL,
      version INTEGER NOT NULL, last_updated INTEGER NOT NULL, deleted INTEGER NOT NULL,
      compartment TEXT, fingerprint TEXT NOT NULL, key_id TEXT NOT NULL, body BLOB NOT NULL);
    CREATE UNIQUE INDEX versions_by_resource ON versions (rid, version);
    CREATE INDEX versions_by_time ON versions (cid, last_updated DESC);
    CREATE TABLE ranges (rid INTEGER NOT NULL, fid INTEGER NOT NULL, low REAL NOT NULL,
      high REAL NOT NULL, span INTEGER NOT NULL, PRIMARY KEY (rid, fid, low, high)) WITHOUT ROWID;
    CREATE INDEX ranges_by_value ON ranges (fid, span, low, high);
    CREATE VIRTUAL TABLE tokens USING fts5 (t, content='', contentless_delete=1, detail=none,
      tokenize='ascii')`);
}

/** state: 0 received, 1 processed, 2 set aside. Bodies are apart: a transition rewrites the row. */
function createIntakeTables(db: Connection): void {
  db.exec(`
    CREATE TABLE intake (seq INTEGER PRIMARY KEY AUTOINCREMENT, tenant INTEGER NOT NULL,
      id TEXT NOT NULL, channel INTEGER NOT NULL, format TEXT NOT NULL,
      received_at INTEGER NOT NULL, state INTEGER NOT NULL, ordering_key TEXT NOT NULL,
      dedupe TEXT, digest TEXT NOT NULL, attempts INTEGER NOT NULL, changed_at INTEGER NOT NULL,
      compartment TEXT);
    CREATE TABLE intake_bodies (seq INTEGER PRIMARY KEY, key_id TEXT NOT NULL, body BLOB NOT NULL);
    CREATE TABLE intake_details (seq INTEGER PRIMARY KEY, key_id TEXT NOT NULL,
      detail BLOB NOT NULL);
    CREATE UNIQUE INDEX intake_by_id ON intake (tenant, id);
    CREATE UNIQUE INDEX intake_by_dedupe ON intake (tenant, dedupe) WHERE dedupe IS NOT NULL;
    CREATE INDEX intake_by_key ON intake (tenant, ordering_key, seq) WHERE state = 0;
    CREATE INDEX intake_waiting ON intake (seq, tenant, ordering_key) WHERE state = 0;
    CREATE TABLE intake_tallies (tenant INTEGER NOT NULL, channel INTEGER NOT NULL,
      state INTEGER NOT NULL, count INTEGER NOT NULL, PRIMARY KEY (tenant, channel, state))
      WITHOUT ROWID`);
}

/**
 * `wrappings` is only appended to and overwritten in place by values of the same length, so SQLite
 * never copies a wrapped key to another page: overwriting it once leaves no older copy behind.
 */
function createKeyTables(db: Connection): void {
  db.exec(`
    CREATE TABLE keys (kid INTEGER PRIMARY KEY, tenant INTEGER NOT NULL, id TEXT NOT NULL,
      kind TEXT NOT NULL, compartment TEXT, wrapped_by TEXT NOT NULL,
      created_at INTEGER NOT NULL, destroyed_at INTEGER);
    CREATE TABLE wrappings (kid INTEGER PRIMARY KEY, wrapped BLOB NOT NULL);
    CREATE UNIQUE INDEX keys_by_id ON keys (tenant, id);
    CREATE INDEX keys_by_kind ON keys (tenant, kind, id);
    CREATE INDEX keys_destroyed ON keys (tenant, id) WHERE destroyed_at IS NOT NULL;
    CREATE TABLE credentials (tenant INTEGER NOT NULL, id TEXT NOT NULL,
      token_hash TEXT NOT NULL UNIQUE, label TEXT NOT NULL, scopes TEXT NOT NULL,
      created_at INTEGER NOT NULL, expires_at INTEGER, revoked_at INTEGER,
      PRIMARY KEY (tenant, id)) WITHOUT ROWID`);
}

/** Lists of one patient's messages and of set-aside messages, without walking the whole intake. */
function indexIntakeLists(db: Connection): void {
  db.exec(`
    CREATE INDEX intake_by_compartment ON intake (tenant, compartment, seq)
      WHERE compartment IS NOT NULL;
    CREATE INDEX intake_set_aside ON intake (tenant, seq) WHERE state = 2`);
}

/** Rows of before have none, and grant nothing any more. */
function addCredentialMac(db: Connection): void {
  db.exec("ALTER TABLE credentials ADD COLUMN mac TEXT NOT NULL DEFAULT ''");
}
