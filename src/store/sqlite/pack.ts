// Lays the bytes of many units into one buffer before they cross threads. A structured clone of a
// small Buffer would copy the whole pool behind it, and one buffer can be moved instead of copied.
import type { Sealed, Unit } from '../port.ts';

/** Equal units whose byte arrays are views of `buffer`. The units given are left as they are. */
export function packUnits(units: Unit[]): { units: Unit[]; buffer: ArrayBuffer } {
  let total = 0;
  for (const unit of units) total += unitBytes(unit);
  const packed = new Uint8Array(total);
  let offset = 0;
  const move = (bytes: Uint8Array): Uint8Array => {
    packed.set(bytes, offset);
    offset += bytes.byteLength;
    return packed.subarray(offset - bytes.byteLength, offset);
  };
  return { units: units.map((unit) => rebase(unit, move)), buffer: packed.buffer };
}

/** Bytes of all bodies, details and wrapped keys of a unit. */
export function unitBytes({ intake, transitions, resources, keys }: Unit): number {
  let total = 0;
  for (const row of intake ?? []) total += sealedBytes(row.body) + sealedBytes(row.detail);
  for (const row of transitions ?? []) total += sealedBytes(row.body) + sealedBytes(row.detail);
  for (const row of resources ?? []) total += row.body.bytes.byteLength;
  for (const row of keys ?? []) total += row.wrapped.byteLength;
  return total;
}

function sealedBytes(sealed: Sealed | null | undefined): number {
  return sealed ? sealed.bytes.byteLength : 0;
}

function rebase(unit: Unit, move: (bytes: Uint8Array) => Uint8Array): Unit {
  const sealed = (value: Sealed): Sealed => ({ keyId: value.keyId, bytes: move(value.bytes) });
  const made = { ...unit };
  if (unit.intake) {
    made.intake = unit.intake.map((row) => ({
      ...row,
      body: sealed(row.body),
      detail: row.detail && sealed(row.detail),
    }));
  }
  if (unit.transitions) {
    made.transitions = unit.transitions.map(({ body, ...row }) => ({
      ...row,
      detail: row.detail && sealed(row.detail),
      ...(body ? { body: sealed(body) } : {}),
    }));
  }
  if (unit.resources) {
    made.resources = unit.resources.map((row) => ({ ...row, body: sealed(row.body) }));
  }
  if (unit.keys) made.keys = unit.keys.map((row) => ({ ...row, wrapped: move(row.wrapped) }));
  return made;
}
