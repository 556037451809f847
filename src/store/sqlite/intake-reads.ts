// Reads of the intake: single messages, a key's inbox, lists and counts.
import type { MessageFormat, MessageState } from '../../model/message.ts';
import type { IntakeFilter, IntakeRow, IntakeStore } from '../port.ts';
import { STATES } from './apply-intake.ts';
import type { Connection } from './connection.ts';

/** Of `intake m`, `names c` (channel), `intake_bodies b` and `intake_details d`. */
export const MESSAGE_COLUMNS = `m.seq, m.id, c.name AS channel, m.format, m.received_at, m.state,
  m.ordering_key, m.dedupe, m.digest, m.attempts, m.changed_at, m.compartment,
  b.key_id AS body_key, b.body, d.key_id AS detail_key, d.detail`;
/** The tenant's name is the first parameter. */
const FROM = fromIntake('');

function fromIntake(index: string): string {
  return `FROM names t CROSS JOIN intake m ${index} ON m.tenant = t.nid
    CROSS JOIN names c ON c.nid = m.channel CROSS JOIN intake_bodies b ON b.seq = m.seq
    LEFT JOIN intake_details d ON d.seq = m.seq WHERE t.name = ?`;
}

export interface MessageColumns {
  seq: number;
  id: string;
  channel: string;
  format: MessageFormat;
  received_at: number;
  state: number;
  ordering_key: string;
  dedupe: string | null;
  digest: string;
  attempts: number;
  changed_at: number;
  compartment: string | null;
  body_key: string;
  body: Uint8Array;
  detail_key: string | null;
  detail: Uint8Array | null;
}

export function getMessage(db: Connection, tenant: string, id: string): IntakeRow | undefined {
  const row = db.one<MessageColumns>(`SELECT ${MESSAGE_COLUMNS} ${FROM} AND m.id = ?`, tenant, id);
  return row && toIntakeRow(row);
}

export function readInbox(
  db: Connection,
  tenant: string,
  orderingKey: string,
  limit: number,
): IntakeRow[] {
  const sql = `SELECT ${MESSAGE_COLUMNS} ${FROM} AND m.state = 0 AND m.ordering_key = ?
    ORDER BY m.seq LIMIT ?`;
  return db.all<MessageColumns>(sql, tenant, orderingKey, limit).map(toIntakeRow);
}

/** A page ends where one key more than `limit` would begin; a shorter page is the last. */
export function listWaiting(
  db: Connection,
  afterSeq: number,
  limit: number,
): Awaited<ReturnType<IntakeStore['waiting']>> {
  type Waiting = { tenant: string; orderingKey: string; seq: number };
  const sql = `SELECT t.name AS tenant, m.ordering_key AS orderingKey, m.seq
    FROM intake m INDEXED BY intake_waiting CROSS JOIN names t ON t.nid = m.tenant
    WHERE m.state = 0 AND m.seq > ? ORDER BY m.seq`;
  const page = new Map<string, Waiting>();
  for (const row of db.iterate<Waiting>(sql, afterSeq)) {
    const key = JSON.stringify([row.tenant, row.orderingKey]);
    const known = page.get(key);
    if (known) known.seq = row.seq;
    else if (page.size >= limit) break;
    else page.set(key, row);
  }
  return [...page.values()];
}

export function listMessages(
  db: Connection,
  tenant: string,
  filter: IntakeFilter,
  limit: number,
  beforeSeq?: number,
): IntakeRow[] {
  const query = messagesQuery(filter, beforeSeq);
  return db.all<MessageColumns>(query.text, tenant, ...query.values, limit).map(toIntakeRow);
}

/** Its values stand between the tenant's name and the limit. */
export function messagesQuery(
  filter: IntakeFilter,
  beforeSeq?: number,
): { text: string; values: (string | number)[] } {
  const where: string[] = [];
  const values: (string | number)[] = [];
  const add = (sql: string, value: string | number | undefined): void => {
    if (value === undefined) return;
    where.push(` AND ${sql}`);
    values.push(value);
  };
  // A literal, so that SQLite can use the partial indexes.
  if (filter.state) where.push(` AND m.state = ${STATES.indexOf(filter.state)}`);
  add('m.channel = (SELECT nid FROM names WHERE name = ?)', filter.channel);
  add('m.compartment = ?', filter.compartment);
  add('m.dedupe = ?', filter.dedupe);
  add('m.received_at >= ?', filter.receivedFrom);
  add('m.received_at <= ?', filter.receivedTo);
  add('m.seq < ?', beforeSeq);
  const from = fromIntake(indexFor(filter));
  const text = `SELECT ${MESSAGE_COLUMNS} ${from} ${where.join('')} ORDER BY m.seq DESC LIMIT ?`;
  return { text, values };
}

/** Each gives rows in the order of seq, so that a page ends the search. */
function indexFor(filter: IntakeFilter): string {
  if (filter.dedupe !== undefined) return 'INDEXED BY intake_by_dedupe';
  if (filter.compartment !== undefined) return 'INDEXED BY intake_by_compartment';
  if (filter.state === 'set-aside') return 'INDEXED BY intake_set_aside';
  if (filter.state === 'received') return 'INDEXED BY intake_waiting';
  return 'NOT INDEXED';
}

export function countIntake(db: Connection): Awaited<ReturnType<IntakeStore['counts']>> {
  const tallies = db.all<{ tenant: number; channel: number; state: number; count: number }>(
    'SELECT tenant, channel, state, count FROM intake_tallies WHERE count > 0',
  );
  const name = (nid: number): string =>
    db.one<{ name: string }>('SELECT name FROM names WHERE nid = ?', nid)?.name ?? '';
  return tallies.map(({ tenant, channel, state, count }) => ({
    tenant: name(tenant),
    channel: name(channel),
    state: stateOf(state),
    count,
  }));
}

export function oldestWaiting(db: Connection): number {
  const sql = `SELECT received_at AS at FROM intake INDEXED BY intake_waiting
    WHERE state = 0 ORDER BY seq LIMIT 1`;
  return db.one<{ at: number }>(sql)?.at ?? 0;
}

function stateOf(code: number): MessageState {
  const state = STATES[code];
  if (!state) throw new Error(`intake state ${code} is unknown`);
  return state;
}

export function toIntakeRow(row: MessageColumns): IntakeRow {
  const { detail_key: detailKey, detail } = row;
  return {
    seq: row.seq,
    id: row.id,
    channel: row.channel,
    format: row.format,
    receivedAt: row.received_at,
    state: stateOf(row.state),
    orderingKey: row.ordering_key,
    dedupe: row.dedupe,
    digest: row.digest,
    body: { keyId: row.body_key, bytes: row.body },
    detail: detailKey !== null && detail ? { keyId: detailKey, bytes: detail } : null,
    attempts: row.attempts,
    changedAt: row.changed_at,
    compartment: row.compartment,
  };
}
