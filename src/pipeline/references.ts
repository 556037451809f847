// References between the entries of one Bundle: rewritten to the ids that the entries got.
import { isPlainObject, type JsonObject } from '../mapping/json.ts';
import type { Issue } from '../model/issue.ts';
import type { Resource } from '../model/resource.ts';
import { readConditional } from './identity.ts';

/**
 * Rewrites every `reference` in place: a fullUrl or `Type/id` of the Bundle, or a conditional
 * reference by identifier. A `urn:uuid:` that is no entry is an error; other forms stay.
 */
export function rewriteReferences(
  resource: Resource,
  targets: ReadonlyMap<string, string>,
  tenant: string,
  at: string,
  issues: Issue[],
): void {
  visit(resource, `${at}/resource`);

  function visit(node: JsonObject, place: string): void {
    const { reference } = node;
    if (typeof reference === 'string') {
      const target = resolve(reference);
      if (target !== undefined) node.reference = target;
      else if (/^urn:(uuid|oid):/.test(reference)) {
        const text = 'The reference names an entry that the Bundle does not have.';
        const where = `${place}/reference`;
        issues.push({ severity: 'error', code: 'not-found', at: where, text });
      }
    }
    for (const key of Object.keys(node)) visitChild(node[key], `${place}/${key}`);
  }

  function visitChild(child: unknown, place: string): void {
    if (Array.isArray(child)) {
      child.forEach((item, index) => {
        visitChild(item, `${place}/${index}`);
      });
    } else if (isPlainObject(child)) visit(child, place);
  }

  function resolve(reference: string): string | undefined {
    const known = targets.get(reference) ?? targets.get(reference.replace(/\/_history\/.*$/, ''));
    if (known !== undefined) return known;
    const conditional = readConditional(reference, tenant);
    return conditional && `${conditional.type}/${conditional.id}`;
  }
}
