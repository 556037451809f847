// Documents of each collection as rows of store/transfer.ts, and the way back. A kind of rows
// stands in the collection of its name.

import { tableOf } from '../../model/table.ts';
import { type Kind, type Rows, tidyEntries } from '../transfer.ts';
import { onceOf } from './batch-state.ts';
import { toIntakeRow } from './intake-reads.ts';
import {
  type AuditDoc,
  type CheckpointDoc,
  type CredentialDoc,
  FORGOTTEN,
  type IntakeDoc,
  type KeyDoc,
  type ResourceDoc,
  type VersionDoc,
} from './records.ts';
import { toResourceRow } from './resource-reads.ts';
import { numberedId, rowId, versionId } from './row-ids.ts';
import { checkpointId, resourceDoc } from './stage-unit.ts';

export interface Docs {
  keys: KeyDoc;
  credentials: CredentialDoc;
  resources: ResourceDoc;
  versions: VersionDoc;
  intake: IntakeDoc;
  audit: AuditDoc;
  checkpoints: CheckpointDoc;
}

export const TO_ROW: { [K in Kind]: (doc: Docs[K]) => Rows[K] } = tableOf({
  keys: withoutId,
  credentials: (doc) => ({ ...withoutId(doc), mac: doc.mac ?? '' }),
  resources: (doc) => ({
    tenant: doc.tenant,
    ...toResourceRow(doc),
    forgotten: doc.state === FORGOTTEN,
    ...tidyEntries(
      doc.tokens,
      doc.ranges.map(({ p, l, h }) => ({ param: p, low: l, high: h })),
    ),
  }),
  versions: (doc) => ({ tenant: doc.tenant, ...toResourceRow(doc) }),
  intake: (doc) => ({ tenant: doc.tenant, ...toIntakeRow(doc) }),
  audit: withoutId,
  checkpoints: withoutId,
});

export const TO_DOC: { [K in Kind]: (row: Rows[K]) => Docs[K] } = tableOf({
  keys: (row) => ({ _id: rowId(row.tenant, row.id), ...row }),
  credentials: (row) => ({ _id: rowId(row.tenant, row.id), ...row }),
  resources: toResourceDoc,
  versions: ({ body, ...row }) => ({
    _id: versionId(row.tenant, row.type, row.id, row.version),
    ...row,
    keyId: body.keyId,
    body: body.bytes,
  }),
  intake: ({ body, detail, dedupe, ...row }) => ({
    _id: rowId(row.tenant, row.id),
    ...row,
    once: onceOf({ id: row.id, dedupe }),
    bodyKey: body.keyId,
    body: body.bytes,
    detailKey: detail?.keyId ?? null,
    detail: detail?.bytes ?? null,
  }),
  audit: (row) => ({ _id: numberedId(row.tenant, row.seq), ...row }),
  checkpoints: (row) => ({ _id: checkpointId(row.tenant, row), ...row }),
});

function withoutId<D extends { _id: string }>({ _id, ...row }: D): Omit<D, '_id'> {
  return row;
}

function toResourceDoc({ tenant, forgotten, ...row }: Rows['resources']): ResourceDoc {
  const doc = resourceDoc(tenant, { ...row, expected: row.version - 1 });
  return forgotten ? { ...doc, state: FORGOTTEN } : doc;
}
