// Runs a parsed search: blinds its terms, asks the index, opens the candidates and verifies them
// in clear. Reading the query string is fhir/search.ts.
import { versionRef } from '../audit/entry.ts';
import { matches, type SearchQuery } from '../fhir/search.ts';
import { EngineError } from '../model/errors.ts';
import type { Principal } from '../model/principal.ts';
import type { ResourceRow, SearchPlan } from '../store/port.ts';
import { headOf, openResource, searchToken } from './body.ts';
import type { ClinicalRecord } from './context.ts';
import { type DamagedRecord, unlessDamaged } from './damage.ts';
import type { StoredResource } from './read.ts';
import type { TenantKeys } from './tenant-keys.ts';
import { actor } from './trail.ts';

export interface SearchPage {
  /** At most query.count, every one verified in clear, in the order of the sort. */
  matches: StoredResource[];
  /** Put into `_cursor` of the next link; absent on the last page. */
  cursor?: string;
  /** Where query.total or count 0 asks for it; counted up to `totalMax`. */
  total?: number;
  /** Candidates that are stored but do not open, at most DAMAGED_MAX: they are left out. */
  damaged: DamagedRecord[];
}

const TOTAL_MAX = 10_000;
/** Damaged records that one page names. */
const DAMAGED_MAX = 100;
/** Candidates that are opened at once while counting in clear. */
const COUNT_PAGE = 500;

/**
 * One page of results; audited with its parameters sealed. Resources of forgotten patients are
 * never found. `compartments` restricts to these Patients. Throws BAD_REQUEST for a cursor that is
 * not of this search, STORE_CORRUPT, STORE_UNAVAILABLE (also when access cannot be logged).
 */
export async function searchResources(
  record: ClinicalRecord,
  principal: Principal,
  query: SearchQuery,
  options: { compartments?: string[]; totalMax?: number } = {},
): Promise<SearchPage> {
  const tenant = await record.keyring.tenant(principal.tenant);
  const plan = planOf(tenant, query, options.compartments);
  const damaged = new Map<string, DamagedRecord>();
  const found = (fault: DamagedRecord): void => {
    if (damaged.size < DAMAGED_MAX) damaged.set(fault.damage.name, fault);
  };
  const page: Omit<SearchPage, 'damaged'> =
    query.count === 0 ? { matches: [] } : await fill(record, query, plan, found);
  if (query.count === 0 || query.total === 'accurate') {
    page.total = await countMatches(record, query, plan, options.totalMax ?? TOTAL_MAX, found);
  }
  await note(record, tenant, principal, query, page.matches);
  return { ...page, damaged: [...damaged.values()] };
}

function planOf(
  tenant: TenantKeys,
  query: SearchQuery,
  compartments: string[] | undefined,
): SearchPlan {
  const { type, ranges, ids, lastUpdated, sort, count, cursor } = query;
  const blind = ({ param, value }: { param: string; value: string }): string =>
    searchToken(tenant, type, param, value);
  return {
    tenant: tenant.tenant,
    type,
    tokens: query.tokens.map((group) => group.map(blind)),
    ranges,
    ...(ids === undefined ? {} : { ids }),
    ...(lastUpdated === undefined ? {} : { lastUpdated }),
    ...(compartments === undefined ? {} : { compartments }),
    sort,
    limit: Math.max(1, count),
    ...(cursor === undefined ? {} : { after: cursor }),
  };
}

/** Asks for as many as are still missing, so that the cursor stands behind the last match. */
async function fill(
  record: ClinicalRecord,
  query: SearchQuery,
  plan: SearchPlan,
  damaged: (fault: DamagedRecord) => void,
): Promise<Omit<SearchPage, 'damaged'>> {
  const found: StoredResource[] = [];
  let after = plan.after;
  for (let page = 0; page < record.limits.searchPagesMax; page += 1) {
    const limit = query.count - found.length;
    const next = { ...plan, limit, ...(after === undefined ? {} : { after }) };
    const { rows, cursor } = await record.store.search.find(next);
    found.push(...(await verify(record, query, plan.tenant, rows, damaged)));
    if (cursor === undefined) return { matches: found };
    after = cursor;
    if (found.length >= query.count) break;
  }
  return { matches: found, ...(after === undefined ? {} : { cursor: after }) };
}

/** Opens the candidates and keeps those that match in clear; a damaged one may match or not. */
async function verify(
  record: ClinicalRecord,
  query: SearchQuery,
  tenant: string,
  rows: ResourceRow[],
  damaged: (fault: DamagedRecord) => void,
): Promise<StoredResource[]> {
  const opened = await Promise.all(
    rows.map((row) => unlessDamaged(openUnlessForgotten(record, tenant, row), damaged)),
  );
  return opened.filter(
    (each) => each !== undefined && matches(each.resource, query),
  ) as StoredResource[];
}

async function openUnlessForgotten(
  record: ClinicalRecord,
  tenant: string,
  row: ResourceRow,
): Promise<StoredResource | undefined> {
  try {
    return { resource: await openResource(record, tenant, row), head: headOf(row) };
  } catch (thrown) {
    if (thrown instanceof EngineError && thrown.code === 'KEY_DESTROYED') return undefined;
    throw thrown;
  }
}

/** By the index alone where it is exact, else by opening every candidate; stops at `max`. */
async function countMatches(
  record: ClinicalRecord,
  query: SearchQuery,
  plan: SearchPlan,
  max: number,
  damaged: (fault: DamagedRecord) => void,
): Promise<number> {
  const { after: _, ...whole } = plan;
  if (query.exact) return record.store.search.count(whole, max);
  let total = 0;
  let after: string | undefined;
  do {
    const next = { ...whole, limit: COUNT_PAGE, ...(after === undefined ? {} : { after }) };
    const { rows, cursor } = await record.store.search.find(next);
    total += (await verify(record, query, plan.tenant, rows, damaged)).length;
    after = cursor;
  } while (after !== undefined && total < max);
  return Math.min(total, max);
}

async function note(
  record: ClinicalRecord,
  tenant: TenantKeys,
  principal: Principal,
  query: SearchQuery,
  found: StoredResource[],
): Promise<void> {
  const { id: keyId, key } = tenant.current;
  const asked = JSON.stringify(query.applied);
  const sealed = record.sealer.seal(key, asked, ['search', tenant.tenant, keyId]);
  await record.trail.note(tenant.tenant, {
    action: 'search',
    outcome: 'success',
    ...actor(principal),
    type: query.type,
    query: { keyId, sealed: Buffer.from(sealed).toString('base64url') },
    resources: found.map(({ head, resource }) => versionRef(query.type, resource.id, head.version)),
  });
}
