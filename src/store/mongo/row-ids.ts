// The `_id` of each kind of document: readable paths that begin with the tenant, so that one index
// serves point reads, uniqueness and listing in order. Pure.

/** Sequence numbers in an `_id` have this many digits, so that text order is number order. */
const DIGITS = 16;

/** Of intake, keys and credentials. `id` is not escaped: it is last, and keeps its order. */
export function rowId(tenant: string, id: string): string {
  return `${escapePart(tenant)}/${id}`;
}

export function resourceId(tenant: string, type: string, id: string): string {
  return `${escapePart(tenant)}/${escapePart(type)}/${id}`;
}

/** Of a superseded version; sorts by number within its resource. */
export function versionId(tenant: string, type: string, id: string, version: number): string {
  return `${resourceId(tenant, type, escapePart(id))}/${digits(version)}`;
}

export function numberedId(tenant: string, seq: number): string {
  return `${escapePart(tenant)}/${digits(seq)}`;
}

/** Bounds of all ids under a path: `from` <= id < `to`. */
export function idsUnder(...path: string[]): { from: string; to: string } {
  const prefix = path.map(escapePart).join('/');
  // '0' is the character after '/'.
  return { from: `${prefix}/`, to: `${prefix}0` };
}

function digits(n: number): string {
  return String(n).padStart(DIGITS, '0');
}

function escapePart(part: string): string {
  return part.replaceAll('%', '%25').replaceAll('/', '%2F');
}
