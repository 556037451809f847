// Takes a checked unit into the transaction's state: sequence numbers, heads, versions, the audit
// chain. Nothing is sent here; flush.ts writes what is staged.
import { randomUUID } from 'node:crypto';
import { linkHash } from '../../audit/chain.ts';
import type {
  Checkpoint,
  Committed,
  IntakeWrite,
  KeyWrite,
  ResourceWrite,
  Transition,
  Unit,
} from '../port.ts';
import { type BatchState, onceOf } from './batch-state.ts';
import { DELETED, LIVE, lowField, type ResourceDoc, TENANTS_MAX } from './records.ts';
import { numberedId, resourceId, rowId, versionId } from './row-ids.ts';

/** `now`: ms since the epoch, for keys that are destroyed. */
export function stageUnit(state: BatchState, unit: Unit, now: number): Committed {
  for (const key of unit.keys ?? []) stageKey(state, key);
  for (const id of unit.forget?.keyIds ?? []) stageDestruction(state, id, now);
  for (const credential of unit.credentials ?? []) {
    const _id = rowId(state.tenant, credential.id);
    state.staged.credentials.set(_id, { _id, tenant: state.tenant, ...credential });
  }
  const intakeSeqs = (unit.intake ?? []).map((row) => stageMessage(state, row));
  for (const move of unit.transitions ?? []) stageMove(state, move);
  for (const write of unit.resources ?? []) stageResource(state, write);
  if (unit.forget) state.staged.forget = unit.forget.compartment;
  return { intakeSeqs, auditSeq: stageAudit(state, unit) };
}

function stageKey(state: BatchState, { rewrap, ...key }: KeyWrite): void {
  const known = state.keys.get(key.id);
  if (!rewrap) {
    const _id = rowId(state.tenant, key.id);
    const fresh = { _id, tenant: state.tenant, ...key, destroyedAt: null };
    state.keys.set(key.id, { destroyedAt: null, fresh });
    state.staged.keys.push(fresh);
    return;
  }
  const { wrappedBy, wrapped } = key;
  if (known?.fresh) Object.assign(known.fresh, { wrappedBy, wrapped });
  else state.staged.rewraps.set(rowId(state.tenant, key.id), { wrappedBy, wrapped });
}

function stageDestruction(state: BatchState, id: string, now: number): void {
  const known = state.keys.get(id);
  if (!known || known.destroyedAt !== null) return;
  known.destroyedAt = now;
  if (known.fresh) Object.assign(known.fresh, { destroyedAt: now, wrapped: new Uint8Array(0) });
  else state.staged.destroyed.push(rowId(state.tenant, id));
}

function stageMessage(state: BatchState, row: IntakeWrite): number {
  const { tenant } = state;
  const { dedupe: _, body, detail, ...fields } = row;
  state.head.intake += 1;
  const fresh = {
    _id: rowId(tenant, row.id),
    tenant,
    ...fields,
    seq: state.head.intake * TENANTS_MAX + state.head.number,
    once: onceOf(row),
    attempts: 0,
    changedAt: row.receivedAt,
    compartment: null,
    bodyKey: body.keyId,
    body: body.bytes,
    detailKey: detail?.keyId ?? null,
    detail: detail?.bytes ?? null,
  };
  state.staged.intake.push(fresh);
  const { id, once, digest, channel, changedAt } = fresh;
  state.addIntake({ id, once, digest, channel, state: row.state, changedAt, fresh });
  state.countIntake(channel, row.state, 1);
  return fresh.seq;
}

function stageMove(state: BatchState, move: Transition): void {
  const known = state.intake.get(move.id);
  if (!known) throw new Error('a transition was not checked');
  const set = {
    state: move.to,
    attempts: move.attempts,
    changedAt: move.at,
    compartment: move.compartment,
    detailKey: move.detail?.keyId ?? null,
    detail: move.detail?.bytes ?? null,
    ...(move.body && { bodyKey: move.body.keyId, body: move.body.bytes }),
  };
  state.countIntake(known.channel, known.state, -1);
  state.countIntake(known.channel, move.to, 1);
  known.state = move.to;
  known.changedAt = move.at;
  if (known.fresh) {
    Object.assign(known.fresh, set);
    return;
  }
  const { moves } = state.staged;
  const _id = rowId(state.tenant, move.id);
  moves.set(_id, { once: known.once, set: { ...moves.get(_id)?.set, ...set } });
}

function stageResource(state: BatchState, write: ResourceWrite): void {
  const next = resourceDoc(state.tenant, write);
  const old = state.newest(next._id);
  if (old) {
    const { _id, state: _, ...fields } = old;
    const {
      tokens: __,
      ranges: ___,
      lows: ____,
      ...version
    } = fields as typeof fields & Partial<ResourceDoc>;
    const { type, id } = version;
    state.staged.versions.push({
      _id: versionId(state.tenant, type, id, version.version),
      ...version,
    });
  }
  state.countLive(write.type, old?.state, next.state);
  const head = { stored: state.heads.get(next._id)?.stored, next };
  state.heads.set(next._id, head);
  state.staged.heads.set(next._id, head);
}

export function resourceDoc(tenant: string, write: ResourceWrite): ResourceDoc {
  const { expected: _, body, tokens, ranges, ...fields } = write;
  const lows: Record<string, number> = {};
  const entries = write.deleted ? [] : ranges;
  for (const { param, low } of entries) {
    const field = lowField(param);
    lows[field] = Math.min(lows[field] ?? Number.POSITIVE_INFINITY, low);
  }
  return {
    _id: resourceId(tenant, write.type, write.id),
    tenant,
    ...fields,
    keyId: body.keyId,
    body: body.bytes,
    state: write.deleted ? DELETED : LIVE,
    tokens: write.deleted ? [] : tokens,
    ranges: entries.map(({ param, low, high }) => ({ p: param, l: low, h: high })),
    lows,
  };
}

function stageAudit(state: BatchState, unit: Unit): number {
  const { tenant, head, staged } = state;
  const first = unit.audit?.length ? head.auditSeq + 1 : 0;
  for (const { at, entry } of unit.audit ?? []) {
    const seq = head.auditSeq + 1;
    const hash = linkHash(head.auditHash, seq, at, entry);
    staged.audit.push({ _id: numberedId(tenant, seq), tenant, seq, at, hash, entry });
    head.auditSeq = seq;
    head.auditHash = hash;
  }
  if (unit.checkpoint) {
    const _id = checkpointId(tenant, unit.checkpoint);
    staged.checkpoints.push({ _id, tenant, ...unit.checkpoint });
  }
  return first;
}

/** Sorts by number, then time; two may have both in common. */
export function checkpointId(tenant: string, { seq, at }: Checkpoint): string {
  return `${numberedId(tenant, seq)}/${at}/${randomUUID()}`;
}
