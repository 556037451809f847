// Opens the record: the waist of the house, with resources and messages in clear above it and only
// ciphertext, blind tokens and metadata below. Holds what its functions share; does no work itself.
import { randomBytes } from 'node:crypto';
import type { RootKeys } from '../crypto/keys.ts';
import { createRecent, type Recent } from '../crypto/recent.ts';
import { createSealer, type Sealer } from '../crypto/seal.ts';
import type { ErrorCode } from '../model/errors.ts';
import type { Principal } from '../model/principal.ts';
import type { Store } from '../store/port.ts';
import type { CachedResource } from './body.ts';
import { type Damage, DamageLog } from './damage.ts';
import { DenialLog } from './denials.ts';
import type { ForgottenTexts } from './forgotten.ts';
import { Keyring } from './keyring.ts';
import { Trail } from './trail.ts';
import { openTurns, type Turns } from './turns.ts';

/** Pass it to the functions of this folder; its members below `limits` are theirs alone. */
export interface ClinicalRecord {
  readonly store: Store;
  readonly clock: () => number;
  readonly limits: RecordLimits;
  readonly random: (bytes: number) => Uint8Array;
  readonly sealer: Sealer;
  readonly keyring: Keyring;
  readonly trail: Trail;
  /** Stored records that did not open. */
  readonly damage: DamageLog;
  readonly denials: DenialLog;
  /** Between a mapped message and its sealed unit: only few are unpacked at the same time. */
  readonly turns: Turns;
  /** Newest versions, opened, for merging. Every use is checked by the commit. */
  readonly resources: Recent<CachedResource>;
  /** Resolved bearer tokens by their hash. */
  readonly tokens: Recent<{ principal: Principal; expiresAt: number | null; checkedAt: number }>;
  /** seq of the last checkpoint of a tenant, where this record knows it. */
  readonly checkpointed: Map<string, number>;
  /**
   * Drops what is cached: after another thread forgot a patient, or rotated keys. Without it a
   * forgotten key is noticed within keyRecheckMs, and at the latest by the commit. Default: all.
   */
  invalidate(what?: 'patient' | 'all'): void;
  /** Writes the audit entries that are under way. Does not close the store. */
  close(): Promise<void>;
}

export interface RecordOptions {
  store: Store;
  rootKeys: RootKeys;
  /** Reads them anew where they are kept: another process may have rotated them. */
  readRootKeys?: () => RootKeys;
  /** Where the ids of destroyed keys are kept, outside the store. Default: nowhere. */
  forgotten?: ForgottenTexts;
  /** ms since the epoch. */
  clock: () => number;
  /** Random bytes, for tests; node:crypto's by default. */
  random?: (bytes: number) => Uint8Array;
  limits?: Partial<RecordLimits>;
  /** Told of a stored record that does not open, once a day for each. */
  damaged?: (damage: Damage, code: ErrorCode) => void;
}

export interface RecordLimits {
  /** Data keys held opened. */
  keysCached: number;
  /** A cached key is looked at again after this time: another thread may have destroyed it. */
  keyRecheckMs: number;
  /** Mapped messages merged and sealed at the same time; commits wait beyond these. */
  unpackedMax: number;
  /** Bytes of resources kept opened for merging. */
  resourceCacheBytes: number;
  /** Blind tokens kept (codes repeat a lot). */
  tokensCached: number;
  /** Audit entries of reads that may wait for the disk before reads wait for them. */
  auditBacklogMax: number;
  /** Attempts at one commit that loses races. */
  commitAttempts: number;
  /** Index pages that one search may walk through for candidates that the clear check refuses. */
  searchPagesMax: number;
  /** Bearer tokens held resolved. */
  bearersCached: number;
  /** A bearer token is looked up again after this time. */
  bearerRecheckMs: number;
}

export const RECORD_LIMITS: RecordLimits = {
  keysCached: 20_000,
  keyRecheckMs: 3_000,
  unpackedMax: 4,
  resourceCacheBytes: 64 * 1024 * 1024,
  tokensCached: 100_000,
  auditBacklogMax: 1_000,
  commitAttempts: 8,
  searchPagesMax: 20,
  bearersCached: 10_000,
  bearerRecheckMs: 2_000,
};

/** Opens the record. A tenant's keys are made at its first use. Cheap; touches nothing yet. */
export function openRecord(options: RecordOptions): ClinicalRecord {
  const limits = { ...RECORD_LIMITS, ...options.limits };
  const random = options.random ?? randomBytes;
  const { store, clock } = options;
  const sealer = createSealer(random);
  const { readRootKeys, forgotten } = options;
  const keyContext = { store, sealer, clock, random, limits, readRootKeys, forgotten };
  const keyring = new Keyring(keyContext, options.rootKeys);
  const denials = new DenialLog(store, clock);
  const trail = new Trail(store, clock, limits.auditBacklogMax);
  const damage = new DamageLog(trail, clock, options.damaged ?? (() => undefined));
  const resources = createRecent<CachedResource>(limits.resourceCacheBytes);
  const tokens: ClinicalRecord['tokens'] = createRecent(limits.bearersCached);
  return {
    store,
    clock,
    limits,
    random,
    sealer,
    keyring,
    trail,
    damage,
    denials,
    turns: openTurns(limits.unpackedMax),
    resources,
    tokens,
    checkpointed: new Map(),
    invalidate(what) {
      keyring.dropOpened();
      resources.clear();
      if (what === 'patient') return;
      keyring.clear();
      tokens.clear();
    },
    async close() {
      await denials.flush();
      await trail.settle();
    },
  };
}
