// Ids: name-based UUIDs (RFC 9562 version 5) for resources, time-ordered ones (version 7) for
// messages. Pure: the clock and, for version 7, the random bytes come in as arguments.
import { createHash, hash } from 'node:crypto';

/** Namespace of all tenants' namespaces; a random UUID chosen once, never to be changed. */
const ARTERY_NAMESPACE = 'b3d3a6ae-5c1f-4f0e-9c56-0a8f3e1d7c42';
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/**
 * UUID version 5 of `name` (UTF-8) in `namespace` (a UUID in lower case, see tenantNamespace).
 * Throws RangeError when the namespace is not a UUID.
 */
export function uuid5(namespace: string, name: string): string {
  if (!UUID.test(namespace)) throw new RangeError('namespace is not a UUID in lower case');
  const digest = createHash('sha1')
    .update(Buffer.from(namespace.replaceAll('-', ''), 'hex'))
    .update(name, 'utf8')
    .digest();
  return format(digest, 0x50);
}

/** The namespace in which all ids of one tenant are made. */
export function tenantNamespace(tenant: string): string {
  return uuid5(ARTERY_NAMESPACE, tenant);
}

/**
 * Id of the resource that a business key names: UUIDv5 of `type|businessKey` in the tenant's
 * namespace. The Patient id of an Envelope's subject is `resourceId(tenant, 'Patient', subject)`.
 */
export function resourceId(tenant: string, type: string, businessKey: string): string {
  return uuid5(tenantNamespace(tenant), `${type}|${businessKey}`);
}

/**
 * A maker of resourceId's ids for one tenant, six times as fast: for code that makes many. Its
 * buffer is its own, so it must not be shared between threads.
 */
export function idMaker(tenant: string): (type: string, businessKey: string) => string {
  const namespace = Buffer.from(tenantNamespace(tenant).replaceAll('-', ''), 'hex');
  const buffer = Buffer.alloc(1024);
  namespace.copy(buffer);
  return (type, businessKey) => {
    const name = `${type}|${businessKey}`;
    // A UTF-16 unit takes three bytes of UTF-8 at most.
    const fits = 16 + name.length * 3 <= buffer.length;
    const input = fits
      ? buffer.subarray(0, 16 + buffer.write(name, 16, 'utf8'))
      : Buffer.concat([namespace, Buffer.from(name, 'utf8')]);
    const hex = hash('sha1', input, 'hex');
    const variant = ((Number.parseInt(hex.charAt(16), 16) & 3) | 8).toString(16);
    const [a, b, c] = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(13, 16)];
    return `${a}-${b}-5${c}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
  };
}

/** Id of the Provenance of a message. */
export function provenanceId(tenant: string, messageId: string): string {
  return resourceId(tenant, 'Provenance', messageId);
}

/**
 * Makes version 7 ids; `random` gives that many fresh random bytes, which are drawn in bulk: one
 * call costs more than all the rest of an id.
 */
export function uuid7Maker(random: (bytes: number) => Uint8Array): (nowMs: number) => string {
  let pool: Uint8Array = new Uint8Array(0);
  let used = 0;
  return (nowMs) => {
    if (used >= pool.length) {
      pool = random(POOL_BYTES);
      used = 0;
    }
    used += UUID7_RANDOM_BYTES;
    return uuid7(nowMs, pool.subarray(used - UUID7_RANDOM_BYTES, used));
  };
}

const UUID7_RANDOM_BYTES = 10;
const POOL_BYTES = 512 * UUID7_RANDOM_BYTES;

/**
 * UUID version 7: `nowMs` (ms since the epoch) and 10 random bytes.
 * Throws RangeError when an argument is out of range.
 */
export function uuid7(nowMs: number, random: Uint8Array): string {
  if (!Number.isSafeInteger(nowMs) || nowMs < 0 || nowMs >= 2 ** 48) {
    throw new RangeError('time does not fit into 48 bits');
  }
  if (random.length < UUID7_RANDOM_BYTES) throw new RangeError('10 random bytes are needed');
  const bytes = Buffer.allocUnsafe(16);
  bytes.writeUIntBE(nowMs, 0, 6);
  bytes.set(random.subarray(0, 10), 6);
  return format(bytes, 0x70);
}

/**
 * 19 characters (0 to 9, A to V) that stand for a UUID version 7 where no more fit: its time and 47
 * of its random bits, so that names of one millisecond differ too. They sort as the ids do.
 */
export function shortName(id: string): string {
  const hex = id.replaceAll('-', '');
  // The digits between are those of version and variant.
  const told = hex.slice(0, 12) + hex.slice(13, 16) + hex.slice(17, 26);
  return (BigInt(`0x${told}`) >> 1n).toString(32).toUpperCase().padStart(19, '0');
}

function format(bytes: Buffer, version: number): string {
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | version;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = bytes.toString('hex', 0, 16);
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    hex.slice(12, 16),
    hex.slice(16, 20),
    hex.slice(20),
  ].join('-');
}
