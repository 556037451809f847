// Refused calls and noise: how many entries they leave, whatever their number.
import { beforeEach, describe, expect, it } from 'vitest';
import { parseEntry } from '../../src/audit/entry.ts';
import type { Principal } from '../../src/model/principal.ts';
import { readAuditEvents, verifyAudit } from '../../src/record/audit.ts';
import type { ClinicalRecord } from '../../src/record/context.ts';
import { DenialLog, recordDenial } from '../../src/record/denials.ts';
import type { Unit } from '../../src/store/port.ts';
import { openBench, TENANT } from './open.ts';

let record: ClinicalRecord;

beforeEach(async () => {
  record = (await openBench()).record;
  await record.keyring.tenant(TENANT);
});

function caller(id: string, peer: string): Principal {
  return { tenant: TENANT, id, scopes: [], peer, patient: null };
}

async function denials() {
  const rows = await record.store.audit.entries(TENANT, 1, 10_000);
  return rows.map(({ entry }) => parseEntry(entry)).filter(({ action }) => action === 'deny');
}

describe('denials', () => {
  it('of a caller without a credential are one entry a minute with their number', async () => {
    const denial = { action: 'deny', detail: 'UNAUTHENTICATED', channel: 'fhir-inbound' } as const;
    for (let n = 0; n < 815; n += 1) {
      await recordDenial(record, caller('', `192.0.2.7:${1_000 + n}`), denial);
    }
    expect(await denials()).toEqual([]);
    await record.denials.flush();
    expect(await denials()).toEqual([
      expect.objectContaining({
        ...{ action: 'deny', outcome: 'failure', who: 'anonymous', peer: '192.0.2.7' },
        ...{ channel: 'fhir-inbound', detail: 'UNAUTHENTICATED', count: 815 },
      }),
    ]);
    expect((await verifyAudit(record, TENANT)).ok).toBe(true);
  });

  it('of a caller with a credential are named at once, and counted from then on', async () => {
    const denial = { action: 'deny', detail: 'FORBIDDEN GET /admin/keys' } as const;
    for (let n = 0; n < 20; n += 1) await recordDenial(record, caller('token-1', '::1'), denial);
    expect(await denials()).toMatchObject([{ who: 'token-1', peer: '::1' }]);
    await record.denials.flush();
    expect(await denials()).toMatchObject([{ who: 'token-1' }, { who: 'token-1', count: 19 }]);
  });

  it('are shown to who reads the log before the minute is over', async () => {
    await recordDenial(record, caller('', '::1'), { action: 'deny', detail: 'UNAUTHENTICATED' });
    const events = await readAuditEvents(record, caller('operator', ''), 1, 100);
    expect(JSON.stringify(events)).toContain('UNAUTHENTICATED');
  });

  it('of more callers than are told apart are counted together', async () => {
    const denial = { action: 'deny', detail: 'UNAUTHENTICATED' } as const;
    for (let n = 0; n < 5_000; n += 1) {
      await recordDenial(record, caller('', `198.51.${n % 256}.${Math.floor(n / 256)}:1`), denial);
    }
    await record.denials.flush();
    const found = await denials();
    expect(found.length).toBeLessThanOrEqual(1_001);
    expect(found.reduce((sum, { count = 0 }) => sum + count, 0)).toBe(5_000);
    expect(found.filter(({ detail }) => detail === 'other callers')).toHaveLength(1);
  });

  it('are held while the store refuses them, and written once', async () => {
    const units: Unit[] = [];
    let refuses = true;
    const commit = async (unit: Unit) => {
      if (refuses) throw new Error('no');
      units.push(unit);
      return { intakeSeqs: [], auditSeq: 1 };
    };
    const log = new DenialLog({ commit }, () => 5);
    const entry = { action: 'deny', outcome: 'failure', who: 'anonymous', detail: 'X' } as const;
    for (let n = 0; n < 3; n += 1) {
      log.count('a', entry, 1);
      await expect(log.flush()).rejects.toThrow('no');
    }
    refuses = false;
    await log.flush();
    await log.flush();
    expect(units).toHaveLength(1);
    expect(units[0]?.audit?.map((draft) => parseEntry(draft.entry).count)).toEqual([3]);
  });
});
