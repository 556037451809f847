// One unit inside a running transaction: first every check, then every write. A unit that is
// refused has written nothing. Opening, committing and rolling back belong to group-commit.ts.
import { linkHash } from '../../audit/chain.ts';
import type { Committed, Sealed, Unit } from '../port.ts';
import { type CheckedIntake, checkIntake, writeIntake } from './apply-intake.ts';
import { type CheckedKeys, checkKeys, checkSealing, writeKeys } from './apply-keys.ts';
import {
  type CheckedResources,
  checkResources,
  checkUnchanged,
  forgetIndex,
  writeResources,
} from './apply-resources.ts';
import type { WriterState } from './writer-state.ts';

/** What the checks found out and the writes need. */
export interface CheckedUnit {
  unit: Unit;
  intake: CheckedIntake;
  resources: CheckedResources;
  keys: CheckedKeys;
}

/** Only reads. Throws CommitConflict, or EngineError where the unit can never be applied. */
export function checkUnit(state: WriterState, unit: Unit): CheckedUnit {
  const tenant = state.findName(unit.tenant);
  checkSealing(state, tenant, sealedBodies(unit));
  checkUnchanged(state, tenant, unit.unchanged ?? []);
  return {
    unit,
    intake: checkIntake(state, tenant, unit.intake ?? [], unit.transitions ?? []),
    resources: checkResources(state, tenant, unit.resources ?? []),
    keys: checkKeys(state, tenant, unit),
  };
}

/** Only writes. Whatever it throws is unexpected, and the transaction must be rolled back. */
export function writeUnit(state: WriterState, checked: CheckedUnit): Committed {
  const { unit } = checked;
  const tenant = state.internName(unit.tenant);
  writeKeys(state, tenant, unit, checked.keys);
  const intakeSeqs = writeIntake(state, tenant, unit, checked.intake);
  writeResources(state, tenant, unit.resources ?? [], checked.resources);
  if (unit.forget) forgetIndex(state, tenant, unit.forget.compartment);
  return { intakeSeqs, auditSeq: writeAudit(state, tenant, unit) };
}

function* sealedBodies(unit: Unit): Generator<Sealed> {
  for (const row of unit.intake ?? []) {
    yield row.body;
    if (row.detail) yield row.detail;
  }
  for (const row of unit.transitions ?? []) {
    if (row.body) yield row.body;
    if (row.detail) yield row.detail;
  }
  for (const row of unit.resources ?? []) yield row.body;
}

function writeAudit(state: WriterState, tenant: number, unit: Unit): number {
  let head = state.chainHead(tenant);
  const first = unit.audit?.length ? head.seq + 1 : 0;
  for (const { at, entry } of unit.audit ?? []) {
    const seq = head.seq + 1;
    head = { seq, hash: linkHash(head.hash, seq, at, entry) };
    state.db.run('INSERT INTO audit VALUES (?, ?, ?, ?, ?)', tenant, seq, at, head.hash, entry);
  }
  state.moveChain(tenant, head);
  if (unit.checkpoint) {
    const { seq, hash, at, signature, keyId } = unit.checkpoint;
    const sql = 'INSERT INTO checkpoints VALUES (?, ?, ?, ?, ?, ?)';
    state.db.run(sql, tenant, seq, hash, at, signature, keyId);
  }
  return first;
}
