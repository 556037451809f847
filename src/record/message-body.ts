// A message and its sealed row: envelope and raw bytes in one body, the outcome in another, the
// blind tokens and digests beside them. Which state it is in is message.ts, accept.ts and write.ts.
import { joinParts } from '../crypto/parts.ts';
import { openSealed } from '../crypto/seal.ts';
import { EngineError } from '../model/errors.ts';
import type { Envelope, MessageOutcome } from '../model/message.ts';
import type { IntakeRow, Sealed } from '../store/port.ts';
import type { ClinicalRecord } from './context.ts';
import { messageDamage, openGuarded, outcomeDamage } from './damage.ts';
import type { SealingKey } from './keyring.ts';
import type { SealedLife } from './message-history.ts';
import type { TenantKeys } from './tenant-keys.ts';

export interface MessageBody {
  envelope: Envelope;
  /** As they are to be processed: received, or corrected last. */
  raw: Uint8Array;
  history: readonly SealedLife[];
}

type Header = Envelope & { history?: SealedLife[] };

const LENGTH_BYTES = 4;
const ORDERING_HEX = 16;
const DEDUPE_HEX = 32;

/** Patient id that an envelope's subject names, null = no subject. */
export function subjectCompartment(tenant: TenantKeys, envelope: Envelope): string | null {
  return envelope.subject === '' ? null : tenant.ids('Patient', envelope.subject);
}

/**
 * Blind token of the ordering key, over all channels of the tenant; a message without one is
 * ordered with nothing but itself.
 */
export function orderingToken(tenant: TenantKeys, envelope: Envelope): string {
  const { orderingKey, id } = envelope;
  if (orderingKey !== '') return tenant.blinder.token('ordering', orderingKey);
  return tenant.blinder.digest('unordered', id).slice(0, ORDERING_HEX);
}

/**
 * Blind token of (channel, sender, control id); null = the message has no id of its own. Longer
 * than a search token: a collision here would take a new message for an old one.
 */
export function dedupeToken(tenant: TenantKeys, envelope: Envelope): string | null {
  const { channel, sender, controlId } = envelope;
  if (controlId === '') return null;
  const parts = joinParts([channel, sender, controlId]);
  return tenant.blinder.digest('dedupe', parts).slice(0, DEDUPE_HEX);
}

/** Blind token of one content under a control id that another content had before. */
export function reuseToken(tenant: TenantKeys, dedupe: string, digest: string): string {
  const parts = joinParts(['reused', dedupe, digest]);
  return tenant.blinder.digest('dedupe', parts).slice(0, DEDUPE_HEX);
}

/**
 * length of the envelope (u32 BE) | envelope as JSON, with the message's history where it has one |
 * raw bytes, sealed for this message only.
 */
export function sealMessage(
  record: ClinicalRecord,
  key: Pick<SealingKey, 'id' | 'key'>,
  envelope: Envelope,
  raw: Uint8Array,
  history: readonly SealedLife[] = [],
): Sealed {
  const header = JSON.stringify(history.length === 0 ? envelope : { ...envelope, history });
  const headerBytes = Buffer.byteLength(header, 'utf8');
  const plain = Buffer.allocUnsafe(LENGTH_BYTES + headerBytes + raw.length);
  plain.writeUInt32BE(headerBytes, 0);
  plain.write(header, LENGTH_BYTES, 'utf8');
  plain.set(raw, LENGTH_BYTES + headerBytes);
  const parts = ['message', envelope.tenant, envelope.id, key.id];
  return { keyId: key.id, bytes: record.sealer.seal(key.key, plain, parts) };
}

/**
 * Throws KEY_DESTROYED (patient forgotten), DamagedRecord (KEY_UNAVAILABLE, STORE_CORRUPT), which
 * names the message.
 */
export async function openMessageBody(
  record: ClinicalRecord,
  tenant: string,
  row: IntakeRow,
): Promise<MessageBody> {
  const damage = messageDamage(tenant, row.id);
  return openGuarded(record.damage, damage, () => readBody(record, tenant, row));
}

async function readBody(
  record: ClinicalRecord,
  tenant: string,
  row: IntakeRow,
): Promise<MessageBody> {
  const key = await record.keyring.forOpening(tenant, row.body.keyId);
  const parts = ['message', tenant, row.id, row.body.keyId];
  const plain = openSealed(key, row.body.bytes, parts);
  const rawAt = LENGTH_BYTES + plain.readUInt32BE(0);
  const header = JSON.parse(plain.toString('utf8', LENGTH_BYTES, rawAt)) as Header;
  const { history = [], ...envelope } = header;
  if (envelope.id !== row.id) {
    throw new EngineError('STORE_CORRUPT', `Message ${row.id} holds another message.`);
  }
  return { envelope, raw: plain.subarray(rawAt), history };
}

export function sealOutcome(
  record: ClinicalRecord,
  key: Pick<SealingKey, 'id' | 'key'>,
  message: { tenant: string; id: string },
  outcome: MessageOutcome,
): Sealed {
  const parts = ['outcome', message.tenant, message.id, key.id];
  const bytes = record.sealer.seal(key.key, JSON.stringify(outcome), parts);
  return { keyId: key.id, bytes };
}

/** null while the message has no outcome. Throws as openMessageBody does. */
export async function openOutcome(
  record: ClinicalRecord,
  tenant: string,
  row: IntakeRow,
): Promise<MessageOutcome | null> {
  const { id, detail } = row;
  if (detail === null) return null;
  return openGuarded(record.damage, outcomeDamage(tenant, id), async () => {
    const key = await record.keyring.forOpening(tenant, detail.keyId);
    const plain = openSealed(key, detail.bytes, ['outcome', tenant, id, detail.keyId]);
    return JSON.parse(plain.toString('utf8')) as MessageOutcome;
  });
}

/** An outcome that says only why nothing was written. */
export function emptyOutcome(issues: MessageOutcome['issues'], mapHash = ''): MessageOutcome {
  return { issues, resources: [], mapHash };
}
