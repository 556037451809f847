// A control id that came again with other content. Each distinct content is kept once, set aside;
// the same bytes again are counted in the outcome of that row. Which message is first: accept.ts.

import { EngineError } from '../model/errors.ts';
import type { Issue } from '../model/issue.ts';
import type { MessageOutcome } from '../model/message.ts';
import type { IntakeRow, Transition } from '../store/port.ts';
import type { AttemptKeys } from './commit.ts';
import type { ClinicalRecord } from './context.ts';
import { DamagedRecord } from './damage.ts';
import { openOutcome, reuseToken, sealOutcome } from './message-body.ts';
import type { TenantKeys } from './tenant-keys.ts';

export const ID_REUSED: Issue = {
  severity: 'error',
  code: 'duplicate',
  at: 'MSH-10',
  text: 'Another message with other content was received under this control id before.',
};

/** The stored row of the same content. */
export interface KeptRow {
  row: IntakeRow;
  /** null = it cannot be opened (patient forgotten, damaged): it is not counted in. */
  outcome: MessageOutcome | null;
}

/** The row that holds the content `digest` under a control id that another content has. */
export async function findKept(
  record: ClinicalRecord,
  tenant: TenantKeys,
  dedupe: string,
  digest: string,
): Promise<KeptRow | undefined> {
  const filter = { dedupe: reuseToken(tenant, dedupe, digest) };
  const [row] = await record.store.intake.list(tenant.tenant, filter, 1);
  return row && { row, outcome: await openKept(record, tenant.tenant, row) };
}

async function openKept(
  record: ClinicalRecord,
  tenant: string,
  row: IntakeRow,
): Promise<MessageOutcome | null> {
  try {
    return await openOutcome(record, tenant, row);
  } catch (thrown) {
    if (thrown instanceof DamagedRecord) return null;
    if (thrown instanceof EngineError && thrown.code === 'KEY_DESTROYED') return null;
    throw thrown;
  }
}

/** Adds `times` repeats, the last of them received at `lastAt` (ISO 8601), to an outcome. */
export function withRepeats(
  outcome: MessageOutcome,
  times: number,
  lastAt: string,
): MessageOutcome {
  if (times === 0) return outcome;
  const count = (outcome.repeats?.count ?? 0) + times;
  return { ...outcome, repeats: { count, lastAt } };
}

/** Counts repeats in the kept row; nothing where its outcome cannot be opened. */
export async function countRepeats(
  record: ClinicalRecord,
  tenant: TenantKeys,
  keys: AttemptKeys,
  { row, outcome }: KeptRow,
  arrived: { compartment: string | null; times: number; lastAt: string },
): Promise<Transition[]> {
  if (outcome === null) return [];
  const key = await keys.of(arrived.compartment);
  const counted = withRepeats(outcome, arrived.times, arrived.lastAt);
  const { id, attempts, compartment, changedAt } = row;
  const at = Math.max(record.clock(), changedAt + 1);
  const detail = sealOutcome(record, key, { tenant: tenant.tenant, id }, counted);
  const moved = { id, from: 'set-aside', to: 'set-aside', since: changedAt } as const;
  return [{ ...moved, at, attempts, compartment, detail }];
}
