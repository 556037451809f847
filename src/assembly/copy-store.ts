// A store moved from one engine to the other, whole: the act is written to the audit log, the rows
// are copied and compared, and the audit chain of the copy is verified before it may be used.
import type { RootKeys } from '../crypto/keys.ts';
import { EngineError } from '../model/errors.ts';
import type { Principal } from '../model/principal.ts';
import { recordEvent, verifyAudit } from '../record/audit.ts';
import { type ClinicalRecord, openRecord } from '../record/context.ts';
import { type CopyOptions, type CopyReport, copyRows, refuseUsed } from '../store/copy.ts';
import { STORES, TRANSFERS } from '../store/index.ts';
import type { Store } from '../store/port.ts';
import type { Transfer, TransferUse } from '../store/transfer.ts';

/** Where a store is. `folder` is that of the database, below the data folder. */
export type StorePlace = { kind: 'sqlite'; folder: string } | { kind: 'mongodb'; url: string };

export interface CopyStoreOptions extends CopyOptions {
  from: StorePlace;
  to: StorePlace;
  /** No process uses the MongoDB databases, whatever is written there of killed ones. */
  stopped: boolean;
  rootKeys: RootKeys;
  /** ms since the epoch. */
  clock(): number;
}

export interface StoreCopied {
  /** Labels. */
  from: string;
  to: string;
  kinds: CopyReport;
  /** Audit entries that were verified in the copy. */
  auditEntries: number;
}

/**
 * Begins, or goes on where an earlier call of the same places was killed. Throws NOT_FOUND (no
 * source), STORE_LOCKED (in use), PRECONDITION_FAILED (the target holds something else),
 * KEY_UNAVAILABLE (another root key), STORE_CORRUPT (the audit log is broken, or the copy is not
 * equal).
 */
export async function copyStore(options: CopyStoreOptions): Promise<StoreCopied> {
  const { from, to } = options;
  // First, so that a mistyped source leaves nothing behind.
  const label = await withTransfer(options, from, 'source', async (source) => source.label);
  await withTransfer(options, to, 'target', async (target) => {
    if ((await target.progress()) !== undefined) return;
    await refuseUsed(target);
    await prepareSource(options, label);
  });
  const copied = await withTransfer(options, from, 'source', (source) =>
    withTransfer(options, to, 'target', async (target) => ({
      from: source.label,
      to: target.label,
      kinds: await copyRows(source, target, options),
    })),
  );
  const check = (record: ClinicalRecord) => verifyAll(record, copied.to);
  const auditEntries = await withRecord(options, to, check);
  await withTransfer(options, to, 'target', (target) => target.admit());
  return { ...copied, auditEntries };
}

/** Verifies the source before hours are spent on it, and notes in its audit log what is done. */
async function prepareSource(options: CopyStoreOptions, label: string): Promise<void> {
  await withRecord(options, options.from, async (record) => {
    await verifyAll(record, label);
    for (const tenant of await record.store.audit.tenants()) {
      const event = { action: 'backup', outcome: 'success', detail: 'store-copy' } as const;
      await recordEvent(record, operatorOf(tenant), event);
    }
  });
}

function operatorOf(tenant: string): Principal {
  return { tenant, id: 'operator', scopes: [], peer: '', patient: null };
}

/** Opens the keys of every tenant, walks every chain; answers how many entries there are. */
async function verifyAll(record: ClinicalRecord, label: string): Promise<number> {
  let entries = 0;
  for (const tenant of await record.store.audit.tenants()) {
    await record.keyring.tenant(tenant);
    const report = await verifyAudit(record, tenant);
    if (report.fault !== undefined) {
      const { seq, reason } = report.fault;
      const text = `The audit log of the ${label} is broken at entry ${seq}: ${reason}.`;
      throw new EngineError('STORE_CORRUPT', text);
    }
    entries += report.entries;
  }
  return entries;
}

/** Opens, uses and closes. */
async function withTransfer<T>(
  { stopped }: CopyStoreOptions,
  place: StorePlace,
  use: TransferUse,
  run: (transfer: Transfer) => Promise<T>,
): Promise<T> {
  const transfer = await (place.kind === 'sqlite'
    ? TRANSFERS.sqlite(place.folder, use)
    : TRANSFERS.mongodb({ url: place.url, use, stopped }));
  try {
    return await run(transfer);
  } finally {
    await transfer.close();
  }
}

async function withRecord<T>(
  { rootKeys, clock }: CopyStoreOptions,
  place: StorePlace,
  run: (record: ClinicalRecord) => Promise<T>,
): Promise<T> {
  const store: Store = await (place.kind === 'sqlite'
    ? STORES.sqlite({ folder: place.folder, admitUnfinished: true })
    : STORES.mongodb({ url: place.url, admitUnfinished: true }));
  try {
    const record = openRecord({ store, rootKeys, clock });
    const answer = await run(record);
    await record.close();
    return answer;
  } finally {
    await store.close();
  }
}
