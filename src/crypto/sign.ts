// Ed25519 signatures of audit checkpoints: what is signed, and how it is checked. When a
// checkpoint is made, and where it is kept, is decided elsewhere.
import { createHash, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { joinParts } from './parts.ts';

/** What a checkpoint says: the chain of `tenant` had `hash` at `seq`, at that time (ms). */
export interface CheckpointBody {
  tenant: string;
  seq: number;
  hash: string;
  at: number;
}

/** Signature in base64url. */
export function signCheckpoint(privateKey: KeyObject, body: CheckpointBody): string {
  return sign(null, signedBytes(body), privateKey).toString('base64url');
}

/** False for any difference; never throws for a malformed signature. */
export function verifyCheckpoint(
  publicKey: KeyObject,
  body: CheckpointBody,
  signature: string,
): boolean {
  const bytes = Buffer.from(signature, 'base64url');
  return bytes.length === 64 && verify(null, signedBytes(body), publicKey, bytes);
}

/** The public half of a private key, or a public key from its SPKI PEM. */
export function publicKeyOf(key: KeyObject | string): KeyObject {
  return createPublicKey(key);
}

/** SPKI PEM, for checking signatures without Artery. */
export function publicKeyPem(publicKey: KeyObject): string {
  return publicKey.export({ format: 'pem', type: 'spki' }).toString();
}

/** 32 hex characters of SHA-256 over the SPKI bytes: names the key in checkpoints. */
export function thumbprint(publicKey: KeyObject): string {
  const spki = publicKey.export({ format: 'der', type: 'spki' });
  return createHash('sha256').update(spki).digest('hex').slice(0, 32);
}

function signedBytes({ tenant, seq, hash, at }: CheckpointBody): Buffer {
  return Buffer.from(
    joinParts(['artery-checkpoint-1', tenant, String(seq), hash, String(at)]),
    'utf8',
  );
}
