// The intake part of a unit: new messages, and messages that change state.
import type { MessageState } from '../../model/message.ts';
import {
  CommitConflict,
  type IntakeRow,
  type IntakeWrite,
  type Sealed,
  type Transition,
  type Unit,
} from '../port.ts';
import type { WriterState } from './writer-state.ts';

/** A state's number is its place here; the schema's partial indexes depend on it. */
export const STATES: readonly MessageState[] = ['received', 'processed', 'set-aside'];

/** One per transition: the row it moves. `seq` 0 = the row is inserted by the same unit. */
export type CheckedIntake = { seq: number; channel: number; from: number }[];

interface Known {
  id: string;
  digest: string;
}
interface Movable {
  seq: number;
  channel: number;
  state: number;
  changedAt: number;
}

/** Only reads. Throws CommitConflict `duplicate-message` or `transition`. */
export function checkIntake(
  state: WriterState,
  tenant: number | undefined,
  rows: IntakeWrite[],
  transitions: Transition[],
): CheckedIntake {
  const states = new Map<string, Movable>();
  const taken = new Map<string, Known>();
  for (const row of rows) {
    const known = findKnown(state, tenant, row) ?? findTaken(taken, row);
    if (known) throw new CommitConflict({ kind: 'duplicate-message', ...known });
    taken.set(`id ${row.id}`, row);
    if (row.dedupe !== null) taken.set(`dedupe ${row.dedupe}`, row);
    const changedAt = row.receivedAt;
    states.set(row.id, { seq: 0, channel: 0, state: STATES.indexOf(row.state), changedAt });
  }
  return transitions.map((move) => checkTransition(state, tenant, move, states));
}

function findKnown(
  state: WriterState,
  tenant: number | undefined,
  row: IntakeWrite,
): Known | undefined {
  if (tenant === undefined) return undefined;
  const byDedupe = 'SELECT id, digest FROM intake WHERE tenant = ? AND dedupe = ?';
  const byId = 'SELECT id, digest FROM intake WHERE tenant = ? AND id = ?';
  const known = row.dedupe === null ? undefined : state.db.one<Known>(byDedupe, tenant, row.dedupe);
  return known ?? state.db.one<Known>(byId, tenant, row.id);
}

function findTaken(taken: Map<string, Known>, row: IntakeWrite): Known | undefined {
  const found = taken.get(`dedupe ${row.dedupe}`) ?? taken.get(`id ${row.id}`);
  return found && { id: found.id, digest: found.digest };
}

function checkTransition(
  state: WriterState,
  tenant: number | undefined,
  move: Transition,
  states: Map<string, Movable>,
): CheckedIntake[number] {
  const sql = `SELECT seq, channel, state, changed_at AS changedAt FROM intake
    WHERE tenant = ? AND id = ?`;
  const stored = tenant === undefined ? undefined : state.db.one<Movable>(sql, tenant, move.id);
  const row = states.get(move.id) ?? stored;
  if (!row || STATES[row.state] !== move.from || row.changedAt !== (move.since ?? row.changedAt)) {
    const found = row ? (STATES[row.state] ?? null) : null;
    throw new CommitConflict({ kind: 'transition', id: move.id, state: found });
  }
  states.set(move.id, { ...row, state: STATES.indexOf(move.to), changedAt: move.at });
  return { seq: row.seq, channel: row.channel, from: row.state };
}

/** Answers the place in the arrival order of each new row. */
export function writeIntake(
  state: WriterState,
  tenant: number,
  unit: Unit,
  checked: CheckedIntake,
): number[] {
  const inserted = new Map<string, { seq: number; channel: number }>();
  const seqs = (unit.intake ?? []).map((row) => {
    const made = insertMessage(state, tenant, row);
    inserted.set(row.id, made);
    return made.seq;
  });
  (unit.transitions ?? []).forEach((move, index) => {
    const row = checked[index];
    if (!row) throw new Error('a transition was not checked');
    moveMessage(state, tenant, move, { ...row, ...inserted.get(move.id) });
  });
  return seqs;
}

function insertMessage(
  state: WriterState,
  tenant: number,
  row: IntakeWrite,
): { seq: number; channel: number } {
  const channel = state.internName(row.channel);
  const code = STATES.indexOf(row.state);
  const seq = state.db.run(
    `INSERT INTO intake (tenant, id, channel, format, received_at, state, ordering_key, dedupe,
      digest, attempts, changed_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?)`,
    tenant,
    row.id,
    channel,
    row.format,
    row.receivedAt,
    code,
    row.orderingKey,
    row.dedupe,
    row.digest,
    row.receivedAt,
  );
  writeBody(state, seq, row.body);
  if (row.detail) writeDetail(state, seq, row.detail);
  state.countIntake(tenant, channel, code, 1);
  return { seq, channel };
}

/** A message that is moved here from another store, with the number that it has there. */
export function insertIntakeRow(state: WriterState, tenant: number, row: IntakeRow): void {
  const channel = state.internName(row.channel);
  const code = STATES.indexOf(row.state);
  state.db.run(
    `INSERT INTO intake (seq, tenant, id, channel, format, received_at, state, ordering_key, dedupe,
      digest, attempts, changed_at, compartment) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    row.seq,
    tenant,
    row.id,
    channel,
    row.format,
    row.receivedAt,
    code,
    row.orderingKey,
    row.dedupe,
    row.digest,
    row.attempts,
    row.changedAt,
    row.compartment,
  );
  writeBody(state, row.seq, row.body);
  if (row.detail) writeDetail(state, row.seq, row.detail);
  state.countIntake(tenant, channel, code, 1);
}

function moveMessage(
  state: WriterState,
  tenant: number,
  move: Transition,
  row: CheckedIntake[number],
): void {
  const to = STATES.indexOf(move.to);
  state.db.run(
    `UPDATE intake SET state = ?, attempts = ?, changed_at = ?, compartment = ? WHERE seq = ?`,
    to,
    move.attempts,
    move.at,
    move.compartment,
    row.seq,
  );
  if (move.detail) writeDetail(state, row.seq, move.detail);
  else state.db.run('DELETE FROM intake_details WHERE seq = ?', row.seq);
  if (move.body) writeBody(state, row.seq, move.body);
  state.countIntake(tenant, row.channel, row.from, -1);
  state.countIntake(tenant, row.channel, to, 1);
}

function writeBody(state: WriterState, seq: number, body: Sealed): void {
  state.db.run(
    'INSERT OR REPLACE INTO intake_bodies VALUES (?, ?, ?)',
    seq,
    body.keyId,
    body.bytes,
  );
}

function writeDetail(state: WriterState, seq: number, detail: Sealed): void {
  const sql = 'INSERT OR REPLACE INTO intake_details VALUES (?, ?, ?)';
  state.db.run(sql, seq, detail.keyId, detail.bytes);
}
