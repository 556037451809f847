// Owns the making of searchset and history Bundles with their paging links.
import type { Resource } from '../model/resource.ts';
import type { OperationOutcome } from './outcome.ts';

export interface Bundle {
  resourceType: 'Bundle';
  type: 'searchset' | 'history';
  total?: number;
  link: { relation: 'self' | 'next'; url: string }[];
  entry?: object[];
}

export interface Page {
  /** Address without the query: `https://host/fhir/R4/Patient`. */
  url: string;
  /** Parameters that were applied; `_cursor` is added to the links. */
  parameters: [string, string][];
  cursor?: string;
  /** Cursor of the next page, undefined = this is the last. */
  next?: string;
  total?: number;
}

/** One page of search results; `outcome` (warnings) becomes an entry of mode `outcome`. */
export function searchsetBundle(
  baseUrl: string,
  resources: readonly Resource[],
  page: Page,
  outcome?: OperationOutcome,
): Bundle {
  const entry: object[] = resources.map((resource) => ({
    fullUrl: `${baseUrl}/${resource.resourceType}/${resource.id}`,
    resource,
    search: { mode: 'match' },
  }));
  if (outcome) entry.push({ resource: outcome, search: { mode: 'outcome' } });
  return bundleOf('searchset', entry, page);
}

export interface VersionEntry {
  type: string;
  id: string;
  version: number;
  /** ms since the epoch. */
  lastUpdated: number;
  deleted: boolean;
  /** null: deleted, or its patient was forgotten, or damaged. */
  resource: Resource | null;
  /** Why the version is stored but cannot be shown. */
  damaged?: OperationOutcome;
}

/** One page of versions, newest first (R4 http.html#history). */
export function historyBundle(
  baseUrl: string,
  versions: readonly VersionEntry[],
  page: Page,
): Bundle {
  const entry = versions.map((version) => ({
    ...contentOf(baseUrl, version),
    request: {
      method: version.deleted ? 'DELETE' : 'PUT',
      url: `${version.type}/${version.id}`,
    },
    response: {
      status: statusOf(version),
      etag: `W/"${version.version}"`,
      lastModified: new Date(version.lastUpdated).toISOString(),
      ...(version.damaged === undefined ? {} : { outcome: version.damaged }),
    },
  }));
  return bundleOf('history', entry, page);
}

/** A damaged version is an OperationOutcome, which has no address of its own. */
function contentOf(baseUrl: string, { type, id, resource, damaged }: VersionEntry): object {
  if (damaged !== undefined) return { resource: damaged };
  const fullUrl = `${baseUrl}/${type}/${id}`;
  return resource === null ? { fullUrl } : { fullUrl, resource };
}

function statusOf(version: VersionEntry): string {
  if (version.damaged !== undefined) return '500';
  if (version.deleted) return '204';
  if (version.resource === null) return '410';
  return version.version === 1 ? '201' : '200';
}

/** An empty `entry` is left out: FHIR allows no empty arrays. */
function bundleOf(type: Bundle['type'], entry: object[], page: Page): Bundle {
  const link: Bundle['link'] = [{ relation: 'self', url: linkOf(page, page.cursor) }];
  if (page.next !== undefined) link.push({ relation: 'next', url: linkOf(page, page.next) });
  return {
    resourceType: 'Bundle',
    type,
    ...(page.total === undefined ? {} : { total: page.total }),
    link,
    ...(entry.length === 0 ? {} : { entry }),
  };
}

function linkOf(page: Page, cursor: string | undefined): string {
  const query = new URLSearchParams(page.parameters);
  if (cursor !== undefined) query.append('_cursor', cursor);
  const text = query.toString();
  return text === '' ? page.url : `${page.url}?${text}`;
}
