// The collections and their indexes, as docs/reference/mongodb.md explains them. Only plain, unique
// and multikey indexes: no partial, text, TTL or collated ones.
import type { Collection, Db, IndexDescription } from 'mongodb';
import { tableOf } from '../../model/table.ts';
import type {
  AuditDoc,
  CheckpointDoc,
  CredentialDoc,
  IntakeDoc,
  KeyDoc,
  MetaDoc,
  ResourceDoc,
  TenantDoc,
  VersionDoc,
  WriterDoc,
} from './records.ts';

export interface Collections {
  meta: Collection<MetaDoc>;
  tenants: Collection<TenantDoc>;
  intake: Collection<IntakeDoc>;
  resources: Collection<ResourceDoc>;
  versions: Collection<VersionDoc>;
  audit: Collection<AuditDoc>;
  checkpoints: Collection<CheckpointDoc>;
  keys: Collection<KeyDoc>;
  credentials: Collection<CredentialDoc>;
  writers: Collection<WriterDoc>;
}

export type CollectionName = keyof Collections;

export const COLLECTION_NAMES: readonly CollectionName[] = [
  'meta',
  'tenants',
  'intake',
  'resources',
  'versions',
  'audit',
  'checkpoints',
  'keys',
  'credentials',
  'writers',
];

export function collectionsOf(db: Db): Collections {
  return {
    meta: db.collection('meta'),
    tenants: db.collection('tenants'),
    intake: db.collection('intake'),
    resources: db.collection('resources'),
    versions: db.collection('versions'),
    audit: db.collection('audit'),
    checkpoints: db.collection('checkpoints'),
    keys: db.collection('keys'),
    credentials: db.collection('credentials'),
    writers: db.collection('writers'),
  };
}

/** Besides `_id`, which every collection has; those that are not named here need no other. */
export const INDEXES: Partial<Record<CollectionName, IndexDescription[]>> = tableOf<
  Partial<Record<CollectionName, IndexDescription[]>>
>({
  intake: [
    { name: 'once', key: { tenant: 1, once: 1 }, unique: true },
    { name: 'inbox', key: { tenant: 1, state: 1, orderingKey: 1, seq: 1 } },
    { name: 'waiting', key: { state: 1, seq: 1, tenant: 1, orderingKey: 1 } },
    { name: 'arrival', key: { tenant: 1, seq: 1 } },
    { name: 'by_state', key: { tenant: 1, state: 1, seq: 1 } },
    { name: 'by_compartment', key: { tenant: 1, compartment: 1, seq: 1 } },
  ],
  resources: [
    { name: 'newest', key: { tenant: 1, type: 1, state: 1, lastUpdated: -1, _id: 1 } },
    { name: 'oldest', key: { tenant: 1, type: 1, state: 1, lastUpdated: 1, _id: 1 } },
    { name: 'changes', key: { tenant: 1, type: 1, lastUpdated: -1, id: 1, version: -1 } },
    { name: 'tokens', key: { tenant: 1, type: 1, tokens: 1, lastUpdated: -1, _id: 1 } },
    { name: 'tokens_by_date', key: { tenant: 1, type: 1, tokens: 1, 'lows.date': -1, _id: 1 } },
    { name: 'by_date', key: { tenant: 1, type: 1, state: 1, 'lows.date': -1, _id: 1 } },
    { name: 'ranges', key: { tenant: 1, type: 1, 'ranges.p': 1, 'ranges.h': 1, 'ranges.l': 1 } },
    {
      name: 'by_compartment',
      key: { tenant: 1, compartment: 1, type: 1, state: 1, lastUpdated: -1, _id: 1 },
    },
  ],
  versions: [{ name: 'changes', key: { tenant: 1, type: 1, lastUpdated: -1, id: 1, version: -1 } }],
  keys: [{ name: 'by_kind', key: { tenant: 1, kind: 1, id: 1 } }],
  credentials: [{ name: 'token_hash', key: { tokenHash: 1 }, unique: true }],
});
