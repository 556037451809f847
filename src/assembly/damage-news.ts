// Tells of stored records that do not open: the event, and the warning of /health.
import type { ErrorCode } from '../model/errors.ts';
import type { Damage } from '../record/damage.ts';
import type { Telemetry } from '../telemetry/events.ts';

/** For openRecord: makes an event of each damaged record. */
export function tellDamage(telemetry: Telemetry): (damage: Damage, code: ErrorCode) => void {
  return ({ kind, id, version }, code) =>
    telemetry.emit('record.damaged', { kind, id, version, code });
}

/** Warnings of /health: they do not make the server unready. */
export function damageWarnings(count: number): string[] {
  if (count === 0) return [];
  return [`${count} stored records do not open: artery audit verify --bodies names them`];
}
