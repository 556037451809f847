// What a message was before it was replayed: earlier outcomes, and the bytes that a correction
// replaced. Kept in the message's sealed body; each entry is sealed once more under the key of the
// patient that its bytes are about, so that it is forgotten with that patient.
import { openSealed } from '../crypto/seal.ts';
import { EngineError } from '../model/errors.ts';
import type { MessageOutcome, MessageState } from '../model/message.ts';
import type { ClinicalRecord } from './context.ts';
import { compartmentOfKey, type SealingKey } from './keyring.ts';

/** Earlier lives that are kept; of plain replays the oldest goes, a correction is refused. */
export const HISTORY_MAX = 20;
const HISTORY_BYTES_MAX = 12 * 1024 * 1024;
export const REASON_CHARS_MAX = 500;

/** As it stands in the body. */
export interface SealedLife {
  /** ISO 8601: when it ended by a replay. */
  at: string;
  /** Principal id. */
  who: string;
  reason: string;
  /** Its bytes were replaced, and are kept in `sealed`. */
  corrected: boolean;
  keyId: string;
  /** base64: length of the JSON (u32 BE) | Life as JSON | bytes. */
  sealed: string;
}

export interface Life {
  state: MessageState;
  attempts: number;
  /** ISO 8601: since when it was in that state. */
  since: string;
  outcome: MessageOutcome | null;
}

export interface OpenedLife extends Life {
  at: string;
  who: string;
  reason: string;
  /** The bytes that the correction replaced, null = it was replayed as it is. */
  raw: Uint8Array | null;
}

type Key = Pick<SealingKey, 'id' | 'key'>;

/** Throws TOO_LARGE when no further correction can be kept beside the others. */
export function addLife(
  record: ClinicalRecord,
  message: { tenant: string; id: string },
  key: Key,
  history: readonly SealedLife[],
  ended: Omit<SealedLife, 'keyId' | 'sealed'> & { life: Life; raw: Uint8Array },
): SealedLife[] {
  const { life, raw, ...told } = ended;
  const sealed = sealLife(record, message, key, life, told.corrected ? raw : new Uint8Array(0));
  const all = [...history, { ...told, keyId: key.id, sealed }];
  const plain = all.findIndex(({ corrected }) => !corrected);
  if (all.length > HISTORY_MAX && plain >= 0) all.splice(plain, 1);
  const size = all.reduce((sum, one) => sum + one.sealed.length, 0);
  if (all.length > HISTORY_MAX || size > HISTORY_BYTES_MAX) {
    const text = `Message ${message.id} has as many corrections as are kept; send it anew.`;
    throw new EngineError('TOO_LARGE', text);
  }
  return all;
}

/** null stands for an entry whose patient was forgotten. */
export async function openHistory(
  record: ClinicalRecord,
  message: { tenant: string; id: string },
  history: readonly SealedLife[],
): Promise<(OpenedLife | null)[]> {
  return Promise.all(
    history.map(async (one) => {
      try {
        const { at, who, reason, corrected } = one;
        const { life, raw } = await openLife(record, message, one);
        return { ...life, at, who, reason, raw: corrected ? raw : null };
      } catch (thrown) {
        if (thrown instanceof EngineError && thrown.code === 'KEY_DESTROYED') return null;
        throw thrown;
      }
    }),
  );
}

/** Seals under the patient's key what stood under the tenant's for want of a known patient. */
export async function resealHistory(
  record: ClinicalRecord,
  message: { tenant: string; id: string },
  history: readonly SealedLife[],
  key: Key,
): Promise<SealedLife[]> {
  return Promise.all(
    history.map(async (one) => {
      if (compartmentOfKey(one.keyId) !== null) return one;
      const { life, raw } = await openLife(record, message, one);
      return { ...one, keyId: key.id, sealed: sealLife(record, message, key, life, raw) };
    }),
  );
}

const LENGTH_BYTES = 4;

function sealLife(
  record: ClinicalRecord,
  { tenant, id }: { tenant: string; id: string },
  key: Key,
  life: Life,
  raw: Uint8Array,
): string {
  const json = Buffer.from(JSON.stringify(life));
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt32BE(json.length);
  const plain = Buffer.concat([length, json, raw]);
  const bytes = record.sealer.seal(key.key, plain, ['message-life', tenant, id, key.id]);
  return Buffer.from(bytes).toString('base64');
}

async function openLife(
  record: ClinicalRecord,
  { tenant, id }: { tenant: string; id: string },
  { keyId, sealed }: SealedLife,
): Promise<{ life: Life; raw: Uint8Array }> {
  const key = await record.keyring.forOpening(tenant, keyId);
  const parts = ['message-life', tenant, id, keyId];
  const plain = openSealed(key, Buffer.from(sealed, 'base64'), parts);
  const rawAt = LENGTH_BYTES + plain.readUInt32BE(0);
  const life = JSON.parse(plain.toString('utf8', LENGTH_BYTES, rawAt)) as Life;
  return { life, raw: plain.subarray(rawAt) };
}
