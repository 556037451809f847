// The checks of a unit against what its transaction knows. Only reads: a unit that is refused here
// has staged nothing.
import { EngineError } from '../../model/errors.ts';
import {
  CommitConflict,
  type IntakeWrite,
  type KeyWrite,
  type ResourceWrite,
  type Transition,
  type Unit,
} from '../port.ts';
import { checkForm } from '../port-rules.ts';
import { type BatchState, onceOf } from './batch-state.ts';
import { sealedBodies } from './load-state.ts';
import { resourceId } from './row-ids.ts';

/** Room for the other fields and the index entries in a document of at most 16 MiB. */
const DOCUMENT_BYTES_MAX = 15 * 1024 * 1024;

/** Throws CommitConflict, or EngineError where the unit can never be applied. */
export function checkUnit(state: BatchState, unit: Unit): void {
  checkSealing(state, unit);
  for (const { type, id, version } of unit.unchanged ?? []) {
    const stored = state.versionOf(resourceId(state.tenant, type, id));
    if (stored !== version) throw new CommitConflict({ kind: 'version', type, id, stored });
  }
  checkIntake(state, unit.intake ?? [], unit.transitions ?? []);
  checkResources(state, unit.resources ?? []);
  checkKeys(state, unit);
}

function checkSealing(state: BatchState, unit: Unit): void {
  for (const { keyId, bytes } of sealedBodies(unit)) {
    if (bytes.byteLength > DOCUMENT_BYTES_MAX) {
      throw new EngineError('TOO_LARGE', 'A body of more than 15 MiB cannot be kept in MongoDB.');
    }
    const known = state.keys.get(keyId);
    if (known && known.destroyedAt !== null) {
      throw new CommitConflict({ kind: 'key-destroyed', id: keyId });
    }
  }
}

function checkIntake(state: BatchState, rows: IntakeWrite[], moves: Transition[]): void {
  const own = new Map<string, { id: string; digest: string }>();
  const moved = new Map<string, { state: Transition['from']; changedAt: number }>();
  for (const row of rows) {
    const known = findMessage(state, own, row);
    if (known) throw new CommitConflict({ kind: 'duplicate-message', ...known });
    own.set(`once ${onceOf(row)}`, row);
    own.set(`id ${row.id}`, row);
    moved.set(row.id, { state: row.state, changedAt: row.receivedAt });
  }
  for (const move of moves) {
    const found = moved.get(move.id) ?? state.intake.get(move.id);
    if (found?.state !== move.from || found.changedAt !== (move.since ?? found.changedAt)) {
      throw new CommitConflict({ kind: 'transition', id: move.id, state: found?.state ?? null });
    }
    moved.set(move.id, { state: move.to, changedAt: move.at });
  }
}

function findMessage(
  state: BatchState,
  own: Map<string, { id: string; digest: string }>,
  row: IntakeWrite,
): { id: string; digest: string } | undefined {
  const once = onceOf(row);
  const found =
    state.once.get(once) ??
    state.intake.get(row.id) ??
    own.get(`once ${once}`) ??
    own.get(`id ${row.id}`);
  return found && { id: found.id, digest: found.digest };
}

function checkResources(state: BatchState, writes: ResourceWrite[]): void {
  const written = new Map<string, number>();
  for (const write of writes) {
    checkForm(write);
    const { type, id } = write;
    const key = resourceId(state.tenant, type, id);
    const stored = written.get(key) ?? state.versionOf(key);
    if (stored !== write.expected) {
      throw new CommitConflict({ kind: 'version', type, id, stored });
    }
    written.set(key, write.version);
  }
}

function checkKeys(state: BatchState, unit: Unit): void {
  const fresh = new Set<string>();
  for (const key of unit.keys ?? []) {
    checkKey(state, key, fresh.has(key.id));
    fresh.add(key.id);
  }
  for (const id of unit.forget?.keyIds ?? []) {
    if (!state.keys.has(id)) throw unknownKey(id);
  }
}

function checkKey(state: BatchState, key: KeyWrite, fresh: boolean): void {
  const stored = state.keys.get(key.id);
  if (stored && stored.destroyedAt !== null) {
    throw new CommitConflict({ kind: 'key-destroyed', id: key.id });
  }
  if (!key.rewrap && (stored || fresh)) {
    throw new CommitConflict({ kind: 'key-exists', id: key.id });
  }
  if (key.rewrap && !stored) throw unknownKey(key.id);
}

function unknownKey(id: string): EngineError {
  return new EngineError('NOT_FOUND', `No key ${id} is stored.`);
}
