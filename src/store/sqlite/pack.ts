// How units cross to the writer thread: their bytes laid into one buffer that is moved, and all
// else as one JSON text. A structured clone of the objects costs several times as much on both
// sides.
import type { Sealed, Unit } from '../port.ts';
import type { CommitBatch } from './protocol.ts';

/** What is posted; transfer `buffer`. In `text` every byte array is `[offset, length]`. */
export interface PackedBatch {
  text: string;
  buffer: ArrayBuffer;
}

/** The units given are left as they are. Throws TypeError for what JSON cannot carry. */
export function packBatch(batch: CommitBatch): PackedBatch {
  let total = 0;
  for (const { unit } of batch) total += unitBytes(unit);
  const packed = new Uint8Array(total);
  let offset = 0;
  const lay = (bytes: Uint8Array): [number, number] => {
    packed.set(bytes, offset);
    offset += bytes.byteLength;
    return [offset - bytes.byteLength, bytes.byteLength];
  };
  const text = JSON.stringify(
    batch.map(({ n, unit }) => ({ n, unit: replaceBytes(unit, lay as unknown as Replace) })),
  );
  return { text, buffer: packed.buffer };
}

/** Units equal to those packed, whose byte arrays are views of the buffer. */
export function unpackBatch({ text, buffer }: PackedBatch): CommitBatch {
  const view = (place: unknown): Uint8Array => {
    const [offset, length] = place as [number, number];
    return new Uint8Array(buffer, offset, length);
  };
  const batch = JSON.parse(text) as CommitBatch;
  for (const call of batch) call.unit = replaceBytes(call.unit, view);
  return batch;
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

/** On the way `[offset, length]` stands in the place of a byte array: see packBatch. */
type Replace = (bytes: Uint8Array) => Uint8Array;

function replaceBytes(unit: Unit, replace: Replace): Unit {
  const sealed = (value: Sealed): Sealed => ({ keyId: value.keyId, bytes: replace(value.bytes) });
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
  if (unit.keys) made.keys = unit.keys.map((row) => ({ ...row, wrapped: replace(row.wrapped) }));
  return made;
}
