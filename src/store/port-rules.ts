// Rules of port.ts that every store checks in the same way: the form of a write, limits of a plan.
import { EngineError } from '../model/errors.ts';
import type { CredentialRow, RangeEntry, ResourceWrite, SearchPlan } from './port.ts';

const TOKEN = /^[0-9a-f]{16}$/;
const PLAN_LIMITS = { rowsMax: 10_000, tokensMax: 10_000, rangesMax: 64, idsMax: 10_000 };

/** Throws BAD_REQUEST when the plan breaks a limit or form. */
export function checkPlan(plan: SearchPlan): void {
  const tokens = plan.tokens.flat();
  const sound =
    Number.isInteger(plan.limit) &&
    plan.limit >= 1 &&
    plan.limit <= PLAN_LIMITS.rowsMax &&
    tokens.length <= PLAN_LIMITS.tokensMax &&
    tokens.every((token) => TOKEN.test(token)) &&
    plan.ranges.length <= PLAN_LIMITS.rangesMax &&
    (plan.ids?.length ?? 0) <= PLAN_LIMITS.idsMax &&
    (plan.compartments?.length ?? 0) <= PLAN_LIMITS.idsMax;
  if (!sound) throw new EngineError('BAD_REQUEST', 'The search plan breaks a limit of the store.');
}

/** Throws INTERNAL when a write breaks the port's rules: a fault of the caller. */
export function checkForm(write: ResourceWrite): void {
  const sound =
    write.version === write.expected + 1 &&
    write.tokens.every((token) => TOKEN.test(token)) &&
    write.ranges.every(isRange);
  if (!sound) {
    throw new EngineError(
      'INTERNAL',
      `The write of ${write.type}/${write.id} has a wrong version number, token or range.`,
    );
  }
}

/** Scopes of a stored credential; what is no list of texts grants nothing, and is marked. */
export function readScopes(stored: unknown): Pick<CredentialRow, 'scopes' | 'damaged'> {
  const isList = Array.isArray(stored) && stored.every((scope) => typeof scope === 'string');
  return isList ? { scopes: stored } : { scopes: [], damaged: true };
}

/** The ends are finite; their difference need not be (`< 1.7e308` covers all below). */
function isRange({ low, high }: RangeEntry): boolean {
  return Number.isFinite(low) && Number.isFinite(high) && low <= high;
}
